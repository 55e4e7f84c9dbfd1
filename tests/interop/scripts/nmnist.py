"""A training script in the shape of lava-dl's N-MNIST tutorial: digits as spikes, to rates."""

import os

import h5py
import lava.lib.dl.slayer as slayer
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

epochs = 8
torch.manual_seed(0)
trained_folder = "Trained"
os.makedirs(trained_folder, exist_ok=True)


class SpikingDigits(Dataset):
    """Pixels that spike the earlier, the brighter (first polarity) or darker they are."""

    def __init__(self, train):
        super().__init__()
        images, labels = load_digits(return_X_y=True)
        part = slice(None, 600) if train else slice(600, 700)
        bright = torch.from_numpy(images[part, :, None] / 16).float()
        level = (torch.arange(12) + 0.5) / 12
        self.spikes = torch.cat([bright > level, bright < 0.4 - level], dim=1).float()
        self.labels = labels[part].astype(np.int64)

    def __getitem__(self, i):
        return self.spikes[i], self.labels[i]

    def __len__(self):
        return len(self.labels)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        neuron_params = {
            "threshold": 1.25,
            "current_decay": 0.25,
            "voltage_decay": 0.03,
            "tau_grad": 0.03,
            "scale_grad": 3,
            "requires_grad": True,
        }
        neuron_params_drop = {
            **neuron_params,
            "dropout": slayer.neuron.Dropout(p=0.05),
        }
        self.blocks = torch.nn.ModuleList(
            [
                slayer.block.cuba.Dense(neuron_params_drop, 128, 64, weight_norm=True, delay=True),
                slayer.block.cuba.Dense(neuron_params_drop, 64, 64, weight_norm=True, delay=True),
                slayer.block.cuba.Dense(neuron_params, 64, 10, weight_norm=True),
            ]
        )

    def forward(self, spike):
        for block in self.blocks:
            spike = block(spike)
        return spike

    def grad_flow(self, path):
        grad = [b.synapse.grad_norm for b in self.blocks if hasattr(b, "synapse")]
        plt.figure()
        plt.semilogy(grad)
        plt.savefig(path + "gradFlow.png")
        plt.close()
        return grad

    def export_hdf5(self, filename):
        h = h5py.File(filename, "w")
        layer = h.create_group("layer")
        for i, b in enumerate(self.blocks):
            b.export_hdf5(layer.create_group(f"{i}"))


device = torch.device("cpu")
net = Network().to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
training_set, testing_set = SpikingDigits(train=True), SpikingDigits(train=False)
train_loader = DataLoader(dataset=training_set, batch_size=32, shuffle=True)
test_loader = DataLoader(dataset=testing_set, batch_size=32, shuffle=True)
error = slayer.loss.SpikeRate(true_rate=0.2, false_rate=0.03, reduction="sum").to(device)
stats = slayer.utils.LearningStats()
assistant = slayer.utils.Assistant(
    net, error, optimizer, stats, classifier=slayer.classifier.Rate.predict
)

for epoch in range(epochs):
    for input, label in train_loader:
        output = assistant.train(input, label)
    for input, label in test_loader:
        output = assistant.test(input, label)
    print(f"\r[Epoch {epoch:2d}/{epochs}] {stats}", end="")
    if stats.testing.best_accuracy or epoch == 0:
        torch.save(net.state_dict(), trained_folder + "/network.pt")
    stats.update()
    stats.save(trained_folder + "/")
grad = net.grad_flow(trained_folder + "/")

net.load_state_dict(torch.load(trained_folder + "/network.pt"))
net.export_hdf5(trained_folder + "/network.net")
