"""The Pythons of the other sides: ``python -m benchmarks.environments`` makes what is missing.

onnxruntime and OpenVINO live beside the project's environment, and SpikingJelly 2.0 needs a
newer Python than Lava has. An environment is right when it holds the pinned versions; one
that cannot be made leaves a sentence in ``NAME.failed``, which the report shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import SideError

__all__ = ["ENVIRONMENTS", "Environment", "find_python", "main", "python_of"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-bench"
PROBE = "import sys, venv, ensurepip, ssl; print('%d.%d' % sys.version_info[:2])"
CHECK = """
import sys
from importlib.metadata import PackageNotFoundError, version
for line in open(sys.argv[1]):
    name, _, wanted = line.partition("#")[0].strip().partition("==")
    if not name:
        continue
    try:
        found = version(name).partition("+")[0]
    except PackageNotFoundError:
        found = "none"
    if found != wanted:
        sys.exit(f"{name} {wanted} is wanted, found {found}")
"""


@dataclass(frozen=True)
class Environment:
    """Where it is, what it holds, and which Pythons serve."""

    name: str
    requirements: Path
    versions: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Its venv."""
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def failed(self) -> Path:
        """Why it could not be made."""
        return FOLDER / f"{self.name}.failed"

    def problem(self) -> str:
        """What is wrong with it, or nothing."""
        if not self.python.exists():
            return "there is no environment"
        command = [str(self.python), "-I", "-c", CHECK, str(self.requirements)]
        done = subprocess.run(command, capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stderr.strip() or "its Python does not run")


ENVIRONMENTS = {
    "onnx": Environment("onnx", ROOT / "benchmarks" / "requirements-onnx.txt", ("3.10",)),
    "openvino": Environment(
        "openvino", ROOT / "benchmarks" / "requirements-openvino.txt", ("3.10",)
    ),
    "spikingjelly": Environment(
        "spikingjelly",
        ROOT / "benchmarks" / "requirements-spikingjelly.txt",
        ("3.11", "3.12", "3.13"),
    ),
}


def python_of(name: str) -> Path:
    """Interpreter of an environment; SideError says why there is none."""
    if name == "project":
        return Path(sys.executable)
    environment = ENVIRONMENTS[name]
    if environment.python.exists():
        return environment.python
    if environment.failed.exists():
        raise SideError(environment.failed.read_text().strip())
    raise SideError(f"{environment.folder.relative_to(ROOT)} is missing; 'make bench' makes it")


def candidates(version: str) -> Iterator[Path]:
    """Where a Python of this version may be: PATH, pyenv, uv, conda and the usual folders."""
    home = Path.home()
    name = f"python{version}"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder) / name
    roots = [
        (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions", f"{version}*"),
        (home / ".local" / "share" / "uv" / "python", f"cpython-{version}*"),
        (home / ".local" / "share" / "mise" / "installs" / "python", f"{version}*"),
        *((home / base / "envs", "*") for base in ("miniconda3", "anaconda3", "miniforge3")),
    ]
    for root, pattern in roots:
        for found in sorted(root.glob(pattern), reverse=True):
            yield found / "bin" / name
    for usual in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
        yield Path(usual) / name


def find_python(versions: Sequence[str]) -> Path | None:
    """A Python of one of the versions that runs and can make an environment.

    Starting it is the test: a pyenv shim of a version that is not active exists, and fails.
    """
    for version in versions:
        for path in candidates(version):
            if not (path.is_file() and os.access(path, os.X_OK)):
                continue
            done = subprocess.run(
                [str(path), "-I", "-c", PROBE], capture_output=True, text=True, cwd="/"
            )
            if done.returncode == 0 and done.stdout.strip() == version:
                return path
    return None


def make(environment: Environment) -> None:
    """Make it anew; SideError says in one sentence what to do where that fails."""
    wanted = " or ".join(environment.versions)
    same = ".".join(map(str, sys.version_info[:2]))
    python = (
        Path(sys.executable) if same in environment.versions else find_python(environment.versions)
    )
    if python is None:
        raise SideError(
            f"no Python {wanted} was found (PATH, pyenv, uv, conda and the usual folders); "
            f"install one, as with 'uv python install {environment.versions[-1]}', "
            "then run make bench again"
        )
    # a link leads to an environment that someone else made: only the link is ours
    if environment.folder.is_symlink():
        environment.folder.unlink()
    elif environment.folder.exists():
        shutil.rmtree(environment.folder)
    FOLDER.mkdir(exist_ok=True)
    log = FOLDER / f"{environment.name}.log"
    print(f"bench: making {environment.folder} with {python} (details in {log})", flush=True)
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install"]
    steps = (
        [str(python), "-I", "-m", "venv", str(environment.folder)],
        [*pip, "--no-input", "--progress-bar", "off", "-r", str(environment.requirements)],
    )
    with log.open("w") as file:
        for step in steps:
            if subprocess.run(step, stdout=file, stderr=subprocess.STDOUT).returncode != 0:
                shutil.rmtree(environment.folder, ignore_errors=True)
                raise SideError(
                    f"its environment could not be made, see {log.relative_to(ROOT)}; "
                    "run make bench again once the cause is gone"
                )


def main() -> int:
    """Make what is missing or outdated; what cannot be made is listed in the report."""
    for environment in ENVIRONMENTS.values():
        if not environment.problem():
            continue
        environment.failed.unlink(missing_ok=True)
        try:
            make(environment)
        except SideError as error:
            FOLDER.mkdir(exist_ok=True)
            environment.failed.write_text(f"{error}\n")
            print(f"bench: without {environment.name}: {error}", file=sys.stderr)
        except BaseException:  # Ctrl-C: half an environment would pass for a whole one
            shutil.rmtree(environment.folder, ignore_errors=True)
            raise
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        print("\nbench: stopped", file=sys.stderr)
        raise SystemExit(130) from None
