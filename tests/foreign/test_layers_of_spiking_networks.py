"""Layers that drawn networks of others have not, and all that is refused in one sentence."""

from __future__ import annotations

import lookalikes
import numpy as np
import pytest
import torch
from torch import nn

from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.foreign import from_spiking, on_grid
from lava_mlsnn.runner import IntegerRunner
from netx_export import ConvTranspose, Input

IMAGE = Input((2, 4, 4), 1)
jelly = lookalikes.library("spikingjelly")
torch_ = lookalikes.library("snntorch")
sinabs = lookalikes.library("sinabs")


def spikes(**options):
    return jelly.IFNode(v_reset=None, **options)


def normed(module, **options):
    """With a BatchNorm that has seen a batch."""
    norm = nn.BatchNorm2d(module.out_channels, **options)
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.3, 2)
    norm.num_batches_tracked.fill_(1)
    return module, norm


def end(features):
    return nn.Flatten(), nn.Linear(features, 3), spikes()


LAYERS = {
    "a transposed convolution": lambda: (
        nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), spikes(), *end(3 * 8 * 8)),
    "one in groups, normed": lambda: (
        *normed(nn.ConvTranspose2d(2, 4, 2, 2, groups=2)), spikes(), *end(4 * 8 * 8)),
    "a norm without weight": lambda: (
        *normed(nn.Conv2d(2, 3, 3, bias=False), affine=False), spikes(), *end(3 * 2 * 2)),
    "an adaptive average": lambda: (
        nn.Conv2d(2, 3, 1), spikes(), nn.AdaptiveAvgPool2d(2), *end(3 * 2 * 2)),
    "a sum over windows": lambda: (
        nn.Conv2d(2, 3, 1), spikes(), nn.AvgPool2d(3, 1, divisor_override=1), *end(3 * 2 * 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_sends_the_same_integers(name):
    torch.manual_seed(len(name))
    net = nn.Sequential(*LAYERS[name]()).eval()
    for module in net:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.weight.data.mul_(3)
    steps = 4
    spec, twin = from_spiking(net, IMAGE, steps), on_grid(net, IMAGE, steps)
    x = np.random.default_rng(0).integers(0, 2, (6, *IMAGE.shape, steps))
    sent: dict[int, list[torch.Tensor]] = {}
    for index, module in enumerate(twin):
        module.register_forward_hook(lambda m, i, y, k=index: sent.setdefault(k, []).append(y))
    with torch.no_grad():
        for t in range(steps):
            twin(torch.from_numpy(x[..., t]).float())
    layers = IntegerRunner(spec).trace(x).layers
    fired = 0
    for index, module in enumerate(twin):
        if isinstance(module, jelly.IFNode):
            wanted = torch.stack(sent[index], -1).numpy()
            np.testing.assert_array_equal(layers[str(index)], wanted)
            fired += int(wanted.sum())
    assert fired
    kinds = {type(s) for _, p in spec.populations for s in p.synapses}
    assert (ConvTranspose in kinds) == any(isinstance(m, nn.ConvTranspose2d) for m in net)


def neurons():
    hidden = {"beta": 1.0, "init_hidden": True}
    late = spikes()
    late._memories_rv = {"v": 0.5}
    smooth = spikes(surrogate_function=type("Smooth", (), {"spiking": False})())
    rounded, recurrent, filtered = (
        torch_.Leaky(**hidden), *(sinabs.IAFSqueeze(batch_size=1) for _ in range(2)))  # fmt: skip
    rounded.state_quant, recurrent.rec_connect, filtered.tau_syn = True, nn.Linear(4, 4), 10.0
    own = sinabs.IAFSqueeze(batch_size=1)
    own.spike_fn = type("Once", (), {})()
    yield spikes(v_threshold=0.0), "has the threshold 0.0; give a positive one"
    yield spikes(v_threshold=float("inf")), "has the threshold inf"
    yield late, "starts with v = 0.5"
    yield smooth, "sends its surrogate's primitive"
    yield rounded, "rounds its state"
    yield recurrent, "is recurrent"
    yield filtered, "filters its input (tau_syn = 10)"
    yield own, "fires by Once"


NEURONS = list(neurons())


@pytest.mark.parametrize("neuron,why", NEURONS, ids=[why for _, why in NEURONS])
def test_neurons_that_are_not_exact(neuron, why):
    with pytest.raises(UnsupportedLayerError) as caught:
        from_spiking(nn.Sequential(nn.Linear(4, 4), neuron), Input((4,), 1), 2)
    assert why in str(caught.value) and "\n" not in str(caught.value)


class Net(nn.Module):
    def __init__(self, forward, **layers):
        super().__init__()
        self.conv, self.spikes, self.again = nn.Conv2d(2, 2, 3, padding=1), spikes(), spikes()
        self.other, self.run = nn.Conv2d(2, 2, 1), forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.run(self, x)


def forwards():
    def plain(s, x):
        return s.again(s.layer(s.spikes(s.conv(x))))

    unseen = nn.BatchNorm2d(2, track_running_stats=False)
    yield Net(plain, layer=nn.AvgPool2d(2, padding=1)), "windows of one size"
    yield Net(plain, layer=nn.AvgPool2d(3, 2, ceil_mode=True)), "windows of one size"
    yield Net(plain, layer=nn.AdaptiveAvgPool2d(3)), "windows of one size"
    yield Net(plain, layer=nn.MaxPool2d(2)), "MaxPool2d keeps the largest"
    yield Net(plain, layer=nn.Conv2d(2, 2, 3, padding="same")), "a number of zeros"
    yield Net(plain, layer=nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")), "of zeros"
    yield Net(lambda s, x: s.spikes(s.layer(s.conv(x))), layer=unseen), "without running statistics"
    yield (
        Net(lambda s, x: s.spikes(s.layer(s.conv(x) + s.other(x))), layer=nn.BatchNorm2d(2)),
        "must come behind a Conv2d or Linear",
    )
    yield (
        Net(lambda s, x: s.spikes(y := s.conv(x)) + s.again(y)),
        "gets sums that another layer gets too",
    )
    yield Net(lambda s, x: s.spikes(s.conv(x)).mean((2, 3))), "mean"
    yield Net(lambda s, x: s.spikes(s.conv(torch.ones_like(x)))), "changes the samples"


FORWARDS = list(forwards())


@pytest.mark.parametrize("net,why", FORWARDS, ids=range(len(FORWARDS)))
def test_forwards_that_are_not_exact(net, why):
    with pytest.raises(UnsupportedLayerError, match=why) as caught:
        from_spiking(net.eval(), IMAGE, 2)
    assert "\n" not in str(caught.value)


def test_names_that_are_taken_are_counted_on():
    entry = Input((2, 4, 4), 1, name="spikes")
    spec = from_spiking(Net(lambda s, x: s.spikes(s.conv(x))), entry, 1)
    assert [layer.name for layer in spec.layers] == ["spikes", "spikes2", "spikes.count"]
