"""A backend is one row: whoever computes, activity and parity take it from the table."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import images, small_model

from lava_mlsnn import backends
from lava_mlsnn.activity import measure
from lava_mlsnn.backends import BACKENDS, Backend, traces_of
from lava_mlsnn.errors import ConfigError, MLSNNError
from lava_mlsnn.export import to_spec
from lava_mlsnn.parity import check_parity
from lava_mlsnn.runner import encode
from netx_export import lava_available


@pytest.fixture(scope="module")
def spec():
    return to_spec(small_model(timesteps=2, width=3))


@pytest.fixture(scope="module")
def data():
    return images((1, 6, 5), 5, seed=3)


def joined(name, spec, x, **options):
    traces = list(traces_of(name, spec, x, **options))
    layers = {k: np.concatenate([t.layers[k] for t in traces]) for k in traces[0].layers}
    return np.concatenate([t.output for t in traces]), layers


@pytest.mark.parametrize("name", [n for n, row in BACKENDS.items() if row.traces])
def test_every_row_gives_the_same_integers(name, spec, data):
    if name == "lava" and not lava_available():
        pytest.skip("needs Lava")
    x = encode(spec, data)
    output, layers = joined(name, spec, x)
    expected, right = joined("reference", spec, x)
    np.testing.assert_array_equal(output, expected)
    assert set(layers) == set(right) == {p.name for _, p in spec.populations}
    for layer, z in layers.items():
        np.testing.assert_array_equal(z, right[layer], err_msg=layer)


def test_a_new_row_is_everywhere(spec, data, mlsnn_row):
    assert measure(spec, data, backend=mlsnn_row) == measure(spec, data)
    assert check_parity(spec, data, backends=[mlsnn_row]).count == 0


@pytest.fixture
def mlsnn_row(monkeypatch):
    row = Backend("mine", "mine", backends._reference, BACKENDS["reference"].options)
    monkeypatch.setitem(BACKENDS, "mine", row)
    return "mine"


def test_parity_finds_where_a_backend_differs(monkeypatch, spec, data):
    def wrong(spec, x, layers, **options):
        for trace in backends._reference(spec, x, layers, **options):
            trace.layers["stem"] = trace.layers["stem"].copy()
            trace.layers["stem"][0, 1, 2, 3, 1] += 5
            yield trace

    options = BACKENDS["reference"].options
    monkeypatch.setitem(BACKENDS, "wrong", Backend("wrong", "wrong", wrong, options))
    first = check_parity(spec, data, backends=["reference", "wrong"]).first
    assert (first.layer, first.side, first.count, first.largest) == ("stem", "wrong", 1, 5)
    assert (first.sample, first.timestep, first.neuron) == (0, 1, (1, 2, 3))


def test_what_no_row_offers_is_named(spec, data):
    x = encode(spec, data)
    with pytest.raises(ConfigError, match=r"backend must be one of runner, .*got 'gpu'"):
        traces_of("gpu", spec, x)
    with pytest.raises(ConfigError, match=r"lava has no option batch_size; it has tag, "):
        traces_of("lava", spec, x, batch_size=3)
    with pytest.raises(ConfigError, match="loihi2 gives no payloads of layers"):
        measure(spec, data, backend="loihi2")
    with pytest.raises(MLSNNError):
        list(traces_of("loihi2", spec, x))
