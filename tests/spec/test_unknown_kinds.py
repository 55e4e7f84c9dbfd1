"""A synapse or neuron of a kind that nobody knows is refused by name, wherever it goes.

``CONSUMERS`` names everything public that takes a network. A new function must join: a
test finds those that are missing.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import lava_mlsnn
import netx_export
from lava_mlsnn.backends import traces_of
from lava_mlsnn.errors import UnsupportedLayerError
from netx_export import Conv, Flatten, Input, NetworkSpec, Population, Readout, lava_available
from netx_export.spec import Dense, MultiLevel
from netx_export.spec.neurons import Neuron
from netx_export.spec.synapses.base import Synapse

PACKAGES = tuple(Path(p.__file__).parent for p in (lava_mlsnn, netx_export))
X = np.ones((2, 1, 4, 4), np.int64)


@dataclass(frozen=True, eq=False)
class OddSynapse(Synapse):
    """Says its shape, so that a network can be made, and nothing else."""

    axes = 1

    def output_shape(self, source):
        return source


@dataclass(frozen=True, eq=False)
class OddNeuron(Neuron):
    """Says its range, and nothing else."""

    payload = (0, 3)


def network(synapse, neuron):
    middle = Population("middle", (2, 4, 4), (synapse,), neuron)
    return NetworkSpec(
        (
            Input((1, 4, 4), levels=3),
            Population("first", (2, 4, 4), (Conv(0, np.ones((2, 1, 1, 1), int)),), FIRES),
            middle,
            Flatten(2, (32,)),
            Population("out", (2,), (Dense(3, np.ones((2, 32), int)),), Readout()),
        )
    )


FIRES = MultiLevel(3, np.array([2]), np.array([0]))
ODD = {
    "synapse": lambda: network(OddSynapse(1, np.array([1, 1])), FIRES),
    "neuron": lambda: network(Conv(1, np.ones((2, 2, 1, 1), int)), OddNeuron()),
}


def runner(spec, kind):
    return lava_mlsnn.IntegerRunner(spec, kind=kind).run(X)


def observed(spec):
    from lava_mlsnn.activity.summary import summarise

    sums = {layer.name: np.zeros((3, *layer.shape), np.int64) for layer in spec.layers}
    return summarise(spec, sums, 1, 1)


def traced(spec):
    from lava_mlsnn.report.collect import membranes

    return membranes(spec, {x.name: np.zeros((1, *x.shape, 1), np.int64) for x in spec.layers})


def fit(spec, what):
    from lava_mlsnn.loihi2.fit import activity, calibration, demand, preflight
    from lava_mlsnn.loihi2.fit.limits import limits_for

    if what == "calibrate":
        return calibration.calibrate(spec, X)
    if what == "assumed":
        return activity.assumed_activity(spec)
    if what == "demand":
        return demand.demand_of(spec)
    return preflight.preflight(spec, limits_for("loihi2"))


def lava(spec, **options):
    from lava_mlsnn.lava.run import run_lava

    return run_lava(spec, X, timeout=60, **options)


def lazily(module, name, *arguments):
    """A consumer that takes the network alone."""
    return lambda spec: getattr(__import__(module, fromlist=[name]), name)(spec, *arguments)


# address of what takes a network: how it is called
CONSUMERS = {
    "activity.blocks.feeds_weights": lazily("lava_mlsnn.activity.blocks", "feeds_weights"),
    "activity.meter.measure": lazily("lava_mlsnn.activity", "measure", X),
    "backends.traces_of": lambda spec: list(traces_of("reference", spec, X)),
    "activity.summary.summarise": observed,
    "energy.structure.structure": lazily("lava_mlsnn.energy.structure", "structure"),
    "energy.twin.Twin": lazily("lava_mlsnn.energy.twin", "Twin"),
    "engine.engine.Engine": lazily("lava_mlsnn.engine.engine", "Engine"),
    "engine.plan.payload_ranges": lazily("lava_mlsnn.engine.plan", "payload_ranges"),
    "engine.plan.plan_layers": lazily("lava_mlsnn.engine.plan", "plan_layers"),
    "engine.stream.StreamEngine": lazily("lava_mlsnn.engine", "StreamEngine"),
    "lava.run.run_lava": lambda spec: lava(spec),
    "lava.run.run_lava, per layer": lambda spec: lava(spec, per_layer=True),
    "lava.run.run_lava, floating": lambda spec: lava(spec, tag="floating_pt"),
    "loihi2.fit.activity.assumed_activity": lambda spec: fit(spec, "assumed"),
    "loihi2.fit.calibration.calibrate": lambda spec: fit(spec, "calibrate"),
    "loihi2.fit.demand.demand_of": lambda spec: fit(spec, "demand"),
    "loihi2.fit.preflight.preflight": lambda spec: fit(spec, "report"),
    "loihi2.program.programs.allocations_of": lazily(
        "lava_mlsnn.loihi2.program.programs", "allocations_of"
    ),
    "loihi2.program.programs.programs_of": lazily(
        "lava_mlsnn.loihi2.program.programs", "programs_of"
    ),
    "parity.check.check_parity": lambda spec: lava_mlsnn.check_parity(
        spec, X, backends=["reference"]
    ),
    "report.collect.membranes": traced,
    "runner.IntegerRunner": lambda spec: runner(spec, "auto"),
    "runner.IntegerRunner, general": lambda spec: runner(spec, "general"),
    "runner.IntegerRunner, reference": lambda spec: runner(spec, "reference"),
    "file.stock.stock_reasons": lambda spec: netx_export.stock_reasons(spec),
    "interchange.onnx.onnx_model": lazily("netx_export.interchange.onnx", "onnx_model"),
    "interchange.int8.Int8": lazily("netx_export.interchange.int8", "Int8"),
    "interchange.nir.nir_graph": lazily("netx_export.interchange.nir", "nir_graph"),
    "interchange.qonnx.qonnx_model": lazily("netx_export.interchange.qonnx", "qonnx_model"),
    "file.writer.file_image": lazily("netx_export.file.writer", "file_image"),
    "spec.ranges.worst_case": lambda spec: netx_export.worst_case(spec),
    "spec.ranges.check_ranges": lambda spec: netx_export.check_ranges(spec),
}
# what does not depend on the kind: order, time, the input
FREE = {
    "cli.data.named_samples",
    "cli.predict.image_for",
    "report.graph.graph_of",
    "file.writer.version_of",
    "activity.blocks.block_outputs",
    "lava.network.process.Network",  # a Process; its models are made when it is compiled
    "spec.describe.describe",
    "spec.describe.network_table",
    "spec.encode.check_payload",
    "spec.encode.encode",
    "spec.graded.graded_input",
    "spec.graded.says_no_bits",
    "spec.part.part",
    "spec.timing.delays",
    "spec.timing.depths",
    "spec.timing.latency",
}
# what first calls one of the consumers
THROUGH = {
    "activity.hook.integer_payloads": "runner.IntegerRunner",
    "activity.hook.model_batches": "runner.IntegerRunner",
    "activity.hook.training_batches": "runner.IntegerRunner",
    "activity.meter.ActivityMeter": "activity.summary.summarise",
    "cli.data.test_samples": "runner.IntegerRunner",
    "energy.model.ann_energy": "energy.structure.structure",
    "energy.model.energies": "energy.structure.structure",
    "energy.model.snn_energy": "energy.structure.structure",
    "energy.model.zero_skip_energy": "energy.structure.structure",
    "energy.neurobench.neurobench_metrics": "energy.structure.structure",
    "energy.neurobench.neurobench_model": "energy.twin.Twin",
    "engine.reference.Reference": "engine.plan.plan_layers",
    "engine.session.session": "interchange.int8.Int8",
    "file.writer.write": "file.writer.file_image",
    "interchange.onnx.export_onnx": "interchange.onnx.onnx_model",
    "interchange.operators.Layers": "interchange.onnx.onnx_model",
    "interchange.int8.export_onnx_int8": "interchange.int8.Int8",
    "interchange.nir.export_nir": "interchange.nir.nir_graph",
    "interchange.qonnx.export_qonnx": "interchange.qonnx.qonnx_model",
    "lava.chip.run_loihi2": "runner.IntegerRunner",
    "loihi2.fit.activity.operations": "loihi2.fit.demand.demand_of",
    "loihi2.fit.activity.row_events": "loihi2.fit.demand.demand_of",
    "loihi2.fit.layers.findings_of": "loihi2.fit.preflight.preflight",
    "loihi2.fit.remedies.ways_to_fit": "loihi2.fit.demand.demand_of",
    "loihi2.fit.traffic.traffic_of": "loihi2.fit.demand.demand_of",
    "onnx_run.run_onnx": "interchange.onnx.onnx_model",
    "parity.check.training_trace": "parity.check.check_parity",
    "report.collect.collect": "runner.IntegerRunner",
    "report.page.report_page": "spec.ranges.worst_case",
}
# a kind of the other sort is none of their business
ASKS_SYNAPSES_ALONE = {"activity.blocks.feeds_weights", "activity.summary.summarise"}
ASKS_NEURONS_ALONE = {
    "loihi2.fit.activity.assumed_activity",
    "loihi2.program.programs.allocations_of",
}


def takes_network(tree: ast.Module):
    """Names of public functions and classes that take a NetworkSpec."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            found = [m for m in methods if m.name == "__init__"]
        else:
            found = [node] if isinstance(node, ast.FunctionDef) else []
        for function in found:
            if node.name.startswith("_"):
                continue
            of = function.args
            arguments = of.posonlyargs + of.args + of.kwonlyargs
            kinds = [ast.unparse(a.annotation) for a in arguments if a.annotation is not None]
            if any("NetworkSpec" in kind for kind in kinds):
                yield node.name


def test_everything_that_takes_a_network_is_in_the_list():
    found = {
        ".".join((*file.relative_to(package).with_suffix("").parts, name))
        for package in PACKAGES
        for file in package.rglob("*.py")
        for name in takes_network(ast.parse(file.read_text()))
    }
    listed = {name.partition(",")[0] for name in CONSUMERS} | FREE | set(THROUGH)
    assert found - listed == set(), "new: say in this file how it is called"
    assert listed - found == set(), "gone: take it out of this file"
    assert set(THROUGH.values()) <= set(CONSUMERS)


@pytest.mark.parametrize("sort", ODD)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_an_unknown_kind_is_refused_by_name(consumer, sort):
    if consumer.startswith("lava.") and not lava_available():
        pytest.skip("needs Lava")
    spec = ODD[sort]()
    alone = ASKS_SYNAPSES_ALONE if sort == "neuron" else ASKS_NEURONS_ALONE
    if consumer in alone:
        pytest.skip(f"does not ask {sort}s")
    with pytest.raises(UnsupportedLayerError, match=f"Odd{sort.title()}"):
        CONSUMERS[consumer](spec)


@pytest.mark.parametrize("kind", [OddSynapse, OddNeuron])
def test_what_is_no_kind_at_all_makes_no_layer(kind):
    with pytest.raises(UnsupportedLayerError, match=r"kind of netx_export\.spec, got str"):
        if kind is OddNeuron:
            Population("a", (1,), (Dense(0, np.array([[1]])),), "spikes")
        else:
            Population("a", (1,), ("dense",), FIRES)
