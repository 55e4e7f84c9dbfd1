"""The set-up script: done once, repaired when damaged, careful with what is not its own.

It runs on a machine of its own: a home, and a PATH with the usual tools, a fake Python and a fake
uv. They write down what they are asked and can be told to fail; nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = """awk bash cat chmod cmp cp date df dirname env flock grep head mkdir mktemp mv rmdir sed
sh sleep tail tee"""
# Its version is in its name; an environment of it is a copy.
PYTHON = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
    *ensurepip*) case "$*" in *"'${0##*python}')"*) ;; *) exit 1 ;; esac ;;
    *"-m venv "*)
        echo venv >>calls
        for venv; do :; done
        mkdir -p "$venv/bin" && cp "$0" "$venv/bin/python" && : >"$venv/pyvenv.cfg" ;;
    *"config list"*) cat pip.conf ;;
    *--target*)
        echo uv >>calls
        while [ "$1" != --target ]; do shift; done
        mkdir "$2/bin" && cp uv "$2/bin" ;;
    *"pip "*install*)
        echo "pip: $*" >>calls
        [ ! -e no-pip ] || { echo "ERROR: No space left on device"; exit 1; }
        cp "$0" "$here/mlsnn" ;;
    *find_spec*) [ ! -e "$here/../torch-gone" ] ;;
    *"import sys, pip"*) [ ! -e "$here/../is-3.12" ] ;;
esac
"""
UV = """#!/bin/sh
echo "uv $1: $*" >>calls
env | grep ^UV_ >told
if [ "$1" = python ]; then
    mkdir -p "$HOME/.local/share/uv/python/3.10.1/bin"
    exec cp fetched "$HOME/.local/share/uv/python/3.10.1/bin/python3.10"
fi
while [ -e wait ]; do sleep 0.05; done
[ ! -e no-uv ] || { echo "error: cannot resolve"; exit 1; }
printf ' Downloading %s\\n' 'torch (743.0MiB)' 'six (10KiB)'
cp "$4" "$(dirname "$4")/mlsnn"
"""
# A wrong deletion must stay inside the test's own folder, whatever the script does.
RM = """#!/bin/sh
for name; do
    case $name in -*) ;; *..*) exit 9 ;; "@HERE@"/?*) ;; *) exit 9 ;; esac
done
exec @RM@ "$@"
"""
BY_UV, BY_PIP = ["venv", "uv pip"], ["venv", "pip", "pip"]


class Machine:
    def __init__(self, root: Path) -> None:
        self.here, self.root, self.home, self.bin = (
            root,
            root / "work/a b",
            root / "home/me",
            root / "bin",
        )
        self.venv = self.root / ".venv"
        for folder in (self.root, self.home, self.bin, root / "tmp"):
            folder.mkdir(parents=True)
        shutil.copytree(ROOT / "tools", self.root / "tools")
        for name in ("pyproject.toml", "constraints.txt", "constraints-lava.txt"):
            shutil.copy(ROOT / name, self.root)
        for tool in TOOLS.split():
            if real := shutil.which(tool):
                (self.bin / tool).symlink_to(real)
        rm = RM.replace("@HERE@", str(root)).replace("@RM@", str(shutil.which("rm")))
        self.program("bin/rm", rm)
        self.python = self.program("bin/python3.10", PYTHON)
        self.program("bin/uv", UV)
        (self.root / "pip.conf").touch()

    def program(self, path: str, text: str) -> Path:
        file = self.here / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
        return file

    def start(self, script: str = "setup.sh", **variables: str) -> subprocess.Popen[str]:
        env = {"PATH": str(self.bin), "HOME": str(self.home), "TMPDIR": str(self.here / "tmp")}
        command = [str(self.bin / "bash"), str(self.root / "tools" / script)]
        null, pipe, both = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
        return subprocess.Popen(
            command, env=env | variables, stdin=null, stdout=pipe, stderr=both, text=True
        )

    def setup(self, script: str = "setup.sh", **variables: str) -> tuple[int, str]:
        process = self.start(script, **variables)
        output, _ = process.communicate(timeout=60)
        assert list((self.here / "tmp").iterdir()) == []
        return process.returncode, output

    def calls(self) -> list[str]:
        """What the fakes were asked since the last look."""
        file = self.root / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.split(":")[0] for line in lines]

    def wait_for_uv(self) -> None:
        end = time.monotonic() + 30
        while not (self.root / "told").exists():
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    status, output = machine.setup()
    assert status == 0 and machine.calls() == BY_UV, output
    assert "torch (743.0MiB)" in output and "six" not in output
    assert "six" in (machine.venv / "setup.log").read_text()
    return machine


def test_second_run_does_nothing_but_what_other_dependencies_ask(ready: Machine) -> None:
    file = ready.root / "pyproject.toml"
    file.write_text(file.read_text().replace("line-length = 100", "line-length = 99"))
    assert ready.setup() == (0, "") and ready.calls() == []
    with (ready.root / "constraints.txt").open("a") as constraints:
        constraints.write("another==1.0\n")
    assert ready.setup()[0] == 0 and ready.calls() == ["uv pip"]
    assert ready.setup() == (0, "")


def test_who_installs_and_what_holds_it(machine: Machine) -> None:
    asked = machine.root / "calls"
    machine.setup()
    assert "-c constraints.txt -b constraints.txt -e .[test,docs]" in asked.read_text()
    assert machine.calls() == BY_UV
    assert machine.setup(UV="no", VENV=str(machine.here / "env 2"))[0] == 0
    assert asked.read_text().count("-c constraints.txt") == 2 and machine.calls() == BY_PIP
    (machine.root / "no-uv").touch()
    status, output = machine.setup(VENV="3")
    assert status == 0 and "pip tries" in output
    assert machine.calls() == [*BY_UV, "pip", "pip"]
    (machine.root / "no-uv").unlink()
    (machine.bin / "uv").rename(machine.root / "uv")  # the package index has one
    assert machine.setup(VENV="4")[0] == 0 and machine.calls() == ["venv", "uv", "uv pip"]


def test_uv_is_told_where_pip_finds_packages(machine: Machine) -> None:
    (machine.root / "pip.conf").write_text(
        ":env:.find-links='/a /b'\nglobal.find-links='/c'\nglobal.extra-index-url='\\nfile:///x\\nfile:///y'\n"
        "global.index-url='file:///g'\ninstall.index-url='file:///i'\nglobal.constraint='/held.txt'\n"
    )
    machine.setup(UV_CONSTRAINT="mine.txt")
    told = dict(line.split("=", 1) for line in (machine.root / "told").read_text().splitlines())
    assert told == {
        "UV_FIND_LINKS": "/a,/b",
        "UV_INDEX": " file:///x file:///y",
        "UV_DEFAULT_INDEX": "file:///i",
        "UV_CONSTRAINT": "mine.txt",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


@pytest.mark.parametrize("damage", ["stamp", "python", "script", "module", "moved"])
def test_damaged_environment_is_made_anew(ready: Machine, damage: str) -> None:
    (ready.venv / "left-over").touch()
    if damage == "moved":
        ready.root = ready.root.rename(ready.here / "moved")
        ready.venv = ready.root / ".venv"
    elif damage == "module":
        (ready.venv / "torch-gone").touch()
    else:
        places = {"stamp": ".setup-stamp", "python": "bin/python", "script": "bin/mlsnn"}
        (ready.venv / places[damage]).unlink()
    status, output = ready.setup()
    assert status == 0 and ready.calls() == BY_UV, output
    assert not (ready.venv / "left-over").exists() and ready.setup() == (0, "")


@pytest.mark.parametrize("signal", [None, SIGKILL, SIGTERM])
def test_set_up_that_failed_or_was_stopped_is_made_anew(
    machine: Machine, signal: int | None
) -> None:
    if signal is None:
        (machine.root / "no-pip").touch()
        status, output = machine.setup(UV="no")
        assert status == 1 and "No space left on device" in output
        assert "same command again" in output
        assert "the disk is full" in output and "are free on" in output
    else:
        (machine.root / "wait").touch()
        process = machine.start()
        machine.wait_for_uv()
        process.send_signal(signal)
        (machine.root / "wait").unlink()
        assert process.communicate(timeout=30) and process.returncode not in (0, 3)
        shutil.rmtree(machine.here / "tmp")
        (machine.here / "tmp").mkdir()
    (machine.root / "no-pip").unlink(missing_ok=True)
    machine.calls()
    assert machine.setup()[0] == 0 and machine.calls() == BY_UV


@pytest.mark.skipif(shutil.which("flock") is None, reason="two at once are not kept apart here")
def test_two_at_once_install_once_and_what_is_ready_does_not_wait(ready: Machine) -> None:
    (ready.root / "told").unlink()
    (ready.root / "wait").touch()
    first = ready.start(VENV="2")
    ready.wait_for_uv()
    done = ready.start()
    assert done.communicate(timeout=30) == ("", None)
    second = ready.start(VENV="2")
    assert second.stdout is not None and "waiting" in second.stdout.readline()
    (ready.root / "wait").unlink()
    for process in (first, second):
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert ready.calls() == BY_UV


def test_environment_of_the_user_is_used_or_left_alone_but_not_deleted(machine: Machine) -> None:
    machine.program("work/a b/.venv/bin/python", PYTHON)
    for name in ("pyvenv.cfg", "thesis.txt"):
        (machine.venv / name).touch()
    assert machine.setup()[0] == 0 and machine.calls() == ["uv pip"]
    (machine.venv / "is-3.12").touch()
    (machine.venv / ".setup-stamp").unlink()
    status, output = machine.setup()
    assert status == 1 and "holds a Python that is not 3.10" in output
    assert machine.calls() == [] and (machine.venv / "thesis.txt").exists()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_no_environment_is_left_alone(machine: Machine, kind: str) -> None:
    kept = machine.here / "elsewhere" if kind == "link" else machine.venv
    if kind != "file":
        kept.mkdir()
        kept /= "pyvenv.cfg" if kind == "link" else "bin"
    kept.touch()
    if kind == "link":
        machine.venv.symlink_to(kept.parent)
    status, output = machine.setup()
    assert status == 1 and "move it away" in output and kept.exists()


@pytest.mark.parametrize("mark", ["thesis.txt", "pyvenv.cfg", ".made-by-setup"])
@pytest.mark.parametrize("place", ["work/a b", "work", "home/me", "home"])
def test_folder_that_holds_the_checkout_or_the_home_is_never_deleted(
    machine: Machine, place: str, mark: str
) -> None:
    folder = machine.here / place
    (folder / mark).touch()
    status, output = machine.setup(VENV=str(folder))
    assert status == 1 and "holds the checkout or the home" in output
    assert (folder / mark).exists() and (machine.root / "pyproject.toml").exists()


PLACES = (
    "home/me/.pyenv/versions/3.10.13/bin/python3.10",
    "home/me/.local/share/uv/python/cpython-3.10.16/bin/python3.10",
    "home/me/miniconda3/bin/python3.10",
    "home/me/miniforge3/envs/lava/bin/python3.10",
)


@pytest.mark.parametrize("place", PLACES)
def test_python_is_found_behind_a_shim_that_does_not_run(machine: Machine, place: str) -> None:
    machine.program("bin/python3.10", "#!/bin/sh\nexit 127\n")
    file = machine.program(place, PYTHON)
    status, output = machine.setup()
    assert status == 0 and f"with {file}\n" in output


def test_given_python_is_checked_and_no_other_is_taken(machine: Machine) -> None:
    given = machine.program("other one/python3.10", PYTHON)
    assert f"with {given}\n" in machine.setup(PYTHON=str(given))[1]
    for bad in ("no-such-python", str(machine.program("other one/python3.12", PYTHON))):
        status, output = machine.setup(PYTHON=bad, VENV="2")
        assert status == 1 and f"PYTHON={bad} is no CPython 3.10" in output
        assert not (machine.root / "2").exists()


def test_without_python_3_10_uv_fetches_one_or_it_says_what_works(machine: Machine) -> None:
    machine.python.rename(machine.bin / "python3")  # some other version, with pip
    (machine.bin / "uv").rename(machine.root / "uv")
    status, output = machine.setup()
    assert status == 1 and machine.calls() == ["uv", "uv python"] and not machine.venv.exists()
    assert "no Python 3.10" in output and "make test-newer" in output and "PYTHON=" in output
    machine.program("work/a b/fetched", PYTHON)
    assert machine.setup()[0] == 0
    assert machine.calls() == ["uv", "uv python", "venv", "uv pip"]


def test_a_newer_environment_takes_the_newest_packages(machine: Machine) -> None:
    newer = {"NEWER": "yes", "VENV": ".venv-newer"}
    assert machine.setup(**newer) == (3, ""), "no such Python is no failure"
    assert machine.setup("test_newer.sh")[0] == 0 and "NOT RUN" in machine.setup("test_newer.sh")[1]
    assert machine.setup("test_newer.sh", PYTHON_NEWER=str(machine.python))[0] == 1
    for version in ("3.11", "3.12"):
        machine.program(f"bin/python{version}", PYTHON)
    status, output = machine.setup(**newer)
    assert status == 0 and "python3.12\n" in output
    asked = (machine.root / "calls").read_text()
    assert "--upgrade -e .[test]" in asked and "constraints.txt" not in asked
    assert machine.setup(**newer) == (0, "") and machine.calls() == BY_UV
    assert machine.setup()[0] == 0 and machine.calls() == BY_UV, "the other is its own"


def test_lava_on_a_newer_python_is_asked_for_by_itself(machine: Machine) -> None:
    """Held by a file of its own; lava-nc last, without the dependencies that forbid this Python."""
    lava = {"LAVA": "yes", "VENV": ".venv-lava"}
    status, output = machine.setup(**lava)
    assert status == 1 and "make setup-lava PYTHON=" in output and machine.calls() == []
    machine.program("bin/python3.12", PYTHON)
    status, output = machine.setup(**lava)
    assert status == 0 and "python3.12\n" in output and "LAVA_MLSNN_COMPAT=1" in output
    *_, first, second = (machine.root / "calls").read_text().splitlines()
    assert "-c constraints-lava.txt -b constraints-lava.txt -e .[lava,test]" in first
    assert second.endswith("--no-deps lava-nc==0.10.0")
    machine.calls()
    assert machine.setup(**lava) == (0, "") and machine.calls() == []
    with (machine.root / "constraints-lava.txt").open("a") as constraints:
        constraints.write("another==1.0\n")
    assert machine.setup(**lava, UV="no")[0] == 0
    *_, third = (machine.root / "calls").read_text().splitlines()
    assert third.endswith("--no-deps --ignore-requires-python lava-nc==0.10.0")
    assert machine.calls() == ["pip"] * 3
