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
# # 7. Sparse-ResNet and the spike avalanche
#
# In a residual network of spikes the shortcut adds what a block received to what it computed.
# If the sum of two payloads is passed on as it is (SEW-ADD), payloads grow from block to block,
# and so does what they cost: an avalanche. Sparse-ResNet puts a neuron at the sum, the *barrier*,
# which integrates both arms and fires a payload of at most N again.
#
# This tutorial looks at trained networks of the collection (`mlsnn zoo` lists it): ResNet-20,
# N = 4, T = 1, digits, with and without the barrier, from two starts of training. The *loud* one is
# what BatchNorm gives: every branch adds as much as its shortcut carries. The *quiet* one is
# today's default: branches beside identity shortcuts begin small (docs/networks.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

from lava_mlsnn import IntegerRunner, encode, zoo
from lava_mlsnn.activity import measure
from lava_mlsnn.data import load_dataset
from netx_export import read

digits = load_dataset("digits")
BARRIERS = {
    "avalanche-sew-former": "SEW-ADD, loud",
    "avalanche-integrating-former": "barrier, loud",
    "blocks-sew": "SEW-ADD, quiet",
    "blocks-integrating": "barrier, quiet",
}
specs = {name: read(zoo.network_file(f"zoo:{name}")) for name in BARRIERS}

# %% [markdown]
# ## How large payloads become
#
# What leaves the last block: at most N behind a barrier, far more behind sums, from either start.

# %%
payloads = {}
for name, spec in specs.items():
    last = [layer.name for layer in spec.layers if layer.name.startswith("stage3_block3")][-1]
    trace = IntegerRunner(spec).trace(encode(spec, digits.x_test))
    payloads[name] = trace.layers[last]
    accuracy = (trace.classes == digits.y_test).mean()
    print(
        f"{BARRIERS[name]:20} {100 * accuracy:.2f} % right, payloads up to {payloads[name].max()}"
    )

for start in ("avalanche-{}-former", "blocks-{}"):
    ours, sew = (payloads[start.format(barrier)].max() for barrier in ("integrating", "sew"))
    assert ours <= 4 < sew

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, z in payloads.items():
    values, counts = np.unique(z, return_counts=True)
    axes[0].plot(values, counts / z.size, "o-", label=BARRIERS[name])
axes[0].set(
    yscale="log", xlabel="payload", ylabel="share of neurons", title="behind the last block"
)
axes[0].legend()

# %% [markdown]
# ## Events block by block
#
# Density is events per neuron at the output of a block. An event is a payload that is not 0: it
# costs a read of weights at every neuron that it reaches. From the loud start SEW-ADD's density
# rises within every stage (three blocks each), and the barrier stops that. From the quiet start
# there is little to stop.

# %%
activities = {name: measure(spec, digits.x_test) for name, spec in specs.items()}
for name, activity in activities.items():
    axes[1].plot([block.density for block in activity.blocks], "o-", label=BARRIERS[name])
axes[1].set(xlabel="block", ylabel="events a neuron", title="activity along the network", ylim=0)
figure

# %% [markdown]
# ## What it costs
#
# Events that enter synapses, and synaptic operations: events times the neurons they reach.

# %%
for name, activity in activities.items():
    events, operations = activity.into_synapses.events, activity.operations.events
    print(f"{BARRIERS[name]:20} {events:6.0f} events, {operations:8.0f} operations a digit")

saved = {}
for start, name in (("loud", "avalanche-{}-former"), ("quiet", "blocks-{}")):
    ours, sew = (
        activities[name.format(barrier)].into_synapses.events for barrier in ("integrating", "sew")
    )
    saved[start] = 1 - ours / sew
    print(f"{start} start: the barrier saves {100 * saved[start]:.0f} % of SEW-ADD's events")

assert saved["loud"] > 0.1 > saved["quiet"]

# %% [markdown]
# So it is the start of training, more than the block, that keeps these networks sparse:
# `docs/evidence.md` has both, with seeds. What stays is the payload's bound: behind a barrier it
# fits a message of 8 bits at any depth, and there is no population of sums to send and to wait for.

# %%
print("all claims hold")
