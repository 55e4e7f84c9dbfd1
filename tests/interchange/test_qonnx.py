"""A QONNX model has the network's integers, in the qonnx package where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.errors import ConfigError, UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner
from netx_export import export_qonnx, read, worst_case
from netx_export.interchange.qonnx import MOST_LEVELS, qonnx_model
from netx_export.spec import Dense, Input, MultiLevel, NetworkSpec, Population, Readout

ROOT = Path(__file__).parents[2]
NAMES = ("blocks-ms", "blocks-respiking", "blocks-sew", "events-n1-t10")
FILES = [ROOT / "results" / "networks" / f"{name}.net" for name in NAMES]
FILES += [ROOT / "tests" / "golden" / f"{name}.net" for name in ("residual", "transposed")]


def in_onnxruntime(model, x):
    """With each MultiThreshold as what qonnx documents: how many thresholds a channel reaches."""
    held = onnx.load_from_string(model)
    helper, graph, nodes = onnx.helper, held.graph, []
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "last"))
    shapes = {v.name: len(v.type.tensor_type.shape.dim) for v in graph.value_info}
    constants = {c.name: c for c in graph.initializer}
    for node in graph.node:
        if node.op_type != "MultiThreshold":
            nodes.append(node)
            continue
        (x_name, t_name), (z,) = node.input, node.output
        rank = shapes[z]
        kept = onnx.numpy_helper.to_array(constants[t_name])
        kept = kept.reshape(1, len(kept), *[1] * (rank - 2), -1)
        graph.initializer.append(onnx.numpy_helper.from_array(kept, f"{z}/kept"))
        parts = [
            ("Unsqueeze", [x_name, "last"], {}),
            ("GreaterOrEqual", [f"{z}/0", f"{z}/kept"], {}),
            ("Cast", [f"{z}/1"], {"to": onnx.TensorProto.FLOAT}),
            ("ReduceSum", [f"{z}/2", "last"], {"keepdims": 0}),
        ]
        for k, (kind, inputs, attributes) in enumerate(parts):
            out = z if k == 3 else f"{z}/{k}"
            nodes.append(helper.make_node(kind, inputs, [out], **attributes))
    del graph.node[:]
    graph.node.extend(nodes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(held.SerializeToString(), options)
    return session.run(None, {graph.input[0].name: x})[0]


def in_qonnx(model, x):
    wrapper = pytest.importorskip("qonnx.core.modelwrapper")
    execution = pytest.importorskip("qonnx.core.onnx_exec")
    held = wrapper.ModelWrapper(model)
    name, out = held.graph.input[0].name, held.graph.output[0].name
    return execution.execute_onnx(held, {name: x})[out]


ENGINES = {"onnxruntime": in_onnxruntime, "qonnx": in_qonnx}
engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def assert_equal(spec, x, engine):
    found = engine(qonnx_model(spec, batch=len(x)), x.astype(np.float32))
    np.testing.assert_array_equal(found, IntegerRunner(spec).trace(x).output[..., 0])


def single(spec):
    return NetworkSpec(spec.layers, 1)


@engines
@settings(max_examples=10, deadline=None)
@given(spec=network_specs(), seed=st.integers(0, 99))
def test_drawn_networks(engine, spec, seed):
    spec = single(spec)
    assume(all(found.fits for found in worst_case(spec)))
    assert_equal(spec, payloads(spec, 2, seed), engine)


@engines
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_files(engine, file):
    spec = single(read(file, timesteps=1) if file.stem == "blocks" else read(file))
    assert_equal(spec, payloads(spec, 2), engine)


def one(levels, vth, v0, bias=0, width=8):
    """One neuron behind weights 1, -1 and 127."""
    weight = np.array([[1, -1, 127]])
    neuron = MultiLevel(levels, np.array([vth]), np.array([v0]))
    layer = Population("s", (1,), (Dense(0, weight, width),), neuron, np.array([bias]))
    out = Population("r", (1,), (Dense(1, np.array([[1]])),), Readout())
    return NetworkSpec((Input((3,), 200), layer, out), 1)


@engines
@settings(max_examples=15, deadline=None)
@given(
    levels=st.integers(1, 300),
    vth=st.integers(1, 1 << 20),
    v0=st.integers(-(1 << 20), 1 << 20),
    bias=st.integers(-(1 << 20), 1 << 20),
)
@example(levels=8388607, vth=8388607, v0=8388607 - (1 << 20), bias=0)
@example(levels=1, vth=8388607, v0=-8388608 + (1 << 20), bias=0)
def test_every_level_threshold_start_and_bias(engine, levels, vth, v0, bias):
    spec = one(levels, vth, v0, bias, 5)
    assume(all(found.fits for found in worst_case(spec)))
    assume(min(levels, worst_case(spec)[0].state[1] // vth) <= MOST_LEVELS)
    near = np.arange(-2, 3) + np.array([vth, 2 * vth, -v0, 0])[:, None]
    x = np.abs(np.stack([near.ravel() % 201, near.ravel() // 7 % 201, near.ravel() % 199], 1))
    assert_equal(spec, x, engine)


def test_types_and_shapes_stand_in_the_model(tmp_path):
    spec = one(4, 30, 7, 3, 0)
    path = export_qonnx(spec, tmp_path / "a.onnx", batch=5)
    assert path.read_bytes() == qonnx_model(spec, batch=5)
    model = onnx.load(path)
    notes = {
        note.tensor_name: note.quant_parameter_tensor_names[0].value
        for note in model.graph.quantization_annotation
    }
    (node,) = (n for n in model.graph.node if n.op_type == "MultiThreshold")
    assert notes["input"] == "UINT8" and notes[node.output[0]] == "UINT3"
    (weight,) = (name for name in notes if name.startswith("s/weight"))
    assert notes[weight] == "INT8"
    (value,) = (v for v in model.graph.value_info if v.name == node.output[0])
    assert [d.dim_value for d in value.type.tensor_type.shape.dim] == [5, 1]
    thresholds = next(c for c in model.graph.initializer if c.name == node.input[1])
    found = onnx.numpy_helper.to_array(thresholds)
    np.testing.assert_array_equal(found, [[30 * k - 7 - 3 for k in (1, 2, 3, 4)]])


@pytest.mark.parametrize(
    "spec, kind, words",
    [
        (NetworkSpec(one(1, 1, 0).layers, 4), UnsupportedLayerError, "keeps no state .* T = 4"),
        (one(8388607, 1, 0), ConfigError, "4096 at most, but layer 's' can send"),
    ],
)
def test_what_cannot_be_said_is_refused(tmp_path, spec, kind, words):
    with pytest.raises(kind, match=words):
        export_qonnx(spec, tmp_path / "a.onnx")
    assert not any(tmp_path.iterdir())
