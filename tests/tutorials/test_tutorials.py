"""Every tutorial runs from top to bottom, asserts what it claims, and is a notebook."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
WITHOUT_LAVA = (
    "02_train_and_export",
    "06_activity_energy_and_loihi2",
    "07_sparse_resnet_and_the_avalanche",
    "10_event_data_in_one_timestep",
)
SECONDS = 240  # a guard against hanging; a script takes 20 on two idle cores


def case(script: Path):
    lava = script.stem not in WITHOUT_LAVA
    return pytest.param(script, marks=[pytest.mark.lava] if lava else [], id=script.stem)


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("script", [case(s) for s in SCRIPTS])
def test_tutorial_runs(script, tmp_path):
    if script.stem not in WITHOUT_LAVA and importlib.util.find_spec("lava") is None:
        pytest.skip("needs Lava")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in paths if p),
        "TMPDIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that Lava's processes end with it
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        pytest.fail(f"{script.name} did not end in {SECONDS} s:\n{output[-2000:]}")
    assert process.returncode == 0, output[-4000:]
    assert "all claims hold" in output.splitlines(), output[-2000:]


def test_tutorials_are_numbered_without_gaps():
    numbers = [int(s.name[:2]) for s in SCRIPTS]
    assert numbers == list(range(1, len(SCRIPTS) + 1)) and len(numbers) >= 5


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_tutorial_is_named_in_the_readme_and_has_cells(script):
    assert f"`{script.name}`" in (ROOT / "tutorials" / "README.md").read_text()
    text = script.read_text()
    assert text.startswith("# ---\n# jupyter:") and "format_name: percent" in text
    assert text.count("# %% [markdown]") >= 5


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_tutorial_is_a_notebook(script):
    jupytext = pytest.importorskip("jupytext")
    notebook = jupytext.read(script)
    kinds = {cell.cell_type for cell in notebook.cells}
    assert kinds == {"markdown", "code"}
    assert notebook.cells[0].cell_type == "markdown"
