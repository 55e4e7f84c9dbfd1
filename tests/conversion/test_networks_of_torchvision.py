"""Small networks of torchvision's classes, and shortcuts that wait longer than an axon can."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lava_mlsnn import check_parity, convert
from netx_export import export_model, latency, worst_case
from netx_export.spec.timing import delays
from netx_export.spec.widths import DELAY_MAX

torch.set_num_threads(1)


def residual(models):
    net = models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], width_per_group=4, num_classes=10)
    return net, "layer1_0_conv3"


def densenet(models):
    return models.DenseNet(
        4, (3, 2), 8, 2, num_classes=10
    ), "features_denseblock1_denselayer3_conv2"


def mobile(models):
    rows = [[1, 8, 1, 1], [3, 8, 2, 2]]
    return models.MobileNetV2(10, 0.5, rows), "features_3_conv_2"


def vgg(models):
    features = models.vgg.make_layers([8, "M", 16, "M", 16, 16, "M"], batch_norm=True)
    net = models.VGG(features, num_classes=10)
    net.classifier[0] = torch.nn.Linear(16 * 49, 32)
    net.classifier[3] = torch.nn.Linear(32, 32)
    net.classifier[6] = torch.nn.Linear(32, 10)
    return net, "features_8"


@pytest.mark.parametrize("make", [residual, densenet, mobile, vgg])
def test_integers_agree_and_scores_are_close(make, tmp_path):
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(0)
    net, layer = make(models)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # or scores would hardly depend on the sample
    x = F.interpolate(torch.rand(32, 3, 4, 4), scale_factor=4)
    net.train()(x)
    net.train()(x)
    network = convert(net.eval(), x, levels=31)
    assert layer in network.blocks
    spec = export_model(network, tmp_path / "a.net")
    report = check_parity(spec, x[:2].numpy(), model=network)
    assert report.count == 0 and all(found.fits for found in worst_case(spec))
    with torch.no_grad():
        wanted, ours = net(x), network(x)
    assert (ours - wanted).square().mean() < 0.25 * (wanted - wanted.mean(0)).square().mean()


class Long(torch.nn.Module):
    """Two shortcuts over more timesteps than an axon can wait."""

    def __init__(self, depth):
        super().__init__()
        self.first = torch.nn.Conv2d(1, 2, 1)
        self.steps = torch.nn.ModuleList(torch.nn.Conv2d(2, 2, 1) for _ in range(depth))
        self.fc = torch.nn.Linear(4 * 4, 3)

    def forward(self, x):
        start = x = F.relu(self.first(x))
        for k, step in enumerate(self.steps):
            x = F.relu(step(x) + (start if k == len(self.steps) - 2 else 0))
        return self.fc(torch.flatten(torch.cat([x, start], 1), 1))


def test_relays_stand_where_a_shortcut_would_wait_too_long(tmp_path):
    torch.manual_seed(0)
    net, x = Long(66), torch.rand(4, 1, 2, 2)
    network = convert(net, x)
    relays = [name for name in network.blocks if "relay" in name]
    assert relays == [f"first_relay{k}" for k in (1, 2, 3, 4)]
    spec = export_model(network, tmp_path / "a.net")
    assert max(delays(spec).values()) == DELAY_MAX and latency(spec) == 68
    assert check_parity(spec, x.numpy(), model=network).count == 0
