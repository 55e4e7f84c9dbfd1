"""The other sides compute our integers, or do our work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import environments, networks
from benchmarks.environments import ENVIRONMENTS, find_python, python_of
from benchmarks.errors import SideError
from benchmarks.sides import runner, torch_fp32, train_ours
from benchmarks.sides.relu_resnet import ReluResnet
from netx_export.interchange.lines import line, steps_at

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    spec, samples = str(folder / "small.net"), str(folder / "x.npy")
    config = {"arch": "sparse-resnet-8", "input_shape": [3, 8, 8], "classes": 10, "width": 8}
    networks.resnet(1, spec, **config)
    networks.random_samples(1, samples, 6, [3, 8, 8], 127)
    return {"spec": spec, "samples": samples, "count": 6}


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
def test_torch_fp32_has_the_runners_integers(small, batch, channels_last):
    ours = runner.run(1, **small, batch=batch, passes=1)
    theirs = torch_fp32.run(1, **small, batch=batch, passes=1, channels_last=channels_last)
    assert np.array_equal(ours["arrays"]["output"], theirs["arrays"]["output"])
    assert len(ours["seconds"]) == len(theirs["seconds"]) == (6 if batch == 1 else 1)


def test_memory_sides_have_the_same_integers(small, tmp_path):
    model = str(tmp_path / "small.pt")
    torch_fp32.save(1, model, small["spec"])
    ours = runner.memory(1, **small, batch=4)
    arguments = {"samples": small["samples"], "count": 6, "batch": 4, "channels_last": False}
    theirs = torch_fp32.memory(1, model, **arguments)
    assert np.array_equal(ours["arrays"]["output"], theirs["arrays"]["output"])


@pytest.mark.lava
def test_stock_lava_has_the_integers_of_every_layer(small):
    pytest.importorskip("lava.magma")
    from benchmarks.sides import lava_run, stock_lava

    paths = {"spec": small["spec"], "samples": small["samples"]}
    theirs = stock_lava.network(1, **paths)["arrays"]
    ours = lava_run.run(1, **paths, count=2, per_layer=False, passes=1)["arrays"]
    assert {k for k in ours if k != "output"} == {k for k in theirs if k != "output"}
    for name in theirs:
        assert np.array_equal(ours[name][:1], theirs[name]), name


integers = st.integers
CHANNELS = st.lists(st.tuples(integers(64, 20000), integers(-4000, 4000)), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(CHANNELS, integers(1, 8), integers(0, 3), st.sampled_from([0, 128]))
def test_a_line_is_the_neuron_or_there_is_none(channels, levels, exponent, shift):
    vth, offset = (np.array(column, np.int64) for column in zip(*channels, strict=True))
    unit = 2 << exponent
    ks = np.arange(1 - levels if shift else 1, levels + 1)
    found = line(vth, offset, unit, ks, shift)
    if found is None:
        return
    scale, bias = found
    for c in range(len(vth)):
        edge = int(steps_at(vth[c : c + 1], offset[c : c + 1], unit, ks)[0, 0])
        n = np.arange(edge - 50, edge + int(levels * 2 * vth[c] // unit) + 50)
        neuron = (unit * n + offset[c]) // vth[c]
        rounded = np.rint((n + bias[c]).astype(np.float32) * scale[c]) - shift
        low = ks[0] - 1
        assert np.array_equal(rounded.clip(low, levels), neuron.clip(low, levels))


def test_most_lines_exist():
    rng = np.random.default_rng(0)
    vth, offset = rng.integers(400, 4000, 256), rng.integers(-1000, 1000, 256)
    assert line(vth, offset, 2, np.arange(-3, 5), 128) is not None


def test_the_relu_network_has_our_convolutions():
    arch, shape = "sparse-resnet-18", [3, 32, 32]
    ours = train_ours.build("ours", arch, shape)
    relu = ReluResnet(arch, tuple(shape))

    def convolutions(model):
        return sorted(tuple(p.shape) for p in model.parameters() if p.dim() == 4)

    assert convolutions(ours) == convolutions(relu)
    assert relu.eval()(torch.zeros(1, *shape)).shape == (1, 10)


@pytest.mark.parametrize("kind", ["ours", "relu"])
def test_training_memory_is_measured_on_the_same_work(kind):
    found = train_ours.memory(1, kind, "sparse-resnet-8", [3, 8, 8], batch=4, steps=1)
    assert found["facts"]["finite"] and found["seconds"][0] >= 0


def test_epoch_counts_weights_and_samples():
    found = train_ours.epoch(1, "sparse-resnet-8", [1, 8, 8], 80, timesteps=2, levels=1)
    assert found["facts"]["samples"] == 80 and found["seconds"][0] > 0


def test_peak_sees_what_was_freed_again():
    """In a process of its own: this one may hold freed memory that is taken first."""
    code = (
        "import numpy as np\n"
        "from benchmarks.sides.memory import Peak\n"
        "with Peak() as peak:\n"
        "    block = np.ones(50 * 2**20 // 8)\n"
        "    del block\n"
        "print(peak.added)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40 * 2**20


def test_our_block_reports_its_work():
    from benchmarks.sides import block_ours

    for own in (False, True):
        found = block_ours.run(1, 2, 2, norm=False, repeats=1, own_layout=own)["facts"]
        assert found == {
            "shape": [32, 32, 16, 16, 2],
            "weights": 32 * 32 * 9,
            "finite": True,
            "input_gradient": True,
            "weight_gradient": True,
        }


def test_requirements_are_pinned_and_name_no_index():
    for environment in ENVIRONMENTS.values():
        lines = environment.requirements.read_text().splitlines()
        pins = [text for text in lines if text and not text.startswith("#")]
        assert pins and all(text.count("==") == 1 and " " not in text for text in pins)
        assert not any(text.startswith("-") or "://" in text for text in lines)


def test_an_environment_without_its_python_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "find_python", lambda versions: None)
    jelly = ENVIRONMENTS["spikingjelly"]
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"spikingjelly": jelly})
    monkeypatch.setattr(environments.sys, "version_info", (3, 10, 0))
    assert environments.main() == 0
    with pytest.raises(SideError, match=r"no Python 3\.11 or 3\.12 or 3\.13 was found.*install"):
        python_of("spikingjelly")
    assert python_of("project").exists()


def test_an_environment_with_other_versions_is_not_right(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    (tmp_path / "one" / "bin").mkdir(parents=True)
    python = tmp_path / "one" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    wanted = tmp_path / "requirements.txt"
    environment = environments.Environment("one", wanted, ("3.10",))
    wanted.write_text(f"# a comment\nnumpy=={np.__version__}\n")
    assert environment.problem() == ""
    wanted.write_text("numpy==0.0.1\n")
    assert environment.problem()
    assert environments.Environment("two", wanted, ("3.10",)).problem()


def test_a_python_that_does_not_run_is_no_python(tmp_path, monkeypatch):
    broken = tmp_path / "python9.9"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python(("9.9",)) is None
    broken.write_text("#!/bin/sh\necho 9.9\n")
    assert find_python(("9.9",)) == broken
