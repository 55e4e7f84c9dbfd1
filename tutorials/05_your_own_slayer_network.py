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
# # 5. In a SLAYER network of your own
#
# The blocks of `lava_mlsnn.slayer` keep SLAYER's conventions, so they stand in one network
# with lava-dl's own blocks: tensors (N, C, H, W, T), `neuron_params`, `pre_hook_fx`,
# `count_log`, `export_hdf5(group)`. Here a multi-level convolution feeds a layer of
# lava-dl's CUBA LIF neurons, and the mixed file runs in Lava.

# %%
import tempfile
from pathlib import Path

import h5py
import lava.lib.dl.slayer as slayer
import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.data import load_dataset
from lava_mlsnn.runner import encode
from lava_mlsnn.slayer import block
from netx_export import StockNeuron, read, run_lava

torch.set_num_threads(1)
torch.manual_seed(0)
T = 6
digits = load_dataset("digits")

# %% [markdown]
# ## The network
#
# Two conventions differ, and matter when the blocks are mixed:
#
# - **Delay.** lava-dl's CUBA blocks shift their output by one timestep in training, as the
#   chip's synapse does (`delay_shift=True`). Our blocks keep time aligned to the sample and
#   leave the latency to the loader. Use `delay_shift=False` beside ours.
# - **Thresholds** mean the same thing, but a CUBA neuron is binary and leaks; ours sends
#   0..N and does not.

# %%
multilevel = {"levels": 4, "threshold": 1.0}
cuba = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1, "requires_grad": False}


class Mixed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(
            [
                block.Input((1, 8, 8), levels=16, gain=16.0),
                block.Conv(multilevel, 1, 8, 3, stride=2, padding=1, input_size=8, count_log=True),
                block.Flatten((8, 4, 4), payload_max=4),
                slayer.block.cuba.Dense(cuba, 128, 48, delay_shift=False, count_log=False),
                block.Output(48, 10),
            ]
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rate = torch.zeros(())
        for layer in self.blocks:
            x = layer(x)
            if isinstance(x, tuple):  # count_log: output and its event rate
                x, rate = x
        return x, rate


model = Mixed()

# %% [markdown]
# Gradients pass through both kinds. The event rate can enter the loss: here a little of it
# is punished.


# %%
def static(x: np.ndarray) -> torch.Tensor:
    """(N, C, H, W) shown in all T timesteps."""
    image = torch.from_numpy(x)
    return image.unsqueeze(-1).expand(*image.shape, T)


optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
for epoch in range(3):
    model.train()
    losses, rates = [], []
    order = torch.randperm(len(digits.x_train)).numpy()
    for start in range(0, len(order) - 63, 64):
        chosen = order[start : start + 64]
        scores, rate = model(static(digits.x_train[chosen]))
        target = torch.from_numpy(digits.y_train[chosen])
        loss = F.cross_entropy(scores[..., -1] / T, target) + 0.1 * rate
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        rates.append(rate.item())
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, events {np.mean(rates):.3f}")

model.eval()
with torch.no_grad():
    scores, _ = model(static(digits.x_test))
right = (scores[..., -1].argmax(1).numpy() == digits.y_test).mean()
print(f"test accuracy {100 * right:.1f} %")
assert right > 0.6

# %% [markdown]
# ## Export by group
#
# As in every SLAYER script: one HDF5 group a block. Such a file is a plain chain, without
# names and connections; for networks of our blocks alone `netx_export.export_model` is the
# better way, because it writes those, checks the ranges, and never leaves half a file.

# %%
file = Path(tempfile.mkdtemp(prefix="mlsnn_tutorial_")) / "mixed.net"
with h5py.File(file, "w") as handle:
    layers = handle.create_group("layer")
    for index, layer in enumerate(model.blocks):
        layer.export_hdf5(layers.create_group(str(index)))

spec = read(file)
for index, layer in enumerate(spec.layers):
    neuron = getattr(layer, "neuron", None)
    print(index, layer.name, layer.shape, type(neuron).__name__ if neuron else "")
assert isinstance(spec.layers[3].neuron, StockNeuron)
assert spec.input.levels == 16 and spec.input.gain == 16.0

# %% [markdown]
# ## In Lava
#
# lava-dl's neurons keep their state from sample to sample, and a layer with a bias in front
# charges them before the first sample arrives. `reset_interval=T` resets them at the start
# of every sample, as ours are. The file does not say T: the last axis of the data does.

# %%
N = 3
payload = np.repeat(encode(spec, digits.x_test[:N])[..., None], T, axis=-1)
with torch.no_grad():
    trained = model(static(digits.x_test[:N]))[0]
    scale = model.blocks[-1].population.integers().scale[0]
expected = torch.round(trained.double() * scale).numpy().astype(np.int64)  # integer scores

if __name__ == "__main__":
    result = run_lava(spec, payload, reset_interval=T, probes=["dense3"], timeout=120)
    print("spikes of the CUBA layer, per timestep:", result.layers["dense3"].sum((0, 1)))
    assert result.layers["dense3"].max() == 1  # binary
    assert result.layers["dense3"].sum() > 0

    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    neurons, times = np.nonzero(result.layers["dense3"][0])
    axis.plot(times + 1, neurons, "|")
    axis.set(xlabel="timestep", ylabel="neuron", title="spikes of the CUBA layer for one digit")
    print("scores in Lava    ", result.output[0, :, -1])
    print("scores in training", expected[0, :, -1])
    assert np.array_equal(result.output, expected)

# %% [markdown]
# The integers agree through both kinds of neurons, because SLAYER's CUBA block computes
# with the chip's quantised decays and weights, and ours is exact.
#
# What the other tools say about such a file: the integer runner has no CUBA neuron and
# refuses it with a reason, and so does `check_parity`.

# %%
from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner

try:
    IntegerRunner(spec)
except UnsupportedLayerError as error:
    print(error)
else:
    raise AssertionError("the runner must refuse lava-dl's neurons")
print("all claims hold")

# %% [markdown]
# How files of lava-dl are read, and when lava-dl reads ours, is in `docs/stock_files.md`.
