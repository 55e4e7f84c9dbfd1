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
# # 3. Run a network file in Lava
#
# A file becomes one Lava Process, `Network`, with an input port `inp` and an output port
# `out`. First it is wired by hand to stock Lava Processes, as in a script of your own; then
# `run_lava` does the same in one call.
#
# Lava starts operating-system processes: everything that runs is behind the `__main__`
# guard, and `stop()` is in a `finally`.

# %%
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lava_mlsnn.data import load_dataset
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.training.loop import TrainConfig, train
from netx_export import depths, export_model, latency, read, run_lava

torch.set_num_threads(1)

# %% [markdown]
# ## A network to run
#
# The ready-made small Sparse-ResNet, trained for a few seconds. If you have run
# `mlsnn demo`, put the path of its `demo.net` here instead.

# %%
digits = load_dataset("digits")
folder = Path(tempfile.mkdtemp(prefix="mlsnn_tutorial_"))


def trained_file(name: str, epochs: int, **settings) -> Path:
    """Train a small Sparse-ResNet on digits and export it."""
    config = ModelConfig(input_levels=digits.input_levels, **settings)
    model = train(config, digits, TrainConfig(epochs=epochs))
    export_model(model, folder / name)
    return folder / name


file = trained_file("digits.net", epochs=8, width=8)
spec = read(file)
print(f"{file}: T = {spec.timesteps}, latency {latency(spec)}, depth of each layer:")
for layer, depth in zip(spec.layers, depths(spec), strict=True):
    print(f"  {depth} {layer.name} {layer.shape}")
assert spec.timesteps == 1 and latency(spec) == depths(spec)[-1] == 9

# %% [markdown]
# ## Data in, data out
#
# The file says how data becomes payloads; `encode` applies it. Axes are (N, C, H, W).
# **Lava's order is (W, H, C)**, and a `RingBuffer` has time last, so samples that follow
# each other become (W, H, C, time): a transpose.

# %%
N = 24
payload = encode(spec, digits.x_test[:N])
stream = payload.transpose(3, 2, 1, 0)  # one sample per timestep
assert payload.shape == (N, 1, 8, 8) and stream.shape == (8, 8, 1, N)
assert np.array_equal(stream[5, 2, 0, 7], payload[7, 0, 2, 5])

reference = IntegerRunner(spec).trace(payload)  # the same network without Lava

# %% [markdown]
# ## By hand: one sample in and one result out every timestep
#
# At T = 1 the states start anew in every timestep, so samples follow each other without a
# gap. A sample that enters in timestep t leaves in t + latency. The `RingBuffer` source
# starts over when its data ends; N + latency timesteps flush the last real sample out, and
# we pad the source with zeros for them.

# %%
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from netx_export import Network

steps = N + latency(spec)
PROBED = "stage3_block1.conv2"

if __name__ == "__main__":
    network = Network(file)
    print(network)
    padded = np.concatenate([stream, np.zeros((8, 8, 1, latency(spec)), int)], axis=-1)
    source = Source(data=padded)
    scores = Sink(shape=network.out.shape, buffer=steps)
    inside = Sink(shape=network.probe(PROBED).shape, buffer=steps)
    source.s_out.connect(network.inp)
    network.out.connect(scores.a_in)
    network.probe(PROBED).connect(inside.a_in)  # any layer can be looked at
    try:
        network.run(RunSteps(num_steps=steps), Loihi2SimCfg(select_tag="fixed_pt"))
        out = scores.data.get().astype(int)
        probed = inside.data.get().astype(int)
        state = network.state("output").get()
        overflows = network.overflows()
    finally:
        network.stop()

    results = out[:, latency(spec) :].T  # (N, classes): the first result after `latency`
    assert np.array_equal(results, reference.output[..., -1])
    right = (results.argmax(1) == digits.y_test[:N]).mean()
    print(f"{N} digits in {steps} timesteps, {100 * right:.0f} % right")
    assert right > 0.7

# %% [markdown]
# The probed layer has its own depth: its payloads for sample n are in timestep
# n + 1 + depth (counted from 1), that is index n + depth.

# %%
if __name__ == "__main__":
    depth = depths(spec)[network.index(PROBED)]
    layer = probed[..., depth : depth + N].transpose(3, 2, 1, 0)  # (W, H, C, N) to (N, C, H, W)
    assert np.array_equal(layer, reference.layers[PROBED][..., 0])
    print(f"{PROBED}: same payloads as the integer runner, values {np.unique(layer)}")

# %%
if __name__ == "__main__":
    import matplotlib.pyplot as plt

    # what went over the wire: one channel of the probed layer, timestep by timestep
    figure, axis = plt.subplots(figsize=(9, 3), layout="constrained")
    flat = probed.reshape(-1, probed.shape[-1])
    drawn = axis.imshow(flat, aspect="auto", cmap="viridis", interpolation="nearest")
    axis.axvline(depth - 0.5, color="white", ls="--")
    axis.set(
        xlabel="timestep", ylabel="neuron", title=f"{PROBED}: its first sample arrives at {depth}"
    )
    figure.colorbar(drawn, label="payload")

# %% [markdown]
# The state of the readout is what it last sent. After the last of `steps` timesteps that
# is the result of the last sample. The overflow counters are 0: nothing left its width.

# %%
if __name__ == "__main__":
    assert np.array_equal(state, results[-1])
    assert overflows == {}

# %% [markdown]
# ## With `run_lava`
#
# The same in one call, in the file's axis order. It also watches the processes: when one
# dies, or `timeout` seconds are over, it raises `RunError` and leaves none behind.

# %%
if __name__ == "__main__":
    start = time.perf_counter()
    result = run_lava(spec, payload, probes=[PROBED], timeout=60)
    print(f"{result.timesteps} timesteps; run {result.seconds:.2f} s", end=", ")
    print(f"with building and starting {time.perf_counter() - start:.2f} s")
    assert np.array_equal(result.output, reference.output)
    assert np.array_equal(result.layers[PROBED], reference.layers[PROBED])
    assert np.array_equal(result.classes, reference.classes)
    assert result.overflows == {} and result.timesteps == steps

# %% [markdown]
# ## T > 1: every layer starts a sample later by its depth
#
# With T = 2 a sample takes two timesteps of the input, sample n the timesteps 2n + 1 and
# 2n + 2. States are kept within the sample, and reset when the sample's first timestep
# reaches the layer: the reset offset of a layer is its depth. `run_lava` holds a static
# sample for T timesteps.

# %%
file2 = trained_file("digits_t2.net", epochs=1, width=4, timesteps=2)
spec2 = read(file2)
N2 = 4
payload2 = encode(spec2, digits.x_test[:N2])
reference2 = IntegerRunner(spec2).run(payload2)
assert reference2.output.shape == (N2, 10, 2)

if __name__ == "__main__":
    result = run_lava(spec2, payload2, timeout=60)
    assert np.array_equal(result.output, reference2.output)
    assert result.timesteps == N2 * 2 + latency(spec2)

# %% [markdown]
# In a network of your own, samples may start later than timestep 1. Then `Network` needs to
# know, or the resets fall into the middle of the samples. Here the input starts after 3
# timesteps: once with `input_delay=3`, once without.


# %%
def late(input_delay: int) -> np.ndarray:
    """Scores (N2, classes, T) of samples that enter from timestep 4 on."""
    held = np.repeat(payload2.transpose(3, 2, 1, 0), 2, axis=-1)
    before, after = np.zeros((8, 8, 1, 3), int), np.zeros((8, 8, 1, latency(spec2)), int)
    data = np.concatenate([before, held, after], axis=-1)
    network = Network(file2, input_delay=input_delay)
    source, sink = Source(data=data), Sink(shape=(10,), buffer=data.shape[-1])
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    try:
        network.run(RunSteps(num_steps=data.shape[-1]), Loihi2SimCfg(select_tag="fixed_pt"))
        out = sink.data.get().astype(int)
    finally:
        network.stop()
    return out[:, 3 + latency(spec2) :].reshape(10, N2, 2).transpose(1, 0, 2)


if __name__ == "__main__":
    assert np.array_equal(late(input_delay=3), reference2.output)
    assert not np.array_equal(late(input_delay=0), reference2.output)
    print("all claims hold")

# %% [markdown]
# Next: `04_parity_and_debugging.py` compares all layers at once. Latencies, delays and
# resets are explained in `docs/time.md`.
