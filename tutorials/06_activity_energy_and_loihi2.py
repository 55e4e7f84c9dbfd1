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
# # 6. Events, energy, and whether it fits Loihi 2
#
# A file of integers says what a network computes. This tutorial counts what it sends, puts
# a price on that, and asks whether the network fits the chip, all without hardware.

# %%
import numpy as np
import torch

from lava_mlsnn import ModelConfig, encode
from lava_mlsnn.activity import measure
from lava_mlsnn.data import load_dataset
from lava_mlsnn.energy import Design, energies
from lava_mlsnn.loihi2 import execute, limits_for, multilevel_program, preflight, prove
from lava_mlsnn.training import TrainConfig, train
from netx_export import to_spec

torch.set_num_threads(1)
digits = load_dataset("digits")
config = ModelConfig(
    input_shape=digits.shape, input_levels=digits.input_levels, width=8, arch="sparse-resnet-20"
)
model = train(config, digits, TrainConfig(epochs=2))
spec = to_spec(model)

# %% [markdown]
# ## Events
#
# An event is a message that is not 0; its payload is the number it carries. The counts are
# the same whether the training model, the runner or Lava is measured.

# %%
data = digits.x_test[:100]
activity = measure(spec, data)
assert measure(spec, data, backend="model", model=model) == activity
print(f"{activity.all.events:.0f} events a sample, {activity.operations.events:.0f} operations")
for block in activity.blocks:
    print(f"stage {block.stage} block {block.block}: {block.density:.2f} events a neuron")

# %% [markdown]
# Dearer than the events are what they cause: every event meets a weight for every neuron it
# reaches. A neuron in the middle of an image reaches more than one at the border.

# %%
stem = activity["stem"]
reader = activity["stage1_block1.conv1"]
mean_fan_out = reader.operations.events / stem.events
print(f"an event of the stem meets {mean_fan_out:.1f} weights of at most {9 * 8}")
assert mean_fan_out < 9 * 8

# %% [markdown]
# ## Energy
#
# An analytical model, memory accesses included (`docs/energy.md` has the formulas and what
# they leave out). The honest neighbour of a network at T = 1 is the same network as an ANN
# of the same levels that skips zeros.

# %%
found = energies(spec, activity, design=Design("adds"))
for name, energy in found.items():
    print(f"{name:10} {energy.nanojoule:8.0f} nJ a sample")
assert found["snn"].nanojoule < energies(spec, activity, design=Design("burst"))["snn"].nanojoule
assert found["zero-skip"].nanojoule < found["ann"].nanojoule

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].plot([block.density for block in activity.blocks], "o-")
axes[0].set(xlabel="block", ylabel="events a neuron", title="activity along the network", ylim=0)
axes[1].bar(list(found), [energy.nanojoule for energy in found.values()])
axes[1].set(ylabel="nJ a sample", title="analytical energy")
figure

# %% [markdown]
# ## Does it fit?
#
# Ranges, weights, delays, memory and cores against a table of limits. Each limit says how it
# is known, and can be replaced.

# %%
limits = limits_for("loihi2")
report = preflight(spec, limits, encode(spec, data))
assert report.fits and report.samples == 100
balanced = report.placed["balanced"].mapping
print(f"{balanced.cores} cores, no mapping needs fewer than {report.bound}")
print("assumed:", ", ".join(x.name for x in limits.table.values() if x.status == "assumed"))

# %% [markdown]
# With a fifth of the memory and four cores it does not, and the report says what would help.

# %%
small = limits_for("loihi2", ["memory_per_core=26000", "cores_per_chip=4"])
refused = preflight(spec, small)
assert not refused.fits
for finding in refused.findings:
    print(finding)

# %% [markdown]
# ## The neuron as a program
#
# What the chip would run: no division, few registers, a proof of their ranges, and an
# interpreter that gives the same payloads as the formula.

# %%
program = multilevel_program(vth=100, levels=4)
print(program.listing())
h = np.arange(-50, 700)
done = execute(program, {"a": h, "bias": 0})
assert (done.payload == np.clip(h // 100, 0, 4)).all() and (done.sent == (h >= 100)).all()
print(f"silent: {done.executed.min()} instructions, at most {done.executed.max()}")
print(prove(program, {"a": (-(2**22), 2**22), "bias": (0, 0)}).registers)

# %%
print("all claims hold")
