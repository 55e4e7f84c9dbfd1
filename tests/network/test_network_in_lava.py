"""A whole network in Lava gives, at every layer and timestep, the integers of a plain loop."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("lava.magma")

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.lava.network import Network
from lava_mlsnn.lava.run import run_lava
from lava_mlsnn.proc import Record, Stream
from lava_mlsnn.runner import IntegerRunner

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]
both_models = pytest.mark.parametrize("per_layer", [False, True], ids=["leaf", "per layer"])


@both_models
@pytest.mark.parametrize(
    "timesteps, levels, half, timed",
    [(1, 4, False, False), (4, 2, True, True), (2, 1, False, False)],
    ids=["T=1 streaming", "T=4 timed input, V0 = vth/2", "T=2 binary"],
)
def test_residual_network_equals_a_loop_over_layers(
    residual, by_hand, timesteps, levels, half, timed, per_layer
):
    spec = residual(timesteps, levels, seed=timesteps, half=half)
    rng = np.random.default_rng(7)
    shape = (3, 2, 7, 5, timesteps) if timed else (3, 2, 7, 5)
    x = rng.integers(0, levels + 1, shape)
    steps: list[tuple[int, int]] = []
    follow = lambda a, b: steps.append((a, b))  # noqa: E731
    result = run_lava(spec, x, per_layer=per_layer, probes=True, progress=follow, timeout=60)
    expected = by_hand(spec, x)
    assert list(result.layers) == list(expected)
    for name, layer in expected.items():
        np.testing.assert_array_equal(result.layers[name], layer, err_msg=name)
        assert result.layers[name].dtype == np.int64
        assert len(np.unique(layer)) > 1, f"{name} is constant: the comparison says nothing"
    np.testing.assert_array_equal(result.output, expected["out"])
    assert result.overflows == {}
    assert result.timesteps == 3 * timesteps + 6 == steps[-1][0] == steps[-1][1]
    assert steps == sorted(steps)
    runner = IntegerRunner(spec).run(x)
    np.testing.assert_array_equal(result.output, runner.output)
    np.testing.assert_array_equal(result.classes, runner.classes)


@both_models
def test_floating_point_gives_the_same_numbers(residual, by_hand, per_layer):
    spec = residual(2)
    # the readout's shift by -1 is a floor in fixed point only
    object.__setattr__(spec.output.synapses[0], "weight_exp", 0)
    x = np.random.default_rng(3).integers(0, 5, (2, 2, 7, 5))
    options = {"tag": "floating_pt", "per_layer": per_layer, "timeout": 60}
    result = run_lava(spec, x, probes=["b2.c2"], **options)
    expected = by_hand(spec, x)
    np.testing.assert_array_equal(result.layers["b2.c2"], expected["b2.c2"])
    np.testing.assert_array_equal(result.output, expected["out"])


@both_models
def test_network_is_a_process_for_a_users_own_script(residual, by_hand, per_layer):
    """Probes, state through aliased Vars, and a start that is later than timestep 1."""
    spec = residual(2)
    late = 3
    network = Network(spec, input_delay=late)
    assert network.latency == 6 and network.timesteps == 2
    x = np.random.default_rng(5).integers(0, 5, (2, 2, 7, 5))
    data = np.repeat(x, 2, axis=0).transpose(0, 3, 2, 1)
    padded = np.concatenate([np.zeros((late, *data.shape[1:]), int), data])
    source = Stream(data=padded)
    out = Record(shape=(3,), steps=4, start=late + 6)
    probe = Record(shape=(5, 7, 4), steps=4, start=late + 3)
    source.s_out.connect(network.inp)
    network.out.connect(out.a_in)
    network.probe("b1.c2").connect(probe.a_in)
    try:
        run_cfg = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=per_layer)
        network.run(RunSteps(late + 4 + 6), run_cfg)
        state = network.state("out").get()
        overflows = network.overflows7.get(), network.overflows3_1.get()
    finally:
        network.stop()
    expected = by_hand(spec, x)
    np.testing.assert_array_equal(out.data.reshape(2, 2, 3).transpose(0, 2, 1), expected["out"])
    turned = probe.data.transpose(0, 3, 2, 1).reshape(2, 2, 4, 7, 5)
    np.testing.assert_array_equal(np.moveaxis(turned, 1, -1), expected["b1.c2"])
    np.testing.assert_array_equal(state, expected["out"][-1, :, -1])
    assert [v.item() for v in overflows] == [0, 0]


@both_models
@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt", None])
def test_compiling_finds_the_models_without_a_warning(residual, per_layer, tag):
    """Lava executes every module next to the Process again and warns if one fails."""
    run_cfg = Loihi2SimCfg(select_tag=tag, select_sub_proc_model=per_layer)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        executable = Network(residual()).compile(run_cfg)
    assert len(executable.proc_builders) == (6 + 8 if per_layer else 1)


def test_str_is_a_table_with_delays(residual):
    table = str(Network(residual()))
    lines = table.splitlines()
    assert lines[0].split() == [
        "layer",
        "name",
        "shape",
        "synapses",
        "neuron",
        "message",
        "bits",
        "depth",
    ]
    assert "identity(1) after 1" in lines[4] and "N=4" in lines[4]
    assert lines[4].split()[-2:] == ["8", "3"]
    assert "conv 1x1 /2x1(3) after 1" in table
    assert lines[-1].split() == ["7", "out", "3", "dense(6)", "readout", "24", "6"]
