"""A trained float network converts, trains on, exports, and its losses are listed."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lava_mlsnn import check_parity, convert
from lava_mlsnn.conversion import layer_errors, save_errors
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import ConfigError
from netx_export import export_model, to_spec

torch.set_num_threads(1)


class Block(torch.nn.Module):
    def __init__(self, c, out, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(c, out, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(out)
        self.conv2 = torch.nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(out)
        self.side = torch.nn.Identity() if stride == 1 else torch.nn.Conv2d(c, out, 1, stride)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.side(x))


def resnet(c=8):
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, c, 3, 1, 1, bias=False),
        torch.nn.BatchNorm2d(c),
        torch.nn.ReLU(inplace=True),
        Block(c, c, 1),
        Block(c, 2 * c, 2),
        Block(2 * c, 2 * c, 1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(2 * c, 10),
    )


def fit(net, x, y, epochs, lr, teacher=None):
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(net.parameters(), lr)
    net.train()
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            scores = net(x[part])
            if teacher is None:
                loss = F.cross_entropy(scores, y[part])
            else:
                with torch.no_grad():
                    loss_of = teacher(x[part])
                loss = F.mse_loss(scores, loss_of)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


def right(net, x, y):
    with torch.no_grad():
        return float((net(x).argmax(1) == y).float().mean())


@pytest.fixture(scope="module")
def trained():
    """A float ResNet, and the digits."""
    data = load_dataset("digits")
    x, y, tx, ty = map(torch.from_numpy, (data.x_train, data.y_train, data.x_test, data.y_test))
    torch.manual_seed(0)
    return fit(fit(resnet(), x, y, 6, 5e-3), x, y, 2, 1e-3), x, y, tx, ty


def test_accuracy_without_training_and_with(trained, caplog):
    module, x, y, tx, ty = trained
    before = right(module, tx, ty)
    assert before > 0.97
    assert right(convert(module, x[:512], levels=15), tx, ty) > before - 0.01
    network = convert(module, x[:512], levels=4)
    assert right(network, tx, ty) > before - 0.05  # 8 channels
    assert not caplog.records  # no bit is lost
    fit(network, x, y, 2, 1e-3, module)
    assert right(network, tx, ty) > before - 0.025
    assert check_parity(to_spec(network), tx[:16].numpy(), model=network).count == 0


@pytest.mark.parametrize("threshold", ["percentile", "least-error"])
def test_calibration_is_better_than_none(trained, threshold):
    module, x, _, tx, _ = trained
    calibrated = convert(module, x[:256], levels=4, threshold=threshold)
    extreme = convert(module, x[:256], levels=4, threshold="percentile", percentile=5)
    plain = convert(module, x[:256], levels=4, threshold=threshold, bias_correction=False)
    with torch.no_grad():
        wanted = module(tx)
        lost = [float((net(tx) - wanted).square().mean()) for net in (calibrated, plain, extreme)]
    assert lost[0] < 1.1 * lost[1] < lost[2]


def test_more_timesteps_and_more_levels_are_closer(trained):
    module, x, _, tx, _ = trained
    with torch.no_grad():
        wanted = module(tx[:64])
        lost = [
            float((convert(module, x[:128], n, t)(tx[:64]) - wanted).square().mean())
            for n, t in ((2, 1), (2, 4), (15, 1), (60, 1))
        ]
    assert lost[0] > lost[1] > lost[2] > lost[3]


def test_over_time_runner_and_model_agree(trained):
    module, x, _, tx, _ = trained
    network = convert(module, x[:64], levels=2, timesteps=3)
    spec = to_spec(network)
    assert spec.timesteps == 3
    assert check_parity(spec, tx[:4].numpy(), model=network).count == 0


def test_the_report_orders_layers_by_what_they_lose(trained, tmp_path):
    module, x, _, tx, _ = trained
    network = convert(module, x[:256], levels=4)
    whole = layer_errors(module, network, tx[:64])
    assert {e.layer for e in whole.layers} == set(network.meaning)
    own = [e.own for e in whole.layers]
    assert own == sorted(own) and all(e.snr <= e.own + 1 for e in whole.layers)
    spoilt = copy.deepcopy(network)
    name = whole.layers[-1].layer
    with torch.no_grad():
        spoilt.blocks[name].synapses[0].weight.mul_(0.0)
        spoilt.blocks[name].synapses[0].bias.fill_(-10.0)
    found = {e.layer: e for e in layer_errors(module, spoilt, tx[:64]).layers}[name]
    assert found.dead == found.channels and found.snr < 0.5 and "dead" in found.mend
    cut = convert(module, x[:256], levels=4, threshold="percentile", percentile=40)
    worst = layer_errors(module, cut, tx[:64]).layers[0]
    assert worst.saturated > 0.3 and "clipping" in worst.mend
    assert str(whole).count("\n") == len(whole.layers) + 1
    assert json.loads(json.dumps(whole.to_dict()))["samples"] == 64
    save_errors(whole, tmp_path / "errors.png")
    assert (tmp_path / "errors.png").read_bytes()[:4] == b"\x89PNG"


def test_a_report_needs_the_module_that_was_converted(trained):
    module, x, *_ = trained
    network = convert(module, x[:64])
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with pytest.raises(ConfigError, match="another module"):
        layer_errors(other, network, x[:8])


class Inner(torch.nn.Module):
    """Pre-activation, bottleneck without activation, and a fully convolutional head."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(1, 6, 3, 1, 1)
        self.norm = torch.nn.BatchNorm2d(6)
        self.body = torch.nn.Conv2d(6, 6, 3, 1, 1)
        self.deep = torch.nn.Sequential(
            torch.nn.Conv2d(6, 12, 1),
            torch.nn.ReLU6(),
            torch.nn.Conv2d(12, 12, 3, 2, 1, groups=12),
            torch.nn.Hardtanh(0, 4),
            torch.nn.Conv2d(12, 6, 1),
        )
        self.head = torch.nn.Conv2d(6, 5, 1)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.body(F.relu(self.norm(x)))
        x = self.deep(F.max_pool2d(x, 2).relu())
        return self.head(x).mean((2, 3))


class Rows(torch.nn.Module):
    """Over (C, L)."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Conv1d(3, 6, 3, 2, 1)
        self.n = torch.nn.BatchNorm1d(6)
        self.b = torch.nn.Conv1d(6, 4, 3, padding="same", groups=2)
        self.fc = torch.nn.Linear(8, 5)

    def forward(self, x):
        x = F.avg_pool1d(torch.relu(self.n(self.a(x))), 2)
        x = F.max_pool1d(F.relu(self.b(x)), 2)
        return self.fc(x.view(x.size(0), -1))


class Features(torch.nn.Module):
    """Over (F,), with a skip."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
        self.n, self.c = torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 5)

    def forward(self, x):
        x = x + self.n(self.b(F.relu(self.a(x))))
        return self.c(torch.clamp(x, 0, 3)) + self.c(x)


class Grown(torch.nn.Module):
    """Adaptive pooling to more places than there are, as VGG has on small images."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Conv2d(2, 4, 3)
        self.fc = torch.nn.Linear(4 * 7 * 5, 5)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.a(x)), (7, 5)).flatten(1))


@pytest.mark.parametrize(
    "module, shape",
    [(Inner, (1, 8, 8)), (Rows, (3, 16)), (Features, (8,)), (Grown, (2, 5, 5))],
)
def test_forms_of_networks(module, shape, tmp_path):
    torch.manual_seed(0)
    net, x = module(), torch.randn(64, *shape)
    net.train()(x)
    net.eval()
    network = convert(net, x, levels=1000, input_levels=1000)
    with torch.no_grad():
        wanted = net(x)
        samples = x.reshape(64, *network.input.shape)
        assert float((network(samples) - wanted).square().mean() / wanted.var()) < 0.01
    spec = export_model(network, tmp_path / "a.net")
    assert check_parity(spec, np.asarray(samples[:8]), model=network).count == 0
