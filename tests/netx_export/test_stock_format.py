"""What stock lava-dl writes is read with the stock result; what it can run, it loads."""

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import FormatError, MLSNNError, RangeError, UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner
from netx_export import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    StockNeuron,
    read,
    stock_reasons,
    worst_case,
    write,
)
from netx_export.file import schema
from netx_export.file.stock import dense_weight

needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="needs Lava")


def stock_file(path, layers, **root):
    """A file as lava-dl's SLAYER writes it: one dict of datasets a layer."""
    with h5py.File(path, "w") as file:
        for index, fields in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for name, value in fields.items():
                if name == "type":
                    group.create_dataset("type", (1,), "S10", [value.encode()])
                else:
                    group.create_dataset(name, data=value)
        for name, value in root.items():
            file[name] = value
    return path


CUBA = {
    "neuron/type": "CUBA",
    "neuron/iDecay": 1024,
    "neuron/vDecay": 128,
    "neuron/vThMant": 80,
    "neuron/refDelay": 1,
    "neuron/gradedSpike": False,
}


def dense(weight, neuron=CUBA, **more):
    weight = np.asarray(weight, np.float32)
    shape = {"shape": [weight.shape[0]], "inFeatures": weight.shape[1], "outFeatures": len(weight)}
    return {"type": "dense", **shape, "weight": weight, **(neuron or {}), **more}


def conv(weight, shape, **more):
    weight = np.asarray(weight, np.float32)
    fields = {
        "type": "conv",
        "shape": shape,
        "inChannels": weight.shape[1],
        "outChannels": weight.shape[0],
        "kernelSize": weight.shape[2:4],
        "stride": [1, 1],
        "padding": [0, 0],
        "dilation": [1, 1],
        "groups": 1,
        "weight": weight,
    }
    return {**fields, **CUBA, **more}


# -- reading -------------------------------------------------------------------


def test_fractions_are_cut_off_as_stock_does(tmp_path):
    file = stock_file(tmp_path / "a.net", [dense([[2.9, -2.9, 0.1]], bias=np.array([-1.5]))])
    spec = read(file)
    assert spec.input.shape == (3,)  # put before a file that starts with a dense layer
    assert spec.output.synapses[0].weight.tolist() == [[2, -2, 0]]
    assert spec.output.bias.tolist() == [-1]
    assert spec.output.neuron.params["vThMant"] == 80


def test_a_dense_layer_without_neuron_gets_the_stock_default(tmp_path):
    spec = read(stock_file(tmp_path / "a.net", [dense([[4.0]], neuron=None)]))
    assert spec.output.neuron.type == "CUBA"
    assert spec.output.neuron.params["vThMant"] == 1 << 17


def test_shapes_and_scalars_in_all_the_forms_that_slayer_writes(tmp_path):
    file = stock_file(
        tmp_path / "a.net",
        [
            {"type": "input", "shape": [2, 4, 5], "weight": np.float32(36), "bias": np.array([34])},
            conv(np.ones((3, 2, 3, 2, 1)), [3, 2, 4], stride=1, groups=np.array([1])),
            {"type": "flatten", "shape": [1, 1, 24]},
            dense(np.ones((2, 24)), shape=[2, 1, 1]) | {"weight": np.ones(48, np.float32)},
        ],
        **{"simulation/Ts": 1, "simulation/tSample": 16},
    )
    spec = read(file)
    assert [layer.shape for layer in spec.layers] == [(2, 4, 5), (3, 2, 4), (24,), (2,)]
    assert spec.provenance["input_transform"] == {"weight": 36, "bias": 34}
    assert spec.provenance["simulation"] == {"Ts": 1, "tSample": 16}
    assert [layer.name for layer in spec.layers] == ["input", "conv1", "flatten2", "dense3"]


def test_a_flat_input_may_be_declared_as_image(tmp_path):
    file = stock_file(
        tmp_path / "a.net", [{"type": "input", "shape": [1, 1, 3]}, dense([[1, 2, 3]])]
    )
    assert read(file).input.shape == (3,)


REFUSED = {
    "pool": ([dense([[1.0]]), {"type": "pool", "shape": [1]}], "layer 1.*'pool'"),
    "transposed": ([dense([[1.0]]), {"type": "convT", "shape": [1]}], "layer 1.*'convT'"),
    "average": ([dense([[1.0]]), {"type": "average", "shape": [1]}], "layer 1.*'average'"),
    "recurrent": ([dense([[1.0]], type="dense_rec")], "layer 0.*first layer|dense_rec"),
    "delays": ([dense([[1.0]], delay=np.array([3.0]))], r"layer 0 \(dense0\), delay"),
    "complex weights": (
        [{k: v for k, v in dense([[1.0]]).items() if k != "weight"}
         | {"weight/real": [[1.0]], "weight/imag": [[1.0]]}],
        "weight.*complex",
    ),
    "resonators": ([dense([[1.0]], **{"neuron/type": "RF_PHASE"})], "neuron/type.*RF_PHASE"),
    "adaptive": ([dense([[1.0]], **{"neuron/type": "ALIF"})], "neuron/type.*ALIF"),
    "a parameter per neuron": ([dense([[1.0]], **{"neuron/vDecay": [1, 2]})], "neuron/vDecay"),
    "a neuron without threshold": (
        [{k: v for k, v in dense([[1.0]]).items() if k != "neuron/vThMant"}],
        "neuron/vThMant.*lacks",
    ),
    "all weights zero": ([dense([[0.0, 0.0]])], "weight.*all 0"),
    "a convolution first": ([conv(np.ones((1, 1, 1, 1)), [1, 2, 2])], "layer 0.*input layer"),
    "weights beyond 8 bits": (
        [{"type": "input", "shape": [1, 2, 2]}, conv(np.full((1, 1, 1, 1), 300), [1, 2, 2])],
        r"layer 1 \(conv1\), weight.*300",
    ),
    "weights beyond any integer": ([dense([[1e30]])], r"layer 0 \(dense0\), weight: "),
    "NaN": ([dense([[np.nan]])], "weight.*NaN"),
    "a convolution without neuron": (
        [{"type": "input", "shape": [1, 2, 2]},
         {k: v for k, v in conv(np.ones((1, 1, 1, 1)), [1, 2, 2]).items() if "neuron" not in k}],
        "neuron.*lacks",
    ),
    "connections without a format": ([dense([[1.0]], inputs=[0])], "inputs.*format"),
    "a bias beyond 24 bits": (
        [dense([[1.0]], bias=np.array([2.0**23]))], r"layer 0 \(dense0\), bias: .*24 bits"),
    "synapses that lava-dl lacks": (
        [{"type": "input", "shape": [1, 2, 2]},
         {**conv(np.ones((1, 1, 1, 1)), [1, 2, 2]), "type": "identity", "weight": [1]}],
        r"layer 1 \(identity1\), type: .*one-to-one"),
    "transposed convolutions of ours": (
        [{"type": "input", "shape": [1, 2, 2]},
         {**conv(np.ones((1, 1, 1, 1)), [1, 2, 2]), "type": "convT", "weight_exp": 0}],
        r"layer 1 \(convT1\), type: .*cannot have a transposed"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_layer_and_field(name, tmp_path):
    layers, message = REFUSED[name]
    file = stock_file(tmp_path / "a.net", layers)
    with pytest.raises(MLSNNError, match=message) as caught:
        read(file)
    assert isinstance(caught.value, FormatError | RangeError | UnsupportedLayerError)


def test_a_bias_may_fill_24_bits(tmp_path):
    for bias in (2**23 - 1, -(2**23)):
        made = read(stock_file(tmp_path / "a.net", [dense([[1.0]], bias=np.array([float(bias)]))]))
        assert made.layers[1].bias.tolist() == [bias]


# -- the stock optimisation of dense weights -------------------------------------


def lava_dense(weight, s):
    """What stock Lava's loader and dense ProcessModel compute, by their own functions."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    moved, bits, exponent, _ = optimize_weight_bits(weight.copy())
    sign = determine_sign_mode(moved)
    moved = truncate_weights(clip_weights(moved, sign, num_bits=8), sign, bits)
    total = moved.dot(s)
    return total << exponent if exponent > 0 else total >> -exponent


@needs_lava
@settings(max_examples=150, deadline=None)
@given(
    low=st.integers(-300, 200),
    width=st.integers(0, 500),
    even=st.booleans(),
    seed=st.integers(0, 99),
)
def test_dense_weights_are_what_stock_lava_computes_with(low, width, even, seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(low, low + width + 1, (3, 4)) * (1 + even)
    s = rng.integers(-5, 6, (4, 6))
    try:
        used, exponent = dense_weight(weight)
    except MLSNNError:
        assume(False)
    assert -8 <= exponent <= 0
    assert np.array_equal((used @ s) >> -exponent, lava_dense(weight, s))
    if low >= -127 and low + width <= 127 and not even and weight.max() > 0:
        assert exponent == 0 and np.array_equal(used, weight)


@pytest.mark.parametrize("weight", [[[0, 0]], [[300, 1]], [[-300, -1]], [[-201, 0]]])
def test_dense_weights_that_break_stock_lava_are_refused(weight):
    with pytest.raises(MLSNNError):
        dense_weight(np.array(weight))


# -- files for stock Lava ---------------------------------------------------------


def stock_spec(seed=0, signed=False):
    """Sequential, binary, one threshold a layer: what stock expresses."""
    rng = np.random.default_rng(seed)
    conv1 = Conv(0, rng.integers(-100, 100, (4, 2, 3, 2)), 0, (2, 1), (1, 0))
    conv2 = Conv(1, rng.integers(-60, 60, (2, 2, 3, 3)), 0, (1, 1), (2, 1), (2, 1), 2)
    shape1 = conv1.output_shape((2, 7, 5))
    shape2 = conv2.output_shape(shape1)
    size = int(np.prod(shape2))
    return NetworkSpec(
        (
            Input((2, 7, 5), 9, signed),
            Population("conv1", shape1, (conv1,), MultiLevel(1, [400], [200]),
                       rng.integers(-90, 90, 4)),
            Population("conv2", shape2, (conv2,), MultiLevel(1, [50], [0])),
            Flatten(2, (size,)),
            Population("fc", (6,), (Dense(3, 2 * rng.integers(-128, 127, (6, size))),),
                       MultiLevel(1, [90], [45]), rng.integers(-9, 9, 6)),
            Population("out", (3,), (Dense(4, rng.integers(-99, 99, (3, 6))),), Readout(),
                       [5, -6, 7]),
        )
    )  # fmt: skip


def change(spec, index, **fields):
    from dataclasses import replace

    layers = list(spec.layers)
    layers[index] = replace(layers[index], **fields)
    return NetworkSpec(tuple(layers), spec.timesteps)


def test_a_network_of_stock_parts_has_no_reasons():
    assert stock_reasons(stock_spec()) == []


REASONS = {
    "levels": lambda s: change(s, 2, neuron=MultiLevel(2, [50], [0])),
    "one threshold": lambda s: change(s, 2, neuron=MultiLevel(1, [50, 51], [0, 0])),
    "vth must be": lambda s: change(s, 2, neuron=MultiLevel(1, [1 << 18], [0])),
    "bias plus V0": lambda s: change(s, 2, bias=np.array([5000])),
    "T is 2": lambda s: NetworkSpec(s.layers, 2),
    "without spikes": lambda s: change(s, 2, neuron=Readout(False)),
    "weight exponent": lambda s: change(
        s, 5, synapses=(Dense(4, s.layers[5].synapses[0].weight, 1),)
    ),
    "all 0": lambda s: change(s, 5, synapses=(Dense(4, np.zeros((3, 6), int)),)),
    "other weights": lambda s: change(s, 5, synapses=(Dense(4, np.full((3, 6), -128)),)),
    "no identity synapse": lambda s: NetworkSpec(
        (
            Input((2,), 1),
            Population("a", (2,), (Identity(0, [1, 2]),), MultiLevel(1, [1], [0])),
        )
    ),
    "the one before it": lambda s: NetworkSpec(
        (
            Input((2,), 1),
            Population("a", (2,), (Dense(0, [[1, 2], [3, -4]]),), MultiLevel(1, [1], [0])),
            Population("b", (2,), (Dense(1, [[1, 2], [3, -4]]), Identity(0, [1, 1])),
                       MultiLevel(1, [1], [0])),
        )
    ),
    "cannot flatten what is flat": lambda s: NetworkSpec(
        (
            Input((2,), 1),
            Flatten(0, (2,)),
            Population("a", (1,), (Dense(1, [[1, 2]]),), MultiLevel(1, [1], [0])),
        )
    ),
    "sum can reach": lambda s: NetworkSpec(
        (
            Input((50,), 127),
            Population("a", (1,), (Dense(0, np.full((1, 50), 100)),), MultiLevel(1, [9], [0])),
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_what_stock_cannot_run_is_said(name, tmp_path):
    spec = REASONS[name](stock_spec())
    assert any(name in reason for reason in stock_reasons(spec)), stock_reasons(spec)
    with h5py.File(write(spec, tmp_path / "a.net")) as file:
        kinds = [file[f"layer/{i}/neuron/type"][()] for i, _ in spec.populations]
    assert set(kinds) <= {b"MLIF", b"READOUT"}


def test_stock_fields_that_were_edited_alone_are_noticed(tmp_path):
    for field, value in (("neuron/vThMant", 7), ("bias", np.array([1, 2, 3, 4], np.int32))):
        path = write(stock_spec(), tmp_path / "a.net")
        with h5py.File(path, "r+") as file:
            file["layer/1"][field][...] = value
        with pytest.raises(FormatError, match=rf"layer 1 \(conv1\), {field}.*multilevel"):
            read(path)
    with h5py.File(write(stock_spec(), path), "r+") as file:
        del file["layer/1/neuron/multilevel/type"]
        file["layer/1/neuron/multilevel/type"] = "CUBA"
        for name in ("vth", "v0", "levels", "bias"):
            file["layer/1/neuron/multilevel"].pop(name, None)
        for name in ("iDecay", "vDecay", "vThMant", "refDelay"):
            file.copy(f"layer/1/neuron/{name}", f"layer/1/neuron/multilevel/{name}")
    with pytest.raises(FormatError, match=r"neuron/multilevel/type: .*MLIF or READOUT, got CUBA"):
        read(path)


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.parametrize("signed", [False, True])
def test_stock_lava_runs_the_file_with_the_same_integers(signed, tmp_path):
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    spec, samples = stock_spec(3, signed), 12
    path = write(spec, tmp_path / "stock.net")
    low, high = spec.input.payload
    x = np.random.default_rng(1).integers(low, high + 1, (samples, *spec.input.shape))
    expected = IntegerRunner(spec).trace(x)
    net = hdf5.Network(str(path), input_message_bits=8)
    steps = samples + len(net)
    data = np.zeros((*spec.input.shape[::-1], steps), int)
    data[..., :samples] = x.transpose(3, 2, 1, 0)
    source = io.source.RingBuffer(data=data)
    source.s_out.connect(net.inp)
    sinks = []
    for layer in net.layers:
        sinks.append(io.sink.RingBuffer(shape=layer.out.shape, buffer=steps))
        layer.out.connect(sinks[-1].a_in)
    try:
        net.run(RunSteps(steps), Loihi2SimCfg(select_tag="fixed_pt"))
        found = [sink.data.get().astype(int) for sink in sinks]
        scores = net.layers[-1].neuron.v.get().astype(int) >> 6
    finally:
        net.stop()
    for k, (_, layer) in enumerate(spec.populations[:-1]):
        got = found[k][..., k + 1 : k + 1 + samples]
        want = expected.layers[layer.name][..., 0]
        assert 0 < want.mean() < 1
        axes = (3, 2, 1, 0) if got.ndim == 4 else (1, 0)
        assert np.array_equal(got.transpose(axes), want), layer.name
    assert not found[-1].any()
    # the run ends in the timestep in which the last sample arrives at the output
    assert np.array_equal(scores, expected.output[-1, :, 0])


# -- what lava-dl ships -------------------------------------------------------------


def shipped():
    """Network files in the wheel's own tests."""
    found = importlib.util.find_spec("lava")
    roots = [Path(p).parent for p in (found.submodule_search_locations or [])] if found else []
    folder = Path("tests/lava/lib/dl/netx")
    return sorted({p for root in roots for p in (root / folder).rglob("*.net")})


@needs_lava
@pytest.mark.parametrize("path", shipped(), ids=lambda p: p.name)
def test_the_files_that_lava_dl_ships_are_read(path):
    if path.name == "ntidigits.net":
        with pytest.raises(UnsupportedLayerError, match=r"layer 2 \(dense2\), delay"):
            read(path)
        return
    spec = read(path)
    assert stock_reasons(spec) == []
    assert all(isinstance(p.neuron, StockNeuron) for _, p in spec.populations)
    assert len(worst_case(spec)) == len(spec.populations)
    with h5py.File(path) as file:
        for index, layer in spec.populations:
            stored = file["layer"][str(index)][schema.WEIGHT][()]
            weight = layer.synapses[0].weight
            assert np.array_equal(weight, stored.astype(int).reshape(weight.shape))
