"""A training script in the shape of lava-dl's PilotNet tutorial: where a moving bar stands."""

import os

import h5py
import lava.lib.dl.slayer as slayer
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

epochs = 6
torch.manual_seed(4205)
trained_folder = "Trained"
os.makedirs(trained_folder, exist_ok=True)
lam = 0.01  # weight of the price on events


class MovingBar(Dataset):
    """Frames (1, 10, 16) in -1..1 with a bright bar that wanders; its place in -1..1."""

    def __init__(self, train):
        super().__init__()
        rng = np.random.default_rng(int(train))
        steps = rng.normal(0, 0.5, (160 if train else 32, 1, 8))
        place = np.clip(rng.uniform(2, 13, (len(steps), 1, 1)) + steps.cumsum(-1), 0, 15)
        x = np.exp(-((np.arange(16)[:, None] - place) ** 2) / 4)
        frames = np.repeat(x[:, None, None], 10, axis=2) + rng.normal(
            0, 0.05, (len(x), 1, 10, 16, 8)
        )
        self.frames = torch.from_numpy(2 * frames - 1).float().clamp(-1, 1)
        self.truth = torch.from_numpy(place[:, 0] / 7.5 - 1).float()

    def __getitem__(self, i):
        return self.frames[i], self.truth[i]

    def __len__(self):
        return len(self.truth)


def event_rate_loss(x, max_rate=0.01):
    mean_event_rate = torch.mean(torch.abs(x))
    return F.mse_loss(F.relu(mean_event_rate - max_rate), torch.zeros_like(mean_event_rate))


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        sdnn_params = {
            "threshold": 0.1,
            "tau_grad": 0.5,
            "scale_grad": 1,
            "requires_grad": True,
            "shared_param": True,
            "activation": F.relu,
        }
        sdnn_cnn_params = {
            **sdnn_params,
            "norm": slayer.neuron.norm.MeanOnlyBatchNorm,
        }
        sdnn_dense_params = {
            **sdnn_cnn_params,
            "dropout": slayer.neuron.Dropout(p=0.2),
        }
        sd = slayer.block.sigma_delta
        self.blocks = torch.nn.ModuleList(
            [
                sd.Input(sdnn_params),
                sd.Conv(sdnn_cnn_params, 1, 6, 3, stride=2, weight_scale=2, weight_norm=True),
                sd.Conv(sdnn_cnn_params, 6, 8, 3, padding=(1, 0), weight_scale=2, weight_norm=True),
                sd.Flatten(),
                sd.Dense(sdnn_dense_params, 160, 20, weight_scale=2, weight_norm=True),
                sd.Output(sdnn_dense_params, 20, 1, weight_scale=2, weight_norm=True),
            ]
        )

    def forward(self, x):
        count = []
        event_cost = 0
        for block in self.blocks:
            x = block(x)
            if hasattr(block, "neuron"):
                event_cost += event_rate_loss(x)
                count.append(torch.sum((torch.abs(x[..., 1:]) > 0).to(x.dtype)).item())
        return x, event_cost, torch.FloatTensor(count).reshape((1, -1)).to(x.device)

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
optimizer = torch.optim.RAdam(net.parameters(), lr=0.01, weight_decay=1e-5)
train_loader = DataLoader(dataset=MovingBar(train=True), batch_size=8, shuffle=True)
test_loader = DataLoader(dataset=MovingBar(train=False), batch_size=8, shuffle=True)
stats = slayer.utils.LearningStats()
assistant = slayer.utils.Assistant(
    net=net,
    error=lambda output, target: F.mse_loss(output.flatten(), target.flatten()),
    optimizer=optimizer,
    stats=stats,
    count_log=True,
    lam=lam,
)

for epoch in range(epochs):
    if epoch == 4:
        assistant.reduce_lr()
    for input, ground_truth in train_loader:
        assistant.train(input, ground_truth)
    for input, ground_truth in test_loader:
        assistant.test(input, ground_truth)
    print(f"\r[Epoch {epoch:3d}/{epochs}] {stats}", end="")
    if stats.testing.best_loss or epoch == 0:
        torch.save(net.state_dict(), trained_folder + "/network.pt")
    stats.update()
    stats.save(trained_folder + "/")
grad = net.grad_flow(trained_folder + "/")

net.load_state_dict(torch.load(trained_folder + "/network.pt"))
net.export_hdf5(trained_folder + "/network.net")
