"""A network cut in two computes, part after part, what the whole one does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.runner import IntegerRunner
from netx_export.errors import ConfigError
from netx_export.spec import (
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from netx_export.spec.part import part


def run(spec, x):
    return IntegerRunner(spec, kind="reference").run(x).output


@settings(max_examples=25, deadline=None)
@given(spec=network_specs(), draw=st.data())
def test_the_parts_one_after_the_other_are_the_whole(spec, draw):
    count = draw.draw(st.integers(1, len(spec.layers) + 1), label="num_layers")
    last = min(count, len(spec.layers)) - 1
    while last < len(spec.layers) - 1 and isinstance(spec.layers[last], Flatten):
        last -= 1
    crossing = {s for layer in spec.layers[last + 1 :] for s in layer.sources if s <= last}
    within = {s for layer in spec.layers[: last + 1] for s in layer.sources}
    if len(crossing) > 1:  # something besides the last of the first part goes on
        with pytest.raises(ConfigError, match=f"skip_layers = {last + 1} cuts a shortcut"):
            part(spec, skip_layers=last + 1)
    if last == 0 or set(range(last)) - within:  # no neurons, or a layer that nothing reads
        with pytest.raises(ConfigError, match="num_layers"):
            part(spec, count)
        return
    first = part(spec, count)
    assert [layer.name for layer in first.layers] == [la.name for la in spec.layers[: last + 1]]
    x = payloads(spec, 3)
    sent = run(first, x)
    if last == len(spec.layers) - 1:
        np.testing.assert_array_equal(sent, run(spec, x))
        assert first.class_names == spec.class_names
        return
    between = part(spec, count, 1)  # without the input layer alone
    np.testing.assert_array_equal(run(between, x), sent)
    if len(crossing) > 1:
        return
    rest = part(spec, skip_layers=last + 1)
    np.testing.assert_array_equal(run(rest, sent), run(spec, x))


def chain():
    neuron = MultiLevel(3, [4], [0])
    return NetworkSpec(
        (
            Input((4,), 7),
            Population("a", (3,), (Dense(0, np.ones((3, 4), int)),), neuron),
            Population("b", (2,), (Dense(1, np.ones((2, 3), int)),), Readout()),
        )
    )


@pytest.mark.parametrize(
    "numbers, says",
    [
        ((0,), "num_layers must lie in 1"),
        ((1,), "must hold neurons"),
        ((2, 2), "must hold neurons"),
        ((None, 3), "must hold neurons"),
        ((None, -1), "skip_layers must lie in 0"),
        ((1.5,), "num_layers must be a whole number"),
        ((None, True), "skip_layers must be a whole number"),
        (("2",), "num_layers must be a whole number"),
    ],
)
def test_numbers_that_leave_no_network(numbers, says):
    with pytest.raises(ConfigError, match=says):
        part(chain(), *numbers)


def test_what_enters_the_rest_is_what_the_layer_before_sends():
    rest = part(chain(), skip_layers=2)
    assert (rest.input.shape, rest.input.payload, rest.input.gain) == ((3,), (0, 3), 1.0)
    assert [layer.name for layer in rest.layers] == ["input", "b"]


def test_a_cut_through_a_shortcut_is_refused_on_either_side_of_it():
    ones = np.ones(2, int)
    made = NetworkSpec(
        (
            Input((2,), 3),
            Population("a", (2,), (Identity(0, ones),), MultiLevel(3, [4], [0])),
            Population("b", (2,), (Identity(1, ones),), MultiLevel(3, [4], [0])),
            Population("c", (2,), (Identity(2, ones), Identity(1, ones)), Readout()),
        )
    )
    with pytest.raises(ConfigError, match="skip_layers = 3 cuts a shortcut"):
        part(made, skip_layers=3)
    assert part(made, skip_layers=2).input.payload == (0, 3)
    side = replace(made.layers[3], synapses=(Identity(1, ones), Identity(2, ones)))
    loose = replace(made, layers=(*made.layers[:2], replace(made.layers[2], synapses=(
        Identity(0, ones),)), side))  # fmt: skip
    with pytest.raises(ConfigError, match="num_layers = 3 cuts a shortcut"):
        part(loose, 3)  # nothing in it reads "a"
