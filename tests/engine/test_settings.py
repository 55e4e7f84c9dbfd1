"""The integers do not depend on the user's settings of torch and NumPy, and these come back."""

from __future__ import annotations

import contextlib
import copy
import threading

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lava_mlsnn import IntegerRunner, ModelConfig, build_model, encode
from lava_mlsnn.engine import StreamEngine
from netx_export import to_spec
from netx_export.exact_settings import _Process, exact_settings
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from trust.settings import SETTINGS

P = {"levels": 4}


def state():
    """All that a run may have changed."""
    try:
        precision = torch.get_float32_matmul_precision()
    except RuntimeError:  # torch's two ways to set it disagree
        precision = "mixed"
    getter = getattr(torch._C, "_get_fp32_precision_getter", None)
    places = (("generic", "all"), ("mkldnn", "all"), ("mkldnn", "conv"), ("mkldnn", "matmul"))
    autocast = getattr(torch, "is_autocast_cpu_enabled", None)
    return {
        "autocast": autocast() if autocast else torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "device": str(torch.empty(0).device),
        "modes": torch._C._len_torch_function_stack(),
        "inference": torch.is_inference_mode_enabled(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": precision,
        "bits": getter and [getter(*place) for place in places],
        "mkldnn": torch._C._get_mkldnn_enabled(),
        "nnpack": torch._C._get_nnpack_enabled(),
        "engine": torch.backends.quantized.engine,
        "denormals": bool(np.float32(1e-40) * np.float32(1)),
        "threads": torch.get_num_threads(),
        "numpy": np.geterr(),
    }


def trained(timesteps=1):
    torch.manual_seed(timesteps)
    model = build_model(ModelConfig(width=8, input_levels=16, timesteps=timesteps)).train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(16, 1, 8, 8))
    return model.eval()


def answers(model, spec, x):
    """Whatever computes integers, with the network made and with it run under the settings."""
    exported = to_spec(model)
    payload = encode(spec, x)
    stream = StreamEngine(spec)
    sent = []
    for t in range(8):
        stream.advance()
        sent.append(stream.sent(len(spec.layers) - 1).copy())
        stream.receive(payload[t % len(payload)])
    trace = IntegerRunner(spec).trace(payload)
    return {
        "payload": payload,
        "output": trace.output,
        **trace.layers,
        **{
            f"weight {i}.{k}": s.weight
            for i, p in exported.populations
            for k, s in enumerate(p.synapses)
        },
        **{
            f"vth {i}": p.neuron.vth
            for i, p in exported.populations
            if isinstance(p.neuron, MultiLevel)
        },
        "stream": np.stack(sent),
    }


MODELS = {t: trained(t) for t in (1, 3)}
SPECS = {t: to_spec(m) for t, m in MODELS.items()}
X = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)
RIGHT = {t: answers(MODELS[t], SPECS[t], X) for t in MODELS}
with torch.no_grad():
    FORWARD = {t: MODELS[t](torch.from_numpy(X)).numpy() for t in MODELS}


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.sets(st.sampled_from(sorted(SETTINGS)), min_size=1, max_size=3), st.sampled_from([1, 3]))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_integers_under_drawn_settings_are_those_under_the_defaults(names, timesteps):
    model, spec = copy.deepcopy(MODELS[timesteps]), SPECS[timesteps]
    image = torch.from_numpy(X)
    with contextlib.ExitStack() as stack:
        for name in sorted(names):
            stack.enter_context(SETTINGS[name]())
        before = state()
        found = answers(model, spec, X)
        assert state() == before
        with torch.no_grad():
            forward = model(image).clone()
    for name, values in RIGHT[timesteps].items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"{names}, {name}")
    if "a function mode" not in names:  # between the blocks it is the user's own doing
        np.testing.assert_array_equal(forward.numpy(), FORWARD[timesteps], err_msg=str(names))


def test_a_failure_brings_everything_back():
    with contextlib.ExitStack() as stack:
        for name in ("autocast bfloat16", "default float64", "few bits", "NumPy raises"):
            stack.enter_context(SETTINGS[name]())
        before = state()
        with pytest.raises(RuntimeError, match="in the middle"), exact_settings():
            assert state() != before
            raise RuntimeError("in the middle")
        assert state() == before
    assert _Process.inside == 0 and not _Process.found


def test_the_last_thread_to_leave_puts_the_settings_back():
    entered, leave = threading.Event(), threading.Event()

    def other():
        with exact_settings():
            entered.set()
            leave.wait(60)

    with SETTINGS["default float64"]():
        thread = threading.Thread(target=other)
        with exact_settings():
            thread.start()
            assert entered.wait(60)
        assert torch.get_default_dtype() == torch.float32, "the other thread still computes"
        leave.set()
        thread.join(60)
        assert torch.get_default_dtype() == torch.float64


def test_what_the_runner_gives_can_be_trained_with_though_it_ran_in_inference_mode():
    model = trained()
    with torch.inference_mode():
        model(torch.from_numpy(X))
    model.train()
    model(torch.from_numpy(X)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_function_that_is_compiled_around_the_runner_changes_nothing():
    runner, payload = IntegerRunner(SPECS[1]), RIGHT[1]["payload"]
    compiled = torch.compile(lambda x: runner.run(x).output, backend="eager")
    np.testing.assert_array_equal(compiled(payload), RIGHT[1]["output"])
    np.testing.assert_array_equal(compiled(payload[:1]), RIGHT[1]["output"][:1])


def dense_network(seed):
    """Sums of up to 2**17, which bfloat16 cannot hold."""
    rng = np.random.default_rng(seed)
    conv = Conv(0, rng.integers(-128, 128, (8, 4, 3, 3)), padding=(1, 1))
    neuron = MultiLevel(15, np.full(8, 3000), np.zeros(8, int))
    layer = Population("layer", (8, 5, 5), (conv,), neuron)
    dense = Dense(2, rng.integers(-128, 128, (10, 200)))
    return NetworkSpec(
        (
            Input((4, 5, 5), levels=100),
            layer,
            Flatten(1, (200,)),
            Population("out", (10,), (dense,), Readout()),
        )
    )


@pytest.mark.lava
@pytest.mark.parametrize("per_layer", [True, False])
def test_processes_of_lava_compute_under_their_own_settings(per_layer):
    pytest.importorskip("lava")
    from netx_export import run_lava

    spec = dense_network(0)
    x = np.random.default_rng(1).integers(0, 101, (3, 4, 5, 5))
    expected = IntegerRunner(spec).run(x).output
    with torch.autocast("cpu", torch.bfloat16), SETTINGS["default float16"]():
        found = run_lava(spec, x, per_layer=per_layer, timeout=100)
    np.testing.assert_array_equal(found.output, expected)
