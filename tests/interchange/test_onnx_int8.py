"""The 8-bit form of a network has its integers too, and uses 8 bits where it can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner
from netx_export import export_onnx_int8, read, worst_case
from netx_export.interchange.int8 import Int8
from netx_export.spec import Conv, Dense, Identity, Input, MultiLevel, NetworkSpec, Population

ROOT = Path(__file__).parents[2]
FILES = {  # and the layers that stay floats: sums without neurons, membranes
    "blocks-integrating": lambda name: name == "output",
    "blocks-sew": lambda name: name == "output",
    "blocks-respiking": lambda name: name == "output" or name.endswith("barrier"),
    "blocks-ms": lambda name: True,
}


def in_onnxruntime(model, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    return session.run(None, {entry.name: x.astype(WIDTHS[entry.type])})[0]


def in_openvino(model, x):
    core = pytest.importorskip("openvino").Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model), "CPU", hints)
    width = compiled.inputs[0].get_element_type().get_type_name()
    return compiled(x.astype({"u8": np.uint8, "i32": np.int32}[width]))[0]


WIDTHS = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32}
ENGINES = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}
engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def assert_equal(spec, x, engine=in_onnxruntime):
    layers = Int8(spec)
    found = engine(layers.write(), x)
    np.testing.assert_array_equal(found, IntegerRunner(spec).trace(x).output[..., 0])
    return layers


@settings(max_examples=10, deadline=None)
@given(spec=network_specs(), seed=st.integers(0, 99))
def test_drawn_networks(spec, seed):
    spec = NetworkSpec(spec.layers, 1)
    assume(all(found.fits for found in worst_case(spec)))
    assert_equal(spec, payloads(spec, 3, seed))


@engines
@pytest.mark.parametrize("name", FILES)
def test_files_and_what_is_left_in_floats(engine, name):
    spec = NetworkSpec(read(ROOT / "results" / "networks" / f"{name}.net").layers, 1)
    layers = assert_equal(spec, payloads(spec, 3), engine)
    names = [p.name for _, p in spec.populations]
    assert all(FILES[name](layer) for layer in layers.in_float)
    assert len(layers.in_float) < len(names)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["conv", "dense", "shortcut", "projection"]),
    top=st.sampled_from([1, 15, 127, 255]),
    odd=st.booleans(),
)
def test_every_fused_layer_beside_its_thresholds(seed, kind, top, odd):
    rng = np.random.default_rng(seed)
    exponent = int(rng.integers(0, 3))
    limit = 127 if odd else 127 * 2

    def weight(*shape):
        drawn = rng.integers(-limit, limit + 1, shape)
        return drawn if odd else drawn // 2 * 2

    vth = rng.integers(20, 9000, 2)
    v0, bias = rng.integers(-99, 99, 2), rng.integers(-9999, 9999, 2)
    if kind == "shortcut":  # whole thresholds come one to one
        vth = np.array([128, 250]) << exponent
    neuron = MultiLevel(int(rng.integers(1, 16)), vth, v0)
    if kind == "dense":
        arms = (Dense(0, weight(2, 6), exponent),)
        layers = Input((6,), top), Population("s", (2,), arms, neuron, bias)
    else:
        arms = [Conv(0, weight(2, 2, 3, 3), exponent, padding=(1, 1))]
        if kind == "shortcut":
            arms.append(Identity(0, vth >> exponent, exponent))
        if kind == "projection":
            arms.append(Conv(0, weight(2, 2, 1, 1), exponent))
        layers = Input((2, 5, 5), top), Population("s", (2, 5, 5), tuple(arms), neuron, bias)
    spec = NetworkSpec(layers)
    x = payloads(spec, 6, seed % 99)
    used = assert_equal(spec, x)
    assert top < 255 or used.in_float == ["s"]  # two products could leave 16 bits


def test_it_is_written_whole_with_what_stayed_floats(tmp_path):
    spec = NetworkSpec(read(ROOT / "results" / "networks" / "blocks-ms.net").layers, 1)
    path = export_onnx_int8(spec, tmp_path / "a.onnx")
    facts = {f.key: f.value for f in onnx.load(path).metadata_props}
    assert facts["floats"].split() == floats_of(spec) and "stem" in facts["floats"]
    with pytest.raises(
        UnsupportedLayerError, match=r"more than 8 bits, and this network has T = 2"
    ):
        export_onnx_int8(NetworkSpec(spec.layers, 2), tmp_path / "b.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


def floats_of(spec):
    layers = Int8(spec)
    layers.write()
    return layers.in_float
