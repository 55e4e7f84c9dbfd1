"""What NIR can say, it says with the same integers; everything else is refused by name."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import from_numpy

nir = pytest.importorskip("nir")

from lava_mlsnn.errors import (  # noqa: E402
    FormatError,
    MLSNNError,
    RangeError,
    UnsupportedLayerError,
)
from lava_mlsnn.runner import IntegerRunner  # noqa: E402
from netx_export import export_nir, import_nir  # noqa: E402
from netx_export.interchange.nir import nir_graph  # noqa: E402
from netx_export.spec import (  # noqa: E402
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)


def binary(rng):
    """Convolution, shortcut, sum pool, flatten, dense, relay: everything that NIR can say."""

    def weights(*shape):
        return rng.integers(-100, 100, shape)

    def neuron(c):
        return MultiLevel(1, rng.integers(1, 300, c), rng.integers(-200, 200, c))

    c, size = int(rng.integers(1, 4)), int(rng.choice([4, 6]))
    exponent = int(rng.integers(0, 3))
    layers = [Input((c, size, size), int(rng.choice([1, 15])), bool(rng.integers(2)), 4.0)]
    conv = Conv(0, weights(3, c, 3, 3), exponent, padding=(1, 1))
    full, bias = (3, size, size), rng.integers(-99, 99, (2, 3))
    layers.append(Population("conv1", full, (conv,), neuron(3), bias[0]))
    arms = (Conv(1, weights(3, 3, 3, 3), padding=(1, 1)), Identity(1, weights(3)))
    layers.append(Population("conv2", full, arms, neuron(3), bias[1]))
    ones = Identity(1, np.ones(3, int)), Identity(2, np.ones(3, int))
    layers.append(Population("relay", full, ones, Readout(False)))
    half = size // 2
    pool = Conv(3, np.ones((3, 1, 2, 2), int), 0, (2, 2), groups=3)
    layers.append(Population("pool", (3, half, half), (pool,), Readout(False)))
    layers.append(Flatten(4, (3 * half * half,)))
    dense = Dense(5, weights(4, 3 * half * half))
    layers.append(Population("dense", (4,), (dense,), neuron(4), rng.integers(-99, 99, 4)))
    if rng.integers(2):
        out = Population("out", (2,), (Dense(6, weights(2, 4)),), Readout(), np.array([3, -7]))
        layers.append(out)
        return NetworkSpec(tuple(layers), 1, {}, ("a", "b"))
    return NetworkSpec(tuple(layers))


def interpreted(graph, x):
    """NIR's documented equations for one timestep from v = 0, in float32."""
    sent = {}
    waits = dict(graph.nodes)
    while waits:
        for name, node in list(waits.items()):
            before = [a for a, b in graph.edges if b == name]
            if any(a in waits for a in before):
                continue
            del waits[name]
            y = x if not before else sum(sent[a] for a in before)
            kind = type(node).__name__
            if kind in ("Linear", "Affine"):
                y = y @ node.weight.T + (node.bias if kind == "Affine" else 0)
            elif kind == "Conv2d":
                window = tuple(node.stride), tuple(node.padding), tuple(node.dilation), node.groups
                weight, bias = from_numpy(node.weight), from_numpy(node.bias)
                y = F.conv2d(from_numpy(y), weight, bias, *window).numpy()
            elif kind == "SumPool2d":
                window = tuple(map(int, node.kernel_size)), tuple(map(int, node.stride))
                y = F.avg_pool2d(from_numpy(y), *window, divisor_override=1).numpy()
            elif kind == "Scale":
                y = y * node.scale
            elif kind == "Flatten":
                y = y.reshape(len(y), -1)
            elif kind == "IF":
                y = (node.r * y > node.v_threshold).astype(np.float32)
            sent[name] = y
    return sent


def payloads(spec, rng):
    low, high = spec.input.payload
    return rng.integers(low, high + 1, (4, *spec.input.shape))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_layer_of_drawn_networks_there_and_back(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    spec = binary(rng)
    x = payloads(spec, rng)
    trace = IntegerRunner(spec).trace(x)
    path = export_nir(spec, tmp_path_factory.mktemp("nir") / "a.nir")
    sent = interpreted(nir.read(path), x.astype(np.float32))
    for name, z in trace.layers.items():
        np.testing.assert_array_equal(sent[name], z[..., 0], name)
    back = import_nir(path)
    again = IntegerRunner(back).trace(x)
    np.testing.assert_array_equal(again.output, trace.output)
    assert (back.input.levels, back.input.signed, back.input.gain, back.class_names) == (
        *(spec.input.levels, spec.input.signed, spec.input.gain),
        spec.class_names,
    )


def changed(**changes):
    """A network of one layer that NIR can say, but for one thing."""
    size = changes.get("shape", (2, 4, 4))
    neuron = MultiLevel(changes.get("levels", 1), np.array([5]), np.array([0]))
    synapse = changes.get("synapse", Conv(0, np.ones((2, 2, 3, 3), int), 0, padding=(1, 1)))
    layer = Population(changes.get("name", "s"), size, (synapse,), neuron)
    return NetworkSpec((Input((2, 4, 4), 1), layer), changes.get("steps", 1))


REFUSED = {
    "T": ({"steps": 2}, r"forgets what is above the threshold .*\(T = 2\)"),
    "N": ({"levels": 4}, "these neurons up to N = 4; NIR has no graded neuron"),
    "transposed": (
        {"synapse": ConvTranspose(0, np.ones((2, 2, 3, 3), int), 0, padding=(1, 1))},
        "NIR has no ConvTranspose",
    ),
    "groups": (
        {"synapse": Conv(0, np.full((2, 1, 3, 3), 2), 0, padding=(1, 1), groups=2)},
        "several groups",
    ),
    "rounding": (
        {"synapse": Conv(0, np.ones((2, 2, 3, 3), int), -1, padding=(1, 1))},
        "rounds sums down, which NIR has no word for",
    ),
    "slash": ({"name": "a/b"}, 'names have no "/"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_lost_is_said(tmp_path, case):
    changes, words = REFUSED[case]
    with pytest.raises(UnsupportedLayerError, match=words):
        export_nir(changed(**changes), tmp_path / "a.nir")
    assert not any(tmp_path.iterdir())


def read_of(tmp_path, *nodes):
    graph = nir.NIRGraph.from_list(*nodes)
    nir.write(tmp_path / "b.nir", graph)
    return import_nir(tmp_path / "b.nir")


def neuron(n=2, r=1.0, limit=1.0):
    full = np.full(n, r, np.float32)
    return nir.IF(r=full, v_threshold=np.full(n, limit, np.float32) + 0 * full)


def test_exactly_at_the_threshold_nothing_fires(tmp_path):
    spec = read_of(tmp_path, nir.Linear(np.eye(2, dtype=np.float32)), neuron(limit=1.0))
    assert int(spec.layers[1].neuron.vth[0]) == 2  # v > 1
    spec = read_of(tmp_path, nir.Linear(np.eye(2, dtype=np.float32)), neuron(limit=0.5))
    assert int(spec.layers[1].neuron.vth[0]) == 1
    spec = read_of(tmp_path, nir.Linear(np.eye(2, dtype=np.float32)), neuron(limit=-3.5))
    assert (int(spec.layers[1].neuron.vth[0]), int(spec.layers[1].neuron.v0[0])) == (1, 4)


def test_foreign_graphs_are_refused_by_node(tmp_path):
    eye = np.eye(2, dtype=np.float32)
    ones = np.ones(2, np.float32)
    cases = [
        ((nir.Linear(eye / 3), neuron()), UnsupportedLayerError, "must be whole numbers"),
        ((nir.Affine(eye, ones / 2), neuron()), UnsupportedLayerError, "bias must be of whole"),
        ((nir.Linear(eye), neuron(r=2.0)), UnsupportedLayerError, "resistance r other than 1"),
        (
            (nir.Linear(eye), nir.LIF(tau=ones, r=ones, v_leak=ones, v_threshold=ones)),
            UnsupportedLayerError,
            "LIF has no exact counterpart",
        ),
        ((nir.Linear(eye * 1001), neuron()), RangeError, "8-bit weights"),
    ]
    for nodes, kind, words in cases:
        with pytest.raises(kind, match=words):
            read_of(tmp_path, *nodes)
    (tmp_path / "c.nir").write_bytes(b"no NIR")
    with pytest.raises(FormatError, match="is no NIR file"):
        import_nir(tmp_path / "c.nir")


EYE, ONES, IMAGE = np.eye(2), np.ones(2), np.ones((1, 2, 2))
ENDS = {
    "input": nir.Input(input_type={"input": np.array([2])}),
    "output": nir.Output(output_type={"output": np.array([2])}),
}


ENDS_OF_IMAGE = {
    "f": nir.Flatten(input_type={"input": np.array([1, 2, 2])}, start_dim=0),
    "output": ENDS["output"],
}


def conv(**changes):
    """One convolution of an image of one channel into two."""
    fields = {"input_shape": (4, 4), "weight": np.ones((2, 1, 3, 3)), "stride": 1, "padding": 1,
              "dilation": 1, "groups": 1, "bias": np.zeros(2)} | changes  # fmt: skip
    return [nir.Conv2d(**fields), nir.IF(r=np.ones((2, 4, 4)), v_threshold=np.ones((2, 4, 4)))]


# nodes in a row, or a graph; what is said
STRANGE = {
    "an infinite bias": ([nir.Affine(EYE, ONES * np.inf), neuron()], "bias must be of whole"),
    "a bias beyond 24 bits": ([nir.Affine(EYE, ONES * 2.0**24), neuron()], "must fit 24 bits"),
    "a bias beyond 64 bits": ([nir.Affine(EYE, ONES * 1e30), neuron()], "bias must fit 32 bits"),
    "a weight beyond 64 bits": ([nir.Linear(EYE * 1e300), neuron()], "weights must fit 32 bits"),
    "a complex weight": ([nir.Linear(EYE * 1j), neuron()], "numbers, got complex128"),
    "weights of text": ([nir.Linear(EYE.astype("S3")), neuron()], "must be numbers, got [|]S3"),
    "a bias of another size": ([nir.Affine(EYE, np.ones(3)), neuron()], "one value per channel"),
    "an infinite threshold": ([nir.Linear(EYE), neuron(limit=np.inf)], "24 bits, got inf"),
    "a threshold that v never passes": (
        [nir.Linear(EYE), neuron(limit=2.0**23 - 1)], "must fit 24 bits, got 8.38861e[+]06"),
    "no neurons": ([nir.Linear(np.ones((0, 2))), neuron(0)], "a threshold for each neuron"),
    "several thresholds": (
        [nir.IF(r=IMAGE, v_threshold=np.arange(4.0).reshape(1, 2, 2))], "several thresholds"),
    "several scales": (
        [nir.Scale(np.arange(4.0).reshape(1, 2, 2)), nir.IF(r=IMAGE, v_threshold=IMAGE)],
        "scales the neurons of a channel differently"),
    "three strides": (conv(stride=np.array([1, 1, 1])), "stride must be one or two numbers, got 3"),
    "half a group": (conv(groups=1.5), "groups must be whole numbers"),
    "no group": (conv(groups=0), "groups must lie in"),
    "a padding of a name": (conv(padding="same"), "padding must be numbers, got 'same'"),
    "a graph in a graph": ([nir.NIRGraph.from_list(nir.Linear(EYE), neuron())], "NIRGraph has no"),
    "two inputs": (
        nir.NIRGraph({**ENDS, "b": ENDS["input"], "a": neuron()},
                     [("input", "a"), ("b", "a"), ("a", "output")]),
        "one Input node, this NIR graph has 2"),
    "what reads itself": (
        nir.NIRGraph({**ENDS, "a": neuron(), "w": nir.Linear(EYE)},
                     [("input", "a"), ("a", "w"), ("w", "a"), ("a", "output")]),
        "recurrent"),
    "a sum that is flattened": (
        nir.NIRGraph(
            {"input": nir.Input(input_type={"input": np.array([1, 2, 2])}), **ENDS_OF_IMAGE,
             "a": nir.IF(r=IMAGE, v_threshold=IMAGE), "w": nir.Linear(np.ones((2, 4)))},
            [("input", "a"), ("input", "f"), ("a", "f"), ("f", "w"), ("w", "output")]),
        "flattens a sum"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_exact_number_or_graph_is_one_sentence_about_the_file(tmp_path, name):
    made, words = STRANGE[name]
    path = tmp_path / "b.nir"
    nir.write(path, made if isinstance(made, nir.NIRGraph) else nir.NIRGraph.from_list(*made))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MLSNNError, match=words) as caught:
            import_nir(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_an_input_of_the_callers_own_stands_for_the_graphs(tmp_path):
    nir.write(tmp_path / "b.nir", nir.NIRGraph.from_list(nir.Linear(EYE), neuron()))
    given = Input((2,), 7, name="mine")
    assert import_nir(tmp_path / "b.nir", given).input == given
    with pytest.raises(FormatError, match=r"input is of shape \(2,\), got \(3,\)"):
        import_nir(tmp_path / "b.nir", Input((3,)))


def test_what_nir_has_no_word_for_stands_beside_the_input():
    graph = nir_graph(changed())
    note = json.loads(graph.nodes["input"].metadata["lava_mlsnn"])
    assert note == {"levels": 1, "signed": False, "gain": 1.0, "class_names": []}
