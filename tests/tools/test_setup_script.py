"""The set-up script: done once, repaired when damaged, careful with what is not its own.

A fake Python stands in for the interpreter and pip, so that nothing is installed and the script's
own decisions are seen: its pip writes down what it is asked, and can be told to fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FAKE_PYTHON = """#!/bin/sh
# What the set-up asks of a Python: its version, a venv, pip, and which modules are there.
state=@STATE@
here=$(dirname "$0")
case "$*" in
    *importlib.import_module*) echo ok ;;
    *"-m venv "*)
        for venv; do :; done
        echo venv >>"$state/calls"
        [ -e "$state/no-venv" ] && { echo "ensurepip is not available"; exit 1; }
        mkdir -p "$venv/bin" && cp "$0" "$venv/bin/python" && : >"$venv/pyvenv.cfg" ;;
    *"pip "*install*" hatchling"*) echo "pip hatchling" >>"$state/calls" ;;
    *"pip "*install*" -e "*)
        echo "pip project: $*" >>"$state/calls"
        while [ -e "$state/wait" ]; do sleep 0.05; done
        [ -e "$state/no-pip" ] && { echo "ERROR: No space left on device"; exit 1; }
        echo "Downloading torch-2.3.1-cp310-cp310-x86_64.whl (779.1 MB)"
        echo "Downloading six-1.0-py3-none-any.whl (10 kB)"
        : >"$here/mlsnn"; chmod +x "$here/mlsnn" ;;
    *"pip "*check*) ;;
    *find_spec*) [ -x "$here/mlsnn" ] && [ ! -e "$here/../torch-gone" ] ;;
    *"sys.exit(sys.version_info"*) [ ! -e "$here/../is-3.12" ] ;;
esac
"""


# A wrong deletion must stay inside the test's own folder, whatever the script does.
GUARDED_RM = """#!/bin/sh
for name; do
    case $name in
        -*) ;;
        *..*) echo "rm refused: $name" >&2; exit 9 ;;
        "@ROOT@"/?*) ;;
        *) echo "rm refused: $name" >&2; exit 9 ;;
    esac
done
exec @RM@ "$@"
"""


class Checkout:
    """A copy of what the set-up reads, with the fake Python on its PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root / "a checkout"
        self.venv = self.root / ".venv"
        self.state = root / "state"
        self.state.mkdir()
        self.root.mkdir()
        shutil.copytree(ROOT / "tools", self.root / "tools")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root)
        self.python = root / "bin" / "python3.10"
        self.python.parent.mkdir()
        self.python.write_text(FAKE_PYTHON.replace("@STATE@", str(self.state)))
        self.python.chmod(0o755)
        real_rm = shutil.which("rm")
        assert real_rm is not None
        guard = self.python.with_name("rm")
        guard.write_text(GUARDED_RM.replace("@ROOT@", str(root)).replace("@RM@", real_rm))
        guard.chmod(0o755)

    def start(self, **variables: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "VENV"}
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        env = {**inherited, "PATH": path, "PYTHON": str(self.python), **variables}
        return subprocess.Popen(
            ["bash", str(self.root / "tools" / "setup.sh")],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def setup(self, **variables: str) -> tuple[int, str]:
        process = self.start(**variables)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def calls(self) -> list[str]:
        """What the fake was asked since the last look: ``venv``, ``pip hatchling``, ..."""
        file = self.state / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.split(":")[0] for line in lines]


EVERYTHING = ["venv", "pip hatchling", "pip project"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    assert checkout.setup()[0] == 0
    checkout.calls()
    return checkout


def test_first_run_does_everything_and_names_the_large_download(checkout: Checkout) -> None:
    status, output = checkout.setup()
    assert status == 0
    assert checkout.calls() == EVERYTHING
    assert "torch-2.3.1, 779.1 MB" in output
    assert "six" not in output
    assert "six-1.0" in (checkout.venv / "setup.log").read_text()


def test_second_run_does_nothing(ready: Checkout) -> None:
    assert ready.setup() == (0, "")
    assert ready.calls() == []


def test_constraints_hold_the_installation(checkout: Checkout) -> None:
    checkout.setup()
    calls = (checkout.state / "calls").read_text()
    assert "-c constraints.txt" in calls
    assert "-e .[test]" in calls


def test_changed_dependencies_update_in_place(ready: Checkout) -> None:
    with (ready.root / "constraints.txt").open("a") as file:
        file.write("another==1.0\n")
    assert ready.setup()[0] == 0
    assert ready.calls() == ["pip hatchling", "pip project"]
    assert ready.setup() == (0, "")


def test_changed_lint_settings_change_nothing(ready: Checkout) -> None:
    file = ready.root / "pyproject.toml"
    file.write_text(file.read_text().replace("line-length = 100", "line-length = 99"))
    assert ready.setup() == (0, "")
    assert ready.calls() == []


@pytest.mark.parametrize(
    "damage",
    ["stamp", "python", "dangling python", "script", "module"],
)
def test_damaged_environment_is_made_anew(ready: Checkout, damage: str) -> None:
    left_over = ready.venv / "left-over"
    left_over.touch()
    python = ready.venv / "bin" / "python"
    if damage == "stamp":
        (ready.venv / ".setup-stamp").unlink()
    elif damage == "python":
        python.unlink()
    elif damage == "dangling python":
        python.unlink()
        python.symlink_to("/nonexistent/python3.10")
    elif damage == "script":
        (ready.venv / "bin" / "mlsnn").unlink()
    else:
        (ready.venv / "torch-gone").touch()
    status, output = ready.setup()
    assert status == 0, output
    assert ready.calls() == EVERYTHING
    assert not left_over.exists()
    assert ready.setup() == (0, "")


def test_moved_checkout_gets_a_new_environment(ready: Checkout) -> None:
    moved = ready.root.with_name("moved")
    ready.root.rename(moved)
    ready.root, ready.venv = moved, moved / ".venv"
    assert ready.setup()[0] == 0
    assert ready.calls() == EVERYTHING


def test_failing_pip_shows_its_words_and_the_next_run_starts_anew(checkout: Checkout) -> None:
    (checkout.state / "no-pip").touch()
    status, output = checkout.setup()
    assert status == 1
    assert "No space left on device" in output
    assert "run the same command again" in output
    (checkout.state / "no-pip").unlink()
    checkout.calls()
    assert checkout.setup()[0] == 0
    assert checkout.calls() == EVERYTHING


def test_failing_venv_names_the_package(checkout: Checkout) -> None:
    (checkout.state / "no-venv").touch()
    status, output = checkout.setup()
    assert status == 1
    assert "ensurepip is not available" in output
    assert "apt install python3.10-venv" in output
    (checkout.state / "no-venv").unlink()
    assert checkout.setup()[0] == 0


def test_killed_set_up_is_made_anew(checkout: Checkout) -> None:
    (checkout.state / "wait").touch()
    process = checkout.start()
    wait_for(checkout.state / "calls", "pip project")
    process.kill()
    process.wait(timeout=30)
    (checkout.state / "wait").unlink()
    process.communicate(timeout=30)
    checkout.calls()
    assert checkout.setup()[0] == 0
    assert checkout.calls() == EVERYTHING


@pytest.mark.skipif(shutil.which("flock") is None, reason="two at once are not kept apart here")
def test_two_at_once_install_once(checkout: Checkout) -> None:
    (checkout.state / "wait").touch()
    first = checkout.start()
    wait_for(checkout.state / "calls", "pip project")
    second = checkout.start()
    assert second.stdout is not None
    assert "waiting" in second.stdout.readline()
    (checkout.state / "wait").unlink()
    first.communicate(timeout=60)
    second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert checkout.calls() == EVERYTHING


def test_sound_environment_of_the_user_is_used(checkout: Checkout) -> None:
    users_venv(checkout)
    (checkout.venv / "users-file").touch()
    assert checkout.setup()[0] == 0
    assert checkout.calls() == ["pip hatchling", "pip project"]
    assert (checkout.venv / "users-file").exists()


def test_environment_of_another_python_is_left_alone(checkout: Checkout) -> None:
    users_venv(checkout)
    (checkout.venv / "is-3.12").touch()
    status, output = checkout.setup()
    assert status == 1
    assert "holds a Python that is not 3.10" in output
    assert checkout.calls() == []
    assert (checkout.venv / "is-3.12").exists()


def test_folder_of_other_things_is_left_alone(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    (checkout.venv / "thesis.txt").touch()
    status, output = checkout.setup()
    assert status == 1
    assert "is no Python environment" in output
    assert (checkout.venv / "thesis.txt").exists()


@pytest.mark.parametrize("marks", ["none", "pyvenv.cfg", ".made-by-setup"])
@pytest.mark.parametrize("place", ["the checkout", "its parent", "the home", "a folder of both"])
def test_folder_that_holds_the_checkout_or_the_home_is_never_deleted(
    checkout: Checkout, place: str, marks: str
) -> None:
    parent = checkout.root.parent
    home = parent / "home" / "me"
    home.mkdir(parents=True)
    folder = {
        "the checkout": checkout.root,
        "its parent": parent,
        "the home": home,
        "a folder of both": home.parent,
    }[place]
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "thesis.txt").touch()
    if marks != "none":
        (folder / marks).touch()
    status, output = checkout.setup(VENV=str(folder), HOME=str(home))
    assert status == 1
    assert "is not a folder to make an environment in" in output
    assert (folder / "thesis.txt").exists()
    assert (checkout.root / "pyproject.toml").exists()


def test_folder_with_a_bin_is_not_taken_for_an_environment(checkout: Checkout) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    status, output = checkout.setup()
    assert status == 1
    assert "is no Python environment" in output
    assert (checkout.venv / "bin").exists()


def test_link_is_never_followed_to_delete(checkout: Checkout) -> None:
    target = checkout.root.with_name("elsewhere")
    target.mkdir()
    (target / "pyvenv.cfg").touch()
    checkout.venv.symlink_to(target)
    status, output = checkout.setup()
    assert status == 1
    assert "is a link" in output
    assert (target / "pyvenv.cfg").exists()


def test_half_made_environment_of_someone_else(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    (checkout.venv / "pyvenv.cfg").touch()
    (checkout.venv / "bin").mkdir()
    assert checkout.setup()[0] == 0
    assert checkout.calls() == EVERYTHING


def test_empty_folder_is_used(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    assert checkout.setup()[0] == 0
    assert checkout.calls() == EVERYTHING


def test_other_folder(checkout: Checkout) -> None:
    other = checkout.root.with_name("env 2")
    assert checkout.setup(VENV=str(other))[0] == 0
    assert (other / "bin" / "mlsnn").exists()
    assert not checkout.venv.exists()


def test_no_python_says_what_to_install_and_keeps_nothing(checkout: Checkout) -> None:
    status, output = checkout.setup(PYTHON="no-such-python")
    assert status == 1
    assert "names no program" in output
    assert not checkout.venv.exists()


def users_venv(checkout: Checkout) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    shutil.copy(checkout.python, checkout.venv / "bin" / "python")
    (checkout.venv / "pyvenv.cfg").touch()


def wait_for(file: Path, text: str) -> None:
    end = time.monotonic() + 30
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < end, f"{text!r} never came into {file}"
        time.sleep(0.02)


def test_a_newer_environment_takes_the_newest_packages_and_stays(checkout: Checkout) -> None:
    newer = {"NEWER": "yes", "VENV": ".venv-newer", "PYTHON": str(checkout.python)}
    code, output = checkout.setup(**newer)
    assert code == 0, output
    assert "Python 3.13" in output and (checkout.root / ".venv-newer" / "bin" / "mlsnn").exists()
    asked = (checkout.state / "calls").read_text()
    assert "constraints.txt" not in asked and "--upgrade" in asked
    assert checkout.calls() == EVERYTHING
    assert checkout.setup(**newer) == (0, "")
    assert checkout.calls() == []
    assert checkout.setup()[0] == 0, "the other environment is its own"
    assert checkout.calls() == EVERYTHING


def test_no_newer_python_is_another_answer_than_a_failure(checkout: Checkout) -> None:
    checkout.python.write_text("#!/bin/sh\necho 'is Python 3.10'\n")
    code, output = checkout.setup(NEWER="yes", VENV=".venv-newer")
    assert (code, output) == (3, "")
    assert not (checkout.root / ".venv-newer").exists()


@pytest.mark.parametrize("named", [True, False])
def test_the_newer_tests_say_that_they_did_not_run(checkout: Checkout, named: bool) -> None:
    checkout.python.write_text("#!/bin/sh\necho 'is Python 3.10'\n")
    for tool in ("bash", "dirname", "sort", "cat"):  # no Python of the machine on the PATH
        real = shutil.which(tool)
        assert real is not None
        checkout.python.with_name(tool).symlink_to(real)
    root = str(checkout.root)
    variables = {"PATH": str(checkout.python.parent), "HOME": root, "SYSROOT": root}
    if named:
        variables["PYTHON_NEWER"] = str(checkout.python)
    done = subprocess.run(
        ["bash", str(checkout.root / "tools" / "test_newer.sh")],
        env=variables,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    if named:
        assert done.returncode == 1 and "is no CPython 3.11 to 3.13" in done.stderr
    else:
        assert done.returncode == 0 and "NOT RUN" in done.stdout
