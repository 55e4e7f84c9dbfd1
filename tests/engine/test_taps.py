"""Layers that add and subtract payloads channel by channel, of which max pooling is made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_engine_forms import assert_forms_agree

from lava_mlsnn.engine import Engine
from lava_mlsnn.engine.taps import Taps
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def network(synapses, shape, vth=3, bias=2, levels=4, top=4, size=7):
    """Two channels into one such population, and a readout."""
    neuron = MultiLevel(levels, np.full(2, vth), np.zeros(2, int))
    layer = Population("layer", (2, *shape), tuple(synapses), neuron, np.full(2, bias))
    count = 2 * shape[0] * shape[1]
    out = Population("out", (1,), (Dense(2, np.ones((1, count), int)),), Readout())
    return NetworkSpec((Input((2, size, size), top), layer, Flatten(1, (count,)), out))


def signs(weight, vth=3, stride=(1, 1), dilation=(1, 1), exponent=0):
    """The same kernel of -1, 0 and +1 in both channels, in units of vth."""
    kernel = np.broadcast_to(np.asarray(weight) * vth >> exponent, (2, 1, *np.shape(weight)))
    return Conv(0, kernel, exponent, stride=stride, dilation=dilation, groups=2)


def form(spec):
    return type(Engine(spec).layers[1])


@st.composite
def kernels(draw):
    """A synapse and the size of its output for an image of 7 x 7."""
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    cells = st.lists(st.sampled_from([-1, 0, 1]), min_size=columns, max_size=columns)
    weight = draw(st.lists(cells, min_size=rows, max_size=rows))
    stride, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 2))) for _ in range(2))
    size = tuple(
        (7 - d * (k - 1) - 1) // s + 1
        for k, s, d in zip((rows, columns), stride, dilation, strict=True)
    )
    return weight, stride, dilation, size


@given(kernels(), st.integers(1, 6), st.integers(1, 6), st.integers(0, 9), st.data())
@QUICK
def test_they_give_the_integers_of_the_plain_form(kernel, vth, levels, seed, data):
    weight, stride, dilation, size = kernel
    bias = data.draw(st.integers(0, vth - 1))
    spec = network([signs(weight, vth, stride, dilation)], size, vth, bias, levels)
    x = np.random.default_rng(seed).integers(0, 5, (3, 2, 7, 7))
    forms = assert_forms_agree(spec, x)
    assert (type(forms[1]) is Taps) == (np.max(weight) > 0)


def test_several_synapses_and_an_identity_add_up():
    spec = network([signs([[1, -1, 1]], dilation=(1, 3)), signs([[-1]], stride=(1, 7))], (7, 1))
    x = np.random.default_rng(1).integers(0, 5, (4, 2, 7, 7))
    assert type(assert_forms_agree(spec, x)[1]) is Taps
    both = [Identity(0, np.full(2, 3)), signs([[-1]])]
    assert type(assert_forms_agree(network(both, (7, 7)), x)[1]) is Taps
    alone = network([Identity(0, np.full(2, 3))], (7, 7))
    assert type(assert_forms_agree(alone, x)[1]) is Taps


def test_an_exponent_belongs_to_the_weight():
    spec = network([signs([[1, -1]], 8, exponent=3)], (7, 6), vth=8)
    x = np.random.default_rng(2).integers(0, 5, (2, 2, 7, 7))
    assert type(assert_forms_agree(spec, x)[1]) is Taps


@pytest.mark.parametrize(
    ("why", "spec"),
    [
        ("the sum leaves a byte", network([signs([[1, 1]])], (7, 6), top=128)),
        ("what is subtracted leaves it", network([signs([[-1, 1, -1]])], (7, 5), top=128)),
        ("a step of bias", network([signs([[1, -1]])], (7, 6), bias=3)),
        ("a bias below 0", network([signs([[1, -1]])], (7, 6), bias=-1)),
        ("no step", network([Conv(0, np.full((2, 1, 1, 1), 2), groups=2)], (7, 7))),
        (
            "channels apart",
            network([Conv(0, np.array([3, -3]).reshape(2, 1, 1, 1), groups=2)], (7, 7)),
        ),
        ("channels mixed", network([Conv(0, np.full((2, 2, 1, 1), 3))], (7, 7))),
    ],
)
def test_what_is_no_such_layer_takes_another_form(why, spec):
    high = spec.input.levels
    x = np.random.default_rng(3).integers(0, high + 1, (3, 2, 7, 7))
    assert type(assert_forms_agree(spec, x)[1]) is not Taps


def test_at_the_edge_of_a_byte_it_is_one():
    spec = network([signs([[1, -1, 1]])], (7, 5), top=127)
    x = np.full((1, 2, 7, 7), 127)
    x[:, :, :, 1::2] = 0
    assert type(assert_forms_agree(spec, x)[1]) is Taps


def test_max_pooling_is_made_of_them():
    import torch

    from lava_mlsnn.slayer import block
    from netx_export import to_spec

    pool = block.MaxPool((2, 8, 8), 2, payload_max=4)
    flat = block.Flatten(pool.shape, pool.payload_max)
    spec = to_spec(
        torch.nn.Sequential(block.Input((2, 8, 8), 4, 4.0), pool, flat, block.Output(32, 3)).eval(),
        1,
    )
    x = np.random.default_rng(4).integers(0, 5, (3, 2, 8, 8))
    forms = assert_forms_agree(spec, x)
    assert sum(type(f) is Taps for f in forms.values()) == 3
