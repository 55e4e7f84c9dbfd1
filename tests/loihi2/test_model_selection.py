"""Neuro-core models exist where the closed extension is, and a public Lava does not notice them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from small_models import small_model
from test_allocation_executed import with_standin

from netx_export import export_model, lava_available

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("select") / "a.net"
    export_model(small_model(levels=4), path)
    return path


@pytest.fixture(scope="module")
def lines(file):
    done = with_standin("select_models.py", file, file.parent)
    assert done.returncode == 0, done.stderr
    return [line.split(" ") for line in done.stdout.splitlines()]


def test_hardware_takes_neuro_core_models_for_everything(lines):
    synapses = {f"{name}:Nc{name}" for name in ("Conv", "Dense", "DelaySparse", "Sparse")}
    neurons = {f"{name}:Nc{name}" for name in ("MultiLevelIF", "Readout")}
    assert set(lines[0][1:]) == synapses | neurons


def test_the_simulator_takes_cpu_models_also_beside_the_extension(lines):
    assert [name.split(":")[1][:2] for name in lines[1][2:]] == ["Py"] * len(lines[1][2:])
    assert lines[2] == ["leaf", "Network:PyNetworkFixed"]


def test_a_missing_program_says_which_and_where(lines):
    text = " ".join(lines[3])
    assert text.startswith("no folder ConfigError")
    assert "microcode program 'multilevel" in text and "LAVA_MLSNN_UCODE" in text


def test_a_public_lava_imports_the_guarded_modules_and_finds_nothing_in_them():
    code = (
        "import lava_mlsnn.proc.mlif.ncmodels as a, lava_mlsnn.proc.readout.ncmodels as b\n"
        "print([n for m in (a, b) for n in vars(m) if n.startswith('Nc')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
