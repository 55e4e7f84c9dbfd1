"""A training script in the shape of lava-dl's Oxford tutorial: one spike pattern to another."""

import os

import h5py
import lava.lib.dl.slayer as slayer
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

epochs = 40
torch.manual_seed(0)
trained_folder = "Trained"
os.makedirs(trained_folder, exist_ok=True)


class SpikePattern(Dataset):
    """Random spikes in, two waves of spikes out: a single sample."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        time = np.arange(120)
        self.input = torch.from_numpy((rng.random((50, 120)) < 0.08).astype(np.float32))
        self.target = torch.zeros(30, 120)
        for height, period in ((10, 40), (20, 25)):
            wave = (height + 6 * np.sin(2 * np.pi * time / period)).astype(int)
            self.target[wave[::4], time[::4]] = 1

    def __getitem__(self, _):
        return self.input, self.target

    def __len__(self):
        return 1


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        neuron_params = {
            "threshold": 0.1,
            "current_decay": 1,
            "voltage_decay": 0.1,
            "requires_grad": True,
        }
        self.blocks = torch.nn.ModuleList(
            [
                slayer.block.cuba.Dense(neuron_params, 50, 64),
                slayer.block.cuba.Dense(neuron_params, 64, 30),
            ]
        )

    def forward(self, spike):
        for block in self.blocks:
            spike = block(spike)
        return spike

    def export_hdf5(self, filename):
        h = h5py.File(filename, "w")
        layer = h.create_group("layer")
        for i, b in enumerate(self.blocks):
            b.export_hdf5(layer.create_group(f"{i}"))


device = torch.device("cpu")
net = Network().to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-5)
train_loader = DataLoader(dataset=SpikePattern(), batch_size=1)
error = slayer.loss.SpikeTime(time_constant=2, filter_order=2).to(device)
stats = slayer.utils.LearningStats()
assistant = slayer.utils.Assistant(net, error, optimizer, stats)

for epoch in range(epochs):
    for input, target in train_loader:
        output = assistant.train(input, target)
    print(f"\r[Epoch {epoch:3d}/{epochs}] {stats}", end="")
    if stats.training.best_loss or epoch == 0:
        torch.save(net.state_dict(), trained_folder + "/network.pt")
    stats.update()
    stats.save(trained_folder + "/")

net.load_state_dict(torch.load(trained_folder + "/network.pt"))
net.export_hdf5(trained_folder + "/network.net")
