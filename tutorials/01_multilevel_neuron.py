# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. The multi-level neuron
#
# With N levels, threshold `vth`, input `a` (synaptic sum) and bias `b`, one timestep is
#
#     H = V + a + b
#     z = clip(floor(H / vth), 0, N)      the graded spike (payload)
#     V = H - vth * z                     soft reset, no leak
#
# `V` starts every sample at `V0`: 0 (`"floor"`) or `vth / 2` (`"round"`). N = 1 is the
# binary integrate-and-fire neuron. This tutorial looks at the pure function, the torch
# module for training and the Lava Process, and asserts that they give the same integers.

# %%
import numpy as np

from lava_mlsnn.neuron import fixed_step, initial_state, multilevel_step

# %% [markdown]
# ## One step
#
# `multilevel_step(v, a, vth, levels)` returns the payload and the new state. It takes
# NumPy arrays and torch tensors, floats and integers. Bias is part of `a`.

# %%
N, VTH = 4, 10
a = np.array([-7, 0, 9, 10, 25, 40, 73])
z, v = multilevel_step(np.zeros_like(a), a, np.array(VTH), N)
print("input  ", a)
print("payload", z)
print("state  ", v)

assert z.tolist() == [0, 0, 0, 1, 2, 4, 4]
assert np.array_equal(v, a - VTH * z)  # nothing is lost: payload and state make up the input
assert v[0] == -7  # no leak: a negative input is remembered
assert v[-1] == 33  # what is above N * vth stays, and leaves in a later timestep


# %% [markdown]
# ## N * T + 1 levels
#
# Over T timesteps a neuron sends 0 to N*T in total. We hold an input for T timesteps,
# sweep it, and count how many different totals there are.


# %%
def total(inputs: np.ndarray, vth: int, levels: int, timesteps: int, v0: str = "floor"):
    """Sum of the payloads when every input is shown in every timestep."""
    threshold = np.full_like(inputs, vth)
    v = initial_state(threshold, v0)
    count = np.zeros_like(inputs)
    for _ in range(timesteps):
        z, v = multilevel_step(v, inputs, threshold, levels)
        count += z
    return count


sweep = np.arange(-VTH, VTH * (N + 2))
for levels in (1, 2, 4):
    for timesteps in (1, 2, 4):
        seen = np.unique(total(sweep, VTH, levels, timesteps))
        print(f"N = {levels}, T = {timesteps}: {len(seen)} levels")
        assert seen.tolist() == list(range(levels * timesteps + 1))

# %% [markdown]
# `N = 4, T = 1` and `N = 1, T = 4` have the same five levels. For an input that is held
# and lies in the range they are even the same function of it; the multi-level neuron needs
# one timestep for it instead of four.

# %%
inside = np.arange(0, VTH)  # mean input per timestep of the binary neuron
binary = total(inside, VTH, levels=1, timesteps=4)
graded = total(4 * inside, VTH, levels=4, timesteps=1)
assert np.array_equal(binary, graded)

# %% [markdown]
# ## Floor or round
#
# `V0 = vth / 2` turns the floor into rounding to the nearest level, halves upwards. For an
# odd integer threshold `V0 = vth // 2`.

# %%
a = np.arange(0, 50)
floor = total(a, VTH, N, 1)
nearest = total(a, VTH, N, 1, v0="round")
print("floor", floor)
print("round", nearest)
assert np.array_equal(floor, np.minimum(a // VTH, N))
assert np.array_equal(nearest, np.minimum(np.floor(a / VTH + 0.5), N))
assert initial_state(7, "round") == 3

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
fine = np.arange(-10, 60)
for name, rule in (("floor", "floor"), ("round", "round")):
    axes[0].step(fine, total(fine, VTH, N, 1, v0=rule), where="post", label=f"V0: {name}")
axes[0].plot(fine, np.clip(fine / VTH, 0, N), "k--", lw=1, label="clip(a / vth, 0, N)")
axes[0].set(xlabel="input a", ylabel="payload z", title=f"one timestep, N = {N}, vth = {VTH}")
axes[0].legend()
for levels, timesteps in ((1, 1), (1, 4), (4, 1)):
    held = np.arange(0, 45)
    sent = total(held / timesteps, VTH, levels, timesteps)
    style = "--" if levels > 1 else "-"
    axes[1].step(held, sent, style, where="post", label=f"N = {levels}, T = {timesteps}")
axes[1].set(xlabel="input over all timesteps", ylabel="sum of payloads")
axes[1].legend()
figure

# %% [markdown]
# ## N = 1 is the binary neuron
#
# It spikes at the threshold (`>=`, where Lava's LIF needs more than the threshold) and
# subtracts it.

# %%
rng = np.random.default_rng(0)
v = plain = np.zeros(100, np.int64)
for _ in range(20):
    a = rng.integers(-3, 9, 100)
    z, v = multilevel_step(v, a, np.array(VTH), 1)
    h = plain + a
    spike = (h >= VTH).astype(np.int64)
    plain = h - VTH * spike
    assert np.array_equal(z, spike) and np.array_equal(v, plain)

# %% [markdown]
# ## 24 bits
#
# Loihi 2 keeps states in 24 signed bits. `fixed_step` is the same step in that width. It
# also counts the neurons that left the range, where the sum wraps (the default, what a
# plain adder does) or saturates. An exported network is checked beforehand, so its count
# is 0.

# %%
top = 2**23 - 1
v, a, vth = (np.array([n], np.int64) for n in (top, 5, 1000))
z, new, count = fixed_step(v, a, vth, N, overflow="wrap")
assert (z[0], count) == (0, 1) and new[0] == -(2**23) + 4  # wrapped to the negative end
z, new, count = fixed_step(v, a, vth, N, overflow="saturate")
assert (z[0], count) == (4, 1) and new[0] == top - 4000

# %% [markdown]
# ## The torch module
#
# `MultiLevelNeuron` takes tensors with time last. Its float32 arithmetic gives the same
# payloads as integers as long as the membrane stays below 2**23 in magnitude (the argument
# is in the docstring of `graded_spike`).

# %%
import torch

from lava_mlsnn.neuron import MultiLevelNeuron

torch.set_num_threads(1)
T, SIZE = 8, 2000
vth = 3001
current = rng.integers(-20_000, 60_000, (SIZE, T))
module = MultiLevelNeuron(threshold=vth, levels=N)
floating = module(torch.tensor(current, dtype=torch.float32)).numpy()

state = np.zeros(SIZE, np.int64)
whole = np.zeros((SIZE, T), np.int64)
for t in range(T):
    whole[:, t], state, count = fixed_step(state, current[:, t], np.array(vth), N)
    assert count == 0
assert np.array_equal(floating, whole)
print(f"float32 and int64 agree in {whole.size} payloads")

# %% [markdown]
# The staircase has no useful derivative, so training replaces it. `"ste"` passes the
# gradient where the neuron is not saturated (`0 <= H <= N * vth`); `"ste_shifted"` moves
# that window up by half a threshold; `"sigmoid"` adds one bump per threshold.

# %%
for surrogate in ("ste", "ste_shifted", "sigmoid"):
    x = torch.linspace(-1, 6, 8, requires_grad=True)
    MultiLevelNeuron(levels=4, surrogate=surrogate)(x.reshape(-1, 1)).sum().backward()
    print(f"{surrogate:12}", x.grad.numpy().round(2))
    if surrogate == "ste":
        assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0, 0]

# %% [markdown]
# ## The Lava Process
#
# `MultiLevelIF` is the same neuron as a Lava Process. Its shape has the channels last, as
# everywhere in Lava: (W, H, C) or (F,). `vth`, `v0` and `bias_mant` are one number, one per
# channel, or one per neuron. The state goes back to `v0` every `reset_interval` timesteps.
#
# Lava starts operating-system processes, so a script needs the `__main__` guard and a
# `stop()` that is always reached.

# %%
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from lava_mlsnn.proc import MultiLevelIF


def run_in_lava(current: np.ndarray, tag: str, **neuron):
    """Payloads (F, time) and final state of neurons fed with ``current`` (F, time)."""
    size, steps = current.shape
    source = Source(data=current)
    process = MultiLevelIF((size,), **neuron)
    sink = Sink(shape=(size,), buffer=steps)
    source.s_out.connect(process.a_in)
    process.s_out.connect(sink.a_in)
    try:
        process.run(RunSteps(num_steps=steps), Loihi2SimCfg(select_tag=tag))
        return sink.data.get(), process.v.get(), int(process.overflows.get().item())
    finally:
        process.stop()


# %% [markdown]
# Four samples of T = 3 timesteps each, in 6 neurons with two thresholds, rounding, and a
# bias. The loop below is the reference.

# %%
T, SAMPLES = 3, 4
thresholds = np.array([10, 10, 10, 37, 37, 37])
start = initial_state(thresholds, "round")
bias = np.array([0, 2, -2, 0, 5, -5])
current = rng.integers(-20, 160, (6, SAMPLES * T))
expected = np.zeros_like(current)
for t in range(SAMPLES * T):
    if t % T == 0:
        state = start
    expected[:, t], state, _ = fixed_step(state, current[:, t] + bias, thresholds, N)

if __name__ == "__main__":
    options = {"vth": thresholds, "levels": N, "v0": start, "bias_mant": bias, "reset_interval": T}
    payload, end, overflows = run_in_lava(current, "fixed_pt", **options)
    print(payload.astype(int))
    assert np.array_equal(payload, expected)
    assert np.array_equal(end, state) and overflows == 0

# %% [markdown]
# The `floating_pt` model takes fractional thresholds; the `fixed_pt` model refuses them
# when the run configuration chooses it, before any process starts.

# %%
from lava_mlsnn.errors import MLSNNError

if __name__ == "__main__":
    current = np.array([[0.4, 0.4, 0.4]])
    payload, _, _ = run_in_lava(current, "floating_pt", vth=0.25, levels=4)
    assert payload.tolist() == [[1, 2, 1]]  # 0.4, 0.15 + 0.4, 0.05 + 0.4: never reset
    payload, _, _ = run_in_lava(current, "floating_pt", vth=0.25, levels=4, reset_interval=1)
    assert payload.tolist() == [[1, 1, 1]]  # T = 1: a quantised ReLU
    try:
        run_in_lava(np.array([[1, 1, 1]]), "fixed_pt", vth=0.25, levels=4)
    except MLSNNError as error:
        print(error)
    else:
        raise AssertionError("a fractional threshold must be refused")
    print("all claims hold")

# %% [markdown]
# Next: `02_train_and_export.py` builds a network of these neurons. The neuron's maths,
# options and integer form are in `docs/neuron.md`.
