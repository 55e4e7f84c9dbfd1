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
# # 9. Latency: streaming at T = 1, pipelines, resets
#
# In Lava and on Loihi 2 every synapse takes one timestep. A layer's *depth* is the number of
# synapses on its longest way from the input, and the depth of the last one is the network's
# *latency*: it answers so many timesteps after a sample entered. But it need not wait for the
# answer before the next sample enters: at T = 1 every layer works on another sample in every
# timestep, as an assembly line does.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from lava_mlsnn import IntegerRunner, encode, zoo
from lava_mlsnn.data import load_dataset
from netx_export import delays, depths, latency, read, run_lava

torch.set_num_threads(1)
digits = load_dataset("digits")
spec = read(zoo.network_file("zoo:digits-sparse-resnet-small"))
depth = depths(spec)
print(f"latency {latency(spec)} timesteps")
for layer, steps in zip(spec.layers, depth, strict=True):
    print(f"  {steps} {layer.name}")

# %% [markdown]
# ## The shortcut waits
#
# A residual block has two ways from its input to its sum: two synapses one after the other, and
# the shortcut, which is one. The shortcut's payload would arrive a timestep early and meet another
# sample's; its synapse gets a delay. Nobody has to say so: it follows from the connections.

# %%
waits = {
    f"{spec.layers[spec.layers[i].synapses[k].source].name} to {spec.layers[i].name}": extra
    for (i, k), extra in delays(spec).items()
    if extra
}
for way, extra in waits.items():
    print(f"{way}: waits {extra}")
assert set(waits.values()) == {1}

# %% [markdown]
# ## The assembly line
#
# Which sample is where: at timestep t (counted from 1) the layer of depth d holds sample t - 1 - d
# (counted from 0). Every diagonal, of one colour, is one sample's way through the network; white is
# a layer that has no sample yet, or none any more.

# %%
SAMPLES = 8
steps = SAMPLES + latency(spec)
rows = sorted({(d, layer.name) for d, layer in zip(depth, spec.layers, strict=True)})
where = np.array([[t - 1 - d for t in range(1, steps + 1)] for d, _ in rows], float)
where[(where < 0) | (where >= SAMPLES)] = np.nan
figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
image = axis.imshow(where, cmap="tab10", vmin=-0.5, vmax=9.5, aspect="auto")
figure.colorbar(image, label="sample", ticks=range(SAMPLES))
axis.set(yticks=range(len(rows)), yticklabels=[name for _, name in rows], xlabel="timestep")
axis.set_xticks(range(steps), range(1, steps + 1))
axis.set_title("which sample is in which layer")
figure

# %% [markdown]
# N samples take N + latency timesteps, not N * latency. Lava does exactly that:

# %%
payload = encode(spec, digits.x_test[:SAMPLES])
if __name__ == "__main__":
    streamed = run_lava(spec, payload, timeout=60)
    print(f"{SAMPLES} samples in {streamed.timesteps} timesteps")
    assert streamed.timesteps == steps
    assert np.array_equal(streamed.output, IntegerRunner(spec).run(payload).output)

# %% [markdown]
# At T = 1 nothing of a sample is left for the next one: a neuron starts from V0 in every timestep.
# So the order of samples does not matter, and one that stands alone gives the same integers.

# %%
order = np.arange(SAMPLES)[::-1]
backwards = IntegerRunner(spec).run(payload[order]).output
assert np.array_equal(backwards[order], IntegerRunner(spec).run(payload).output)

# %% [markdown]
# ## T > 1: resets travel with the sample
#
# With T = 4 a sample occupies every layer for four timesteps, and each layer must forget its state
# when the sample's first timestep reaches it: at a time that depends on its depth. The loader sets
# `reset_interval` = T and `reset_offset` = depth for each layer.

# %%
binary = read(zoo.network_file("zoo:levels-n1-t4"))
T = binary.timesteps
print(f"N = 1, T = {T}: latency {latency(binary)}, then a result every {T} timesteps")
few = encode(binary, digits.x_test[:2])
if __name__ == "__main__":
    result = run_lava(binary, few, timeout=120)
    assert result.timesteps == 2 * T + latency(binary)
    assert np.array_equal(result.output, IntegerRunner(binary).run(few).output)

# %% [markdown]
# Time per sample, then: 1 timestep at T = 1, T timesteps else, whatever the depth. The first answer
# is complete in timestep latency + T. Dashed: what it would take to wait for every answer.

# %%
counts = np.arange(1, 33)
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, network in (("N = 4, T = 1", spec), ("N = 1, T = 4", binary)):
    axis.plot(counts, counts * network.timesteps + latency(network), label=name)
axis.plot(counts, counts * (1 + latency(spec)), "--", label="N = 4, T = 1, one by one")
axis.set(xlabel="samples", ylabel="timesteps")
axis.legend()
figure

# %%
if __name__ == "__main__":
    print("all claims hold")

# %% [markdown]
# More on delays, resets and streams that begin late: `docs/time.md`.
