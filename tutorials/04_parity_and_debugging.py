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
# # 4. Parity, and what to do when integers differ
#
# Three programs compute the same network: the training model in `eval()`, the integer
# runner, and Lava. `check_parity` compares all of them, every integer of every layer,
# timestep and sample. This tutorial runs the check, breaks things on purpose, and reads
# what it says.

# %%
from dataclasses import replace

import numpy as np
import torch

from lava_mlsnn import IntegerRunner, ModelConfig, check_parity, encode
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import MLSNNError, ParityError, RangeError
from lava_mlsnn.training.loop import TrainConfig, train
from netx_export import check_ranges, run_lava, to_spec, worst_case

torch.set_num_threads(1)
digits = load_dataset("digits")
config = ModelConfig(input_levels=digits.input_levels, width=4, timesteps=2)
model = train(config, digits, TrainConfig(epochs=2))
spec = to_spec(model)  # what export_model writes and read gives back
data = digits.x_test[:40]

# %% [markdown]
# ## All is well
#
# The check takes real data, not payloads: each side encodes for itself, so that a mistake
# in the encoding is found too.

# %%
report = check_parity(spec, data, model=model)
print(report)
assert report.count == 0 and report.first is None
assert report.layers[0] == "input" and report.samples == {"training": 40}

if __name__ == "__main__":
    report = check_parity(spec, data, model=model, lava_samples=3)
    print(report)
    assert report.count == 0
    assert report.samples == {"training": 40, "lava": 3, "lava, one process": 3}
    report.raise_if_different()  # for scripts: ParityError if there is a difference

# %% [markdown]
# From a shell: `mlsnn check demo.net --model model.pt`. It ends with exit code 1 if an
# integer differs.
#
# ## A broken weight
#
# We change one weight of one layer in the file's network, as a damaged or hand-edited file
# would have it.

# %%
BROKEN = "stage2_block1.conv1"
index = next(i for i, p in spec.populations if p.name == BROKEN)
layer = spec.layers[index]
weight = layer.synapses[0].weight.copy()
weight[0, 0, 1, 1] = -weight[0, 0, 1, 1] + 50
weight[0, 0, 1, 1] -= weight[0, 0, 1, 1] % 2  # see below: mixed signs need even weights
synapse = replace(layer.synapses[0], weight=weight)
layers = list(spec.layers)
layers[index] = replace(layer, synapses=(synapse,))
broken = replace(spec, layers=tuple(layers))

report = check_parity(broken, data, model=model)
print(report)

# %% [markdown]
# The report names the first layer that differs, in how many integers and by how much, and
# the first place. Everything before it agrees, so the fault is in this layer: its weights,
# bias or threshold. The layers behind it differ as a consequence.

# %%
first = report.first
assert first.layer == BROKEN and first.side == "training"
assert first.neuron[0] == 0  # channel 0, where the weight is
after = [d.layer for d in report.differences]
print("differ:", after)
assert "stem" not in after and "output" in after

# %% [markdown]
# Its place leads straight to the values. The runner gives every layer, `trace` of the
# broken network and of the sound one.

# %%
one = encode(spec, data[first.sample : first.sample + 1])
place = (0, *first.neuron, first.timestep)
good = IntegerRunner(spec).trace(one, [BROKEN]).layers[BROKEN]
bad = IntegerRunner(broken).trace(one, [BROKEN]).layers[BROKEN]
print("sound", good[place], "broken", bad[place])
assert (bad[place], good[place]) == (first.runner, first.other)

import matplotlib.pyplot as plt

# the broken channel of that sample: a sound network, this one, and the difference
maps = [layer[0, first.neuron[0], ..., first.timestep].astype(int) for layer in (good, bad)]
figure, axes = plt.subplots(1, 3, figsize=(7, 2.4), layout="constrained")
shown = zip(axes, [*maps, maps[1] - maps[0]], ("sound", "broken", "difference"), strict=True)
for axis, image, title in shown:
    axis.imshow(image, cmap="RdBu", vmin=-4, vmax=4)
    axis.set(title=title, xticks=[], yticks=[])
figure

try:
    report.raise_if_different()
except ParityError as error:
    print("ParityError:", error)

# %% [markdown]
# ## A model that was trained further
#
# The most common reason is harmless: the file is older than the model. Then the first
# layer that changed differs. Export again.

# %%
with torch.no_grad():
    model.blocks.stage3_block1.conv2.synapses[0].weight.mul_(-1.0)
report = check_parity(spec, data, model=model)
print(report.first)
assert report.first.layer == "stage3_block1.conv2"
report = check_parity(to_spec(model), data, model=model)
assert report.count == 0

# %% [markdown]
# A file of another structure is an error of its own.

# %%
other = train(replace(config, barrier="sew"), digits, TrainConfig(epochs=1, batch_size=1000))
try:
    check_parity(spec, data, model=other)
except ParityError as error:
    print(error)
else:
    raise AssertionError("another structure must be refused")

# %% [markdown]
# ## Weights that do not fit
#
# Loihi 2 keeps 8 bits a weight. With both signs in a synapse they lie in -128..127, or are
# even numbers in -256..254. Our exporter keeps to that; a hand-made network that does not
# is refused when it is made.

# %%
for wrong in (300, 201):
    weight = layer.synapses[0].weight.copy()
    weight[0, 0, 0, 0] = wrong
    try:
        replace(layer, synapses=(replace(layer.synapses[0], weight=weight),))
    except RangeError as error:
        print(error)
    else:
        raise AssertionError(f"{wrong} must be refused")

# %% [markdown]
# ## Ranges and overflow
#
# Accumulators and states have 24 signed bits. `worst_case` says how much of them a network
# can ever use; `export_model` refuses one that can leave them. A dense layer with 512
# inputs of up to 127 and weights of up to 254 can reach 16.5 million, more than 2**23.

# %%
from netx_export import Dense, Input, NetworkSpec, Population, Readout

wide = NetworkSpec(
    (
        Input((512,), levels=127),
        Population("wide", (2,), (Dense(0, np.full((2, 512), 254)),), Readout()),
    )
)
found = worst_case(wide)[0]
print(found.name, found.bits, "bits:", found.problem)
assert not found.fits and found.bits == 25
try:
    check_ranges(wide)
except RangeError as error:
    print("RangeError:", error)

# %% [markdown]
# The worst case need not happen: with small inputs the sums are fine. The runner looks at
# what really occurs. It raises by default; `on_overflow="wrap"` computes on as the chip
# would and counts.

# %%
runner = IntegerRunner(wide)
small, large = np.full((1, 512), 10), np.full((1, 512), 127)
assert runner.run(small).output[0, 0, 0] == 10 * 254 * 512
try:
    runner.run(large)
except RangeError as error:
    print("RangeError:", error)
else:
    raise AssertionError("the overflow must be noticed")
wrapped = IntegerRunner(wide, on_overflow="wrap").run(large)
print("wrapped:", wrapped.output[0, :, 0], wrapped.overflows)
assert wrapped.output[0, 0, 0] == 127 * 254 * 512 - 2**24
assert wrapped.overflows["wide"] > 0

# %% [markdown]
# Lava wraps and counts in the same way.

# %%
if __name__ == "__main__":
    result = run_lava(wide, large, timeout=60)
    print("Lava:   ", result.output[0, :, 0], result.overflows)
    assert np.array_equal(result.output, wrapped.output)
    assert result.overflows["wide"] > 0

# %% [markdown]
# What helps: fewer `levels` in the layer before (or in the input), a pool that fires
# instead of a pool that sums, fewer inputs, a smaller `weight_exp`. Here 63 input levels
# are enough.

# %%
narrow = replace(wide, layers=(Input((512,), levels=63), *wide.layers[1:]))
assert check_ranges(narrow)[0].bits == 24

# %% [markdown]
# Every error of the project derives from `MLSNNError`.

# %%
try:
    IntegerRunner(narrow).run(large)
except MLSNNError as error:
    print(type(error).__name__, "-", error)
else:
    raise AssertionError("127 is no payload of an input with 63 levels")
print("all claims hold")

# %% [markdown]
# ## A checklist
#
# | first difference | side | likely cause |
# |---|---|---|
# | `input` | training | the model gets data that is scaled otherwise than the file's `gain` |
# | one layer, from there on all | training | file and model are of different age: export again |
# | a layer, few integers, on a GPU | training | compare on the CPU; then report it |
# | a layer, overflows counted | both | look at `worst_case` |
# | any | lava only | please report it, with the file |
#
# More of what can go wrong, and how it shows, is in `docs/dangers.md`. Next:
# `05_your_own_slayer_network.py`.
