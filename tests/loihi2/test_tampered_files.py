"""A file that was changed after it was written is refused, with the reason."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from test_preflight import network

from lava_mlsnn.cli.app import app
from netx_export import write


def check(path, *options):
    from typer.testing import CliRunner

    try:
        runner = CliRunner(mix_stderr=False)  # click before 8.2
    except TypeError:
        runner = CliRunner()
    return runner.invoke(app, ["check", str(path), "--target", "loihi2", *options])


def changed(path, name, value):
    """One number of a field, the type of the field as it was or wide enough."""
    with h5py.File(path, "r+") as file:
        old = file[name][()]
        new = np.array(old, np.int64)
        new.flat[0] = value
        del file[name]
        file[name] = new


CASES = [
    ("weights out of range", "layer/1/weight", 300, "layer 1 (stem)",
     "it must lie in -256..255, got -18..300"),
    ("odd weights of mixed sign", "layer/1/weight", 201, "layer 1 (stem)", "must be even"),
    ("exponent", "layer/1/weight_exp", 40, "layer 1 (stem)", "weight_exp"),
    ("delay 64", None, None, "layer 66 (sum)", "can wait 62 timesteps at most"),
    ("payload over the messages", "layer/4/neuron/messageBits", 8, "layer 4 (out)",
     "must fit num_message_bits = 8"),
    ("levels beyond 24 bits", "layer/1/neuron/levels", 1 << 23, "layer 1 (stem)", "levels"),
    ("an accumulator that can overflow", "layer/0/levels", 1 << 20, "layer 1 (stem)",
     "must fit 24 bits"),
    ("threshold 0", "layer/1/neuron/vth", 0, "layer 1 (stem)", "must lie in 1..8388607, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "where", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_it_is_refused_with_its_reason(tmp_path, field, value, where, words):
    path = tmp_path / "network.net"
    write(network(vth=1), path)
    assert check(path).exit_code == 0
    if field is None:
        lengthen(path, 64)
    else:
        changed(path, field, value)
    answer = check(path)
    said = answer.stdout + answer.stderr
    assert answer.exit_code in (1, 2), said
    lines = [x for x in said.splitlines() if "does not fit" in x or "mlsnn: error" in x]
    assert any(where in x and words in x for x in lines), said
    assert "Traceback" not in said


def lengthen(path, count):
    """Put copies of the stem between it and the sum, so that the shortcut waits for them."""
    with h5py.File(path, "r+") as file:
        layers = file["layer"]
        for old in (4, 3, 2):
            layers.move(str(old), str(old + count))
        for i in range(count):
            layers.copy("1", str(i + 2))
            copy = layers[str(i + 2)]
            for name, value in (
                ("name", np.bytes_(f"deep{i}")),
                ("inputs", np.array([i + 1])),
                ("inChannels", np.int64(4)),
                ("weight", np.ones((4, 4, 3, 3), np.int16)),
            ):
                del copy[name]
                copy[name] = value
        for index, sources in ((2, [count + 1, 1]), (3, [count + 2]), (4, [count + 3])):
            group = layers[str(index + count)]
            del group["inputs"]
            group["inputs"] = np.array(sources)
