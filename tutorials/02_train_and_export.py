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
# # 2. Build, train, export
#
# A small residual network from single blocks, trained on 8x8 digits for a few seconds,
# written as a file of integers. Nothing here needs Lava.
#
# The blocks follow SLAYER: tensors are (N, C, H, W, T) or (N, F, T) with time last, and
# `neuron_params` is a dict. Every block knows its shape when it is made.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.data import load_dataset
from lava_mlsnn.slayer import block, precision

torch.set_num_threads(1)  # small networks are faster with one thread
torch.manual_seed(0)
digits = load_dataset("digits")  # values in 0..1, in steps of 1/16
print(digits.x_train.shape, digits.x_test.shape)

# %% [markdown]
# ## The network
#
# - `Input` turns data into integer payloads: `clip(floor(gain * x + 1/2), 0, levels)`.
#   The digits have 17 grey levels, so 16 loses nothing.
# - `Conv` is convolution, BatchNorm and neuron. BatchNorm is folded at export.
# - `Residual` is two 3x3 convolutions and a shortcut into one neuron population.
# - `Pool` averages: with `neuron_params` it fires the average, with None it sends the sum
#   and the next layer's weights absorb the division.
# - `Output` adds up class scores and does not spike.

# %%
neuron = {"levels": 4, "threshold": 1.0, "v0": "floor"}


def make() -> torch.nn.Sequential:
    model = torch.nn.Sequential()
    model.add_module("input", block.Input((1, 8, 8), levels=16, gain=16.0))
    model.add_module("stem", block.Conv(neuron, 1, 8, 3, padding=1, input_size=8))
    same = block.Residual(neuron, (8, 8, 8), 8, payload_max=4)
    model.add_module("same", same)  # identity shortcut
    down = block.Residual(neuron, same.shape, 16, stride=2, payload_max=same.payload_max)
    model.add_module("down", down)  # 1x1 convolution as shortcut
    pool = block.Pool(None, down.shape, 2, payload_max=down.payload_max)
    model.add_module("pool", pool)
    model.add_module("flatten", block.Flatten(pool.shape, pool.payload_max))
    model.add_module("output", block.Output(64, 10, weight_scale=1 / 4))  # 2x2 sums
    return model


model = make()
for name, layer in model.named_children():
    print(f"{name:8} {layer.shape}")
assert model.down.shape == (16, 4, 4) and model.flatten.shape == (64,)

# %% [markdown]
# ## Training
#
# An ordinary torch loop. At T = 1 the data gets a last axis of 1. In `train()` the float
# weights are rounded to the grid of the exported 8-bit weights, with the gradient passed
# straight through, so the network learns with the integers that it will have.


# %%
def batches(x: np.ndarray, y: np.ndarray, size: int = 64):
    order = torch.randperm(len(x))
    for start in range(0, len(x) - size + 1, size):
        chosen = order[start : start + size].numpy()
        yield torch.from_numpy(x[chosen]).unsqueeze(-1), torch.from_numpy(y[chosen])


EPOCHS = 12
optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
for epoch in range(EPOCHS):
    model.train()
    losses = []
    for x, y in batches(digits.x_train, digits.y_train):
        loss = F.cross_entropy(model(x)[..., -1], y)  # scores at the last timestep
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    schedule.step()
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")

# %% [markdown]
# ## What `eval()` computes
#
# By default the *integers* of the exported network, carried in float tensors that hold
# them exactly. `precision(model, "float")` switches to float weights and running
# statistics for a comparison. Class scores come back in units of training either way.

# %%
model.eval()
x_test = torch.from_numpy(digits.x_test).unsqueeze(-1)
with torch.no_grad():
    scores = model(x_test)[..., -1]
    with precision(model, "float"):
        floating = model(x_test)[..., -1]
accuracy = {
    kind: float((s.argmax(1).numpy() == digits.y_test).mean())
    for kind, s in {"integer": scores, "float": floating}.items()
}
print(accuracy)
assert min(accuracy.values()) > 0.9

with torch.no_grad():
    spikes = model.stem(model.input(x_test))
assert set(spikes.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
print(f"stem: {float((spikes != 0).float().mean()):.2f} events per neuron")

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 9, figsize=(11, 1.7), layout="constrained")
axes[0].imshow(digits.x_test[0, 0], cmap="gray_r")
axes[0].set_title("a digit")
for channel, axis in enumerate(axes[1:]):
    axis.imshow(spikes[0, channel, :, :, 0], cmap="viridis", vmin=0, vmax=4)
    axis.set_title(f"stem, {channel}")
for axis in axes:
    axis.set(xticks=[], yticks=[])
figure

# %% [markdown]
# A population's integers can be looked at any time. All synapses of a population share one
# scale per channel: integer weight = float weight (BatchNorm folded in) times scale.

# %%
integers = model.stem.population.integers()
folded, shift = model.stem.synapse.folded()
exponent = integers.exponents[0]
approximate = integers.weights[0] * 2.0**exponent / integers.scale.reshape(-1, 1, 1, 1)
print("weights ", integers.weights[0].shape, int(integers.weights[0].min()), "to", end=" ")
print(int(integers.weights[0].max()), f"times 2**{exponent}")
print("vth     ", integers.vth.int().tolist())
assert integers.weights[0].abs().max() <= 254
half_step = integers.weights[0].new_tensor(2.0**exponent) / integers.scale
assert ((approximate - folded).abs() <= half_step.reshape(-1, 1, 1, 1) + 1e-6).all()

# %% [markdown]
# ## Export
#
# `export_model` checks that no accumulator and no state can leave 24 bits, then writes the
# file as a whole, or raises one error that names the layer. It returns the network as data,
# a `NetworkSpec`; `read` gives the same from the file.

# %%
from netx_export import delays, export_model, latency, read, stock_reasons, worst_case

folder = Path(tempfile.mkdtemp(prefix="mlsnn_tutorial_"))
file = folder / "digits.net"
export_model(model, file, provenance={"tutorial": 2})
spec = read(file)
print(file, file.stat().st_size, "bytes;", "T =", spec.timesteps, "; latency", latency(spec))
assert spec.provenance == {"tutorial": 2}
# stem, two convolutions in each residual block, pool, output: one timestep each
assert latency(spec) == 7

# %% [markdown]
# Layers are in the order of the blocks. A residual block is two populations, `conv1` and
# `conv2`; the shortcut is a second synapse into `conv2`. It skips one synapse, so it has a
# delay of one timestep.

# %%
for index, layer in enumerate(spec.layers):
    print(index, layer.name, layer.shape, "from", layer.sources)
index = [layer.name for layer in spec.layers].index("same.conv2")
main, shortcut = spec.layers[index].synapses
assert type(main).__name__ == "Conv" and type(shortcut).__name__ == "Identity"
assert (delays(spec)[index, 0], delays(spec)[index, 1]) == (0, 1)

# %% [markdown]
# An identity shortcut is exact: its weight is the scale of that channel itself, so
# one incoming spike of payload 1 adds exactly `scale` units.

# %%
population = spec.layers[index]
assert np.array_equal(shortcut.weight * 2**shortcut.weight_exp, population.scale)

# %% [markdown]
# ## Ranges
#
# `worst_case` follows intervals through the network. `bits` is the signed width that a
# layer's sums and state can ever need.

# %%
for found in worst_case(spec):
    print(f"{found.name:12} {found.bits:2} of 24 bits, state {found.state}, sends {found.payload}")
    assert found.fits and found.bits <= 24

# %% [markdown]
# Why stock lava-dl cannot run this file (it has one chain of layers and binary spikes); a
# file that gives an empty list loads there too.

# %%
reasons = stock_reasons(spec)
print(len(reasons), "reasons, such as:", reasons[0])
assert reasons

# %% [markdown]
# ## The same from a shell
#
# `mlsnn info` prints the layers, integers and ranges of a file, `mlsnn train` and
# `mlsnn export` do what is above for the ready-made networks. With `--json` a program can
# read the answer.

# %%
import json
import subprocess
import sys

shell = [sys.executable, "-m", "lava_mlsnn"]
print(
    subprocess.run([*shell, "info", str(file)], capture_output=True, text=True, check=True).stdout
)
done = subprocess.run(
    [*shell, "run", str(file), "--data", "digits", "--json"],
    capture_output=True,
    text=True,
    check=True,
)
result = json.loads(done.stdout)
print(result["samples"], "samples, accuracy", result["accuracy"])
assert result["accuracy"] == accuracy["integer"]

# %% [markdown]
# ## What cannot be exported
#
# A module without an exact integer counterpart is refused with a hint, and so is a model
# whose BatchNorm has not seen data.

# %%
from lava_mlsnn.errors import CalibrationError, UnsupportedLayerError

try:
    export_model(make(), folder / "untrained.net")
except CalibrationError as error:
    print(error)
else:
    raise AssertionError("an untrained model must be refused")

foreign = torch.nn.Sequential(model.input, model.stem, torch.nn.MaxPool2d(2))
try:
    export_model(foreign, folder / "foreign.net")
except UnsupportedLayerError as error:
    print(error)
else:
    raise AssertionError("a layer of plain torch must be refused")
assert sorted(p.name for p in folder.iterdir()) == ["digits.net"]  # no half-written file
print("all claims hold")

# %% [markdown]
# Next: `03_run_in_lava.py` runs a file in the Lava simulator. The blocks and the rules of
# the scales are in `docs/networks.md`, the file in `docs/format.md`.
