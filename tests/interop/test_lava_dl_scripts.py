"""Training scripts in the shape of lava-dl's tutorials run with our blocks, changed as documented.

``scripts/`` holds them for lava-dl's blocks; what ``docs/from_lava_dl.md`` shows as a diff is
applied here, line by line.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("lava.lib.dl.slayer")
pytest.importorskip("matplotlib")

from lava_mlsnn.lava.run import run_lava
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import read

pytestmark = pytest.mark.timeout(120)

PAGE = (Path(__file__).parents[2] / "docs" / "from_lava_dl.md").read_text()
SCRIPTS = Path(__file__).parent / "scripts"
TITLES = {"oxford": "Oxford", "nmnist": "N-MNIST", "pilotnet": "PilotNet"}


def diff_of(name):
    found = re.search(rf"\*\*{TITLES[name]}\*\*[^\n]*\n\n```diff\n(.*?)```", PAGE, re.S)
    return found[1].splitlines()


def changed(name):
    """The script with the page's diff applied: lines are removed in order, others put there."""
    lines = (SCRIPTS / f"{name}.py").read_text().splitlines()
    place = 0
    for line in diff_of(name):
        if line[0] == "-":
            place = lines.index(line[1:], place)
            del lines[place]
        else:
            lines.insert(place, line[1:])
            place += 1
    return "\n".join(lines)


def run(text, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = {"__name__": "script"}
    exec(compile(text, "script.py", "exec"), names)
    return names


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=TITLES)
def trained(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp(request.param)
        yield request.param, run(changed(request.param), folder, patch), folder


@pytest.mark.parametrize("name", TITLES)
def test_an_import_and_three_lines_are_all_that_is_new(name):
    added = [line[1:].strip() for line in diff_of(name) if line[0] == "+"]
    assert len([line for line in added if "import" not in line]) <= 3
    assert [line for line in added if "import" in line] == [
        "from lava_mlsnn.slayer import lava_dl as slayer"
    ]


@pytest.mark.parametrize("name", TITLES)
def test_unchanged_they_are_scripts_for_lava_dl(name, tmp_path, monkeypatch):
    text = re.sub(r"^epochs = \d+", "epochs = 1", (SCRIPTS / f"{name}.py").read_text(), flags=re.M)
    names = run(text, tmp_path, monkeypatch)
    assert type(names["net"].blocks[-1]).__module__.startswith("lava.lib.dl.slayer.block")
    assert (tmp_path / "Trained" / "network.net").is_file()


def test_they_train(trained):
    name, names, folder = trained
    losses = names["stats"].training.loss_log
    assert len(losses) == names["epochs"] and losses[-1] < 0.6 * losses[0]
    if name == "nmnist":
        assert names["stats"].testing.max_accuracy > 0.6  # chance is 0.1
    if name != "oxford":
        assert all(g > 0 for g in names["grad"]) and (folder / "Trained/gradFlow.png").is_file()
    assert all(type(b).__module__.startswith("lava_mlsnn") for b in names["net"].blocks)


def samples(name, names):
    loader = names["train_loader"] if name == "oxford" else names["test_loader"]
    return next(iter(loader))[0]


def test_what_they_export_computes_what_they_trained(trained):
    name, names, folder = trained
    net, x = names["net"].eval(), samples(name, names)
    sent = []
    hooks = [
        block.register_forward_hook(lambda block, _, out: sent.append((block, out)))
        for block in net.blocks
        if hasattr(block, "neuron")
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    spec = read(folder / "Trained" / "network.net")
    trace = IntegerRunner(spec).trace(encode(spec, x.numpy()))
    assert len(sent) == len(spec.populations)
    for (block, values), (_, layer) in zip(sent, spec.populations, strict=True):
        whole = np.rint(values.numpy() * getattr(block, "units", 1.0))
        np.testing.assert_array_equal(whole, trace.layers[layer.name], err_msg=layer.name)
        assert whole.any()


@pytest.mark.lava
def test_what_they_export_runs_in_lava(trained):
    pytest.importorskip("lava.magma")
    name, names, folder = trained
    spec = read(folder / "Trained" / "network.net")
    payload = encode(spec, samples(name, names).numpy()[:2])
    result = run_lava(spec, payload, timeout=60)
    np.testing.assert_array_equal(result.output, IntegerRunner(spec).run(payload).output)
