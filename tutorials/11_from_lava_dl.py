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
# # 11. From lava-dl
#
# A training script in the shape of lava-dl's N-MNIST tutorial, changed line by line until its
# network is one of multi-level neurons. It keeps lava-dl's loss, its `Assistant`, its
# statistics and its export. The data is built in: scikit-learn's digits as spikes.
#
# Every line that differs from a script for lava-dl is marked `# was:`. There are four.

# %%
import tempfile
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

from lava_mlsnn.slayer import lava_dl as slayer  # was: import lava.lib.dl.slayer as slayer

torch.set_num_threads(1)
torch.manual_seed(1)
T = 12
folder = Path(tempfile.mkdtemp(prefix="mlsnn_tutorial_"))

# %% [markdown]
# ## Spikes
#
# Bright pixels spike from the beginning, darker ones later: 64 neurons for light and 64 for
# dark. These are spikes of 0 and 1, so that the network needs no `Input`; real-valued data
# would begin with `slayer.block.cuba.Input(shape, levels=..., gain=...)`, which rounds it.


# %%
class SpikingDigits(Dataset):
    def __init__(self, train: bool) -> None:
        images, labels = load_digits(return_X_y=True)
        chosen = np.random.default_rng(0).permutation(len(labels))
        chosen = chosen[:1200] if train else chosen[1200:]
        bright = torch.from_numpy(images[chosen, :, None] / 16).float()
        level = 1 - (torch.arange(T) + 0.5) / T
        self.spikes = torch.cat([bright > level, bright < 0.4 * (1 - level)], dim=1).float()
        self.labels = labels[chosen].astype(np.int64)

    def __getitem__(self, i):
        return self.spikes[i], self.labels[i]

    def __len__(self) -> int:
        return len(self.labels)


train_loader = DataLoader(SpikingDigits(train=True), batch_size=32, shuffle=True)
test_loader = DataLoader(SpikingDigits(train=False), batch_size=32)

# %% [markdown]
# ## The network
#
# `slayer.block.cuba` holds blocks of multi-level neurons here. Two things cannot stay, and the
# error says so if they do: decays, since the neuron does not leak, and learned delays.

# %%
cuba_params = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
for refused in (
    lambda: slayer.block.cuba.Dense(cuba_params, 128, 64),
    lambda: slayer.block.cuba.Dense({}, 128, 64, delay=True),
):
    try:
        refused()
    except ValueError as error:
        print(error)
    else:
        raise AssertionError("it must be refused")


# %%
class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # was: {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03, ...}
        params = {"threshold": 1.25, "levels": 2}
        params_drop = {**params, "dropout": slayer.neuron.Dropout(p=0.05)}
        dense = slayer.block.cuba.Dense
        self.blocks = torch.nn.ModuleList(
            [
                dense(params_drop, 128, 96, weight_norm=True),  # was: ..., delay=True),
                dense(params_drop, 96, 96, weight_norm=True),  # was: ..., delay=True),
                dense(params, 96, 10, weight_norm=True),
            ]
        )

    def forward(self, spike: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            spike = block(spike)
        return spike

    def export_hdf5(self, filename: Path) -> None:
        with h5py.File(filename, "w") as h:
            layer = h.create_group("layer")
            for i, b in enumerate(self.blocks):
                b.export_hdf5(layer.create_group(f"{i}"))


# %% [markdown]
# ## Training
#
# Nothing is changed from here to the export. In `assistant.test` the network is in `eval()`,
# and so already the integer network that will be in the file.

# %%
net = Network()
optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
error = slayer.loss.SpikeRate(true_rate=0.5, false_rate=0.03, reduction="sum")
stats = slayer.utils.LearningStats()
assistant = slayer.utils.Assistant(
    net, error, optimizer, stats, classifier=slayer.classifier.Rate.predict
)
gradients = []
for epoch in range(6):
    for spikes, label in train_loader:
        assistant.train(spikes, label)
    gradients.append([b.synapse.grad_norm for b in net.blocks])
    for spikes, label in test_loader:
        assistant.test(spikes, label)
    print(f"epoch {epoch + 1}: {stats}")
    stats.update()
assert stats.training.loss_log[-1] < 0.5 * stats.training.loss_log[0]
assert stats.testing.max_accuracy > 0.8
assert np.all(np.array(gradients) > 0)

net.export_hdf5(folder / "network.net")

# %% [markdown]
# ## The file
#
# The stock loader cannot run it, since its neurons are not among Lava's. `netx_export.read`
# takes it, the integer runner computes the whole test set, and every spike is that of
# `net.eval()`.

# %%
from lava_mlsnn.runner import IntegerRunner
from netx_export import read

spec = read(folder / "network.net")
assert spec.timesteps == T and spec.output.neuron.levels == 2
test_set = test_loader.dataset
result = IntegerRunner(spec).run(test_set.spikes.numpy().astype(np.int64))
with torch.no_grad():
    trained = net.eval()(test_set.spikes)
assert np.array_equal(result.output, trained.numpy())
right = (result.output.mean(-1).argmax(1) == test_set.labels).mean()
print(f"{len(test_set)} digits in the integer runner: {100 * right:.1f} % right")

# %% [markdown]
# Whole networks are better written by `export_model`, which also checks that no sum can leave
# 24 bits, and keeps names. It wants to be told what enters: an `Input` of binary spikes.

# %%
from netx_export import export_model

whole = torch.nn.Sequential(slayer.block.cuba.Input((128,), levels=1), *net.blocks)
named = export_model(whole, folder / "named.net")
again = IntegerRunner(named).run(test_set.spikes.numpy().astype(np.int64))
assert np.array_equal(again.output, result.output)

# %% [markdown]
# ## In Lava
#
# `netx_export.Network` has the arguments of lava-dl's `hdf5.Network`, here by way of
# `run_lava`, which wires source and sinks.

# %%
from netx_export import run_lava

if __name__ == "__main__":
    few = test_set.spikes[:4].numpy().astype(np.int64)
    lava = run_lava(spec, few, timeout=120)
    assert np.array_equal(lava.output, result.output[:4])
    print(f"Lava: {lava.timesteps} timesteps for {len(few)} samples, the same spikes")

# %% [markdown]
# ## What was learned
#
# Left the loss of every epoch; right what the ten output neurons send for one digit, whose row
# is between the red lines. A square is one timestep, black for a spike of 2.

# %%
figure, (left, right_) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
epochs = np.arange(1, len(stats.training.loss_log) + 1)
left.plot(epochs, stats.training.loss_log, "o-", label="training")
left.plot(epochs, stats.testing.loss_log, "s--", label="test, in integers")
left.set(xlabel="epoch", ylabel="SpikeRate loss", ylim=0)
left.legend()
shown = int(np.flatnonzero(result.output.mean(-1).argmax(1) == test_set.labels)[0])
picture = right_.imshow(result.output[shown], cmap="Greys", vmin=0, vmax=2, aspect="auto")
for edge in (-0.5, 0.5):
    right_.axhline(test_set.labels[shown] + edge, color="tab:red")
right_.set(xlabel="timestep", ylabel="output neuron", yticks=range(10))
right_.set_title(f"a {test_set.labels[shown]}", fontsize="medium")
figure.colorbar(picture, ax=right_, ticks=[0, 1, 2], label="graded spike")
figure

# %% [markdown]
# What every name and argument of lava-dl is here, and how Oxford and PilotNet change, is in
# `docs/from_lava_dl.md`.

# %%
print("all claims hold")
