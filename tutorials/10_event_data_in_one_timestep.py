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
# # 10. Event data in one timestep
#
# An event camera sends an event when a pixel becomes brighter or darker. A binary spiking network
# takes such a recording as T frames of 0 and 1. A multi-level network can take it as *one* frame
# of counts: the same events, added up, and an answer after one timestep.
#
# The recordings here are simulated (three small saccades over scikit-learn's digits), so that the
# script needs no download; `n-mnist` and `dvs-gesture` are loaded the same way.

# %%
import matplotlib.pyplot as plt
import numpy as np

from lava_mlsnn import IntegerRunner, encode, zoo
from lava_mlsnn.activity import measure
from lava_mlsnn.data import load_dataset
from netx_export import read

ten = load_dataset("digits-events", timesteps=10)
one = load_dataset("digits-events", timesteps=1)
print(f"T = 10: {ten.x_train.shape}, T = 1: {one.x_train.shape} (N, polarity, H, W, T)")

# %% [markdown]
# ## The same events, binned
#
# One frame is the sum of the ten: nothing is lost but the times within the recording. Counts are
# cut at 15, which no pixel reaches here. Blue pixels became brighter in that frame, red ones
# darker.

# %%
counts_ten = ten.x_train * ten.input_levels
counts_one = one.x_train * one.input_levels
assert counts_one.max() < 15 and np.allclose(counts_ten.sum(-1), counts_one[..., 0])

figure, axes = plt.subplots(1, 6, figsize=(10, 2), layout="constrained")
limit = counts_one[0].max()
for axis, t in zip(axes, (0, 2, 4, 6, 8), strict=False):
    difference = counts_ten[0, 1, ..., t] - counts_ten[0, 0, ..., t]  # polarity 1: brighter
    axis.imshow(difference, cmap="RdBu", vmin=-limit, vmax=limit)
    axis.set(title=f"frame {t + 1} of 10", xticks=[], yticks=[])
axes[5].imshow(counts_one[0, ..., 0].sum(0), cmap="gray_r")
axes[5].set(title="all, counted", xticks=[], yticks=[])
figure

# %% [markdown]
# ## One timestep, four levels
#
# Two networks of the collection, trained on these recordings with the same recipe:
#
#     mlsnn train --data digits-events --timesteps 1 --levels 4 --recipe events --out runs/one
#     mlsnn train --data digits-events --timesteps 10 --levels 1 --recipe events --out runs/ten

# %%
results = {}
for name, file, data in (
    ("N = 4, T = 1", "zoo:events-n4-t1", one),
    ("N = 1, T = 10", "zoo:events-n1-t10", ten),
):
    spec = read(zoo.network_file(file))
    trace = IntegerRunner(spec).run(encode(spec, data.x_test[:200]))
    activity = measure(spec, data.x_test[:50])
    accuracy = (trace.classes == data.y_test[:200]).mean()
    results[name] = (100 * accuracy, activity.into_synapses.events, activity.operations.events)
    print(f"{name:14} {results[name][0]:.1f} % right, {results[name][1]:6.0f} events a recording")

assert min(r[0] for r in results.values()) > 97
assert results["N = 4, T = 1"][1] < results["N = 1, T = 10"][1] / 8

# %% [markdown]
# ## What it costs
#
# Events that enter synapses, and synaptic operations: events times the neurons they reach.

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
for axis, column, title in zip(axes, (1, 2), ("events", "synaptic operations"), strict=True):
    axis.bar(list(results), [r[column] for r in results.values()], color=["C0", "C1"])
    axis.set(title=f"{title} a recording", ylim=0)
figure

# %% [markdown]
# One frame costs a ninth of the events and one to two points of accuracy here. Where *when*
# something happened decides the class, one frame of counts cannot say it: choose T by measuring on
# your own data (`--timesteps`), and compare as `mlsnn reproduce events` does.

# %%
print("all claims hold")
