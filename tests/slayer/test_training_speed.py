"""What makes training fast, as laws: layouts, what is kept, what is not computed again."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import images

from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.population import population
from lava_mlsnn.population.layout import fold_time, unfold_time
from lava_mlsnn.slayer import block, precision
from lava_mlsnn.slayer.block import BARRIERS

P = {"threshold": 1.0, "levels": 4}
IMAGE = (2, 7, 5)
BLOCKS = {
    "conv": lambda: block.Conv(P, 2, 4, 3, padding=1, input_size=(7, 5)),
    "conv_without_norm": lambda: block.Conv(P, 2, 4, 3, input_size=(7, 5), norm=False),
    "pool": lambda: block.Pool(P, IMAGE, 2, payload_max=4),
    "stream": lambda: block.Stream(IMAGE, 3),
    **{
        f"residual_{b}": lambda b=b: block.Residual(P, IMAGE, 2, barrier=b, payload_max=4)
        for b in BARRIERS
    },
    "residual_down": lambda: block.Residual(P, IMAGE, 4, 2, payload_max=4),
}


def payloads(timesteps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 5, (3, *IMAGE, timesteps), generator=generator).float()


def as_blocks_send(x):
    return x.permute(4, 0, 2, 3, 1).contiguous().permute(1, 4, 2, 3, 0)


def is_as_blocks_send(x):
    return x.permute(4, 0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("timesteps", [1, 3])
def test_folding_what_a_block_sends_is_free(timesteps):
    x = as_blocks_send(payloads(timesteps))
    folded = fold_time(x)
    assert folded.data_ptr() == x.data_ptr()
    assert folded.is_contiguous(memory_format=torch.channels_last)
    assert unfold_time(folded, timesteps).data_ptr() == x.data_ptr()
    for other in (x, x.contiguous(), x[..., :1].expand_as(x), x.flip(0)):
        assert torch.equal(unfold_time(fold_time(other), timesteps), other)


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("mode", ["train", "integer", "float"])
@pytest.mark.parametrize("timesteps", [1, 3])
def test_any_layout_comes_in_and_one_goes_out(name, mode, timesteps):
    torch.manual_seed(0)
    made = BLOCKS[name]()
    made.train()
    made(payloads(2))
    made.train(mode == "train")
    results = []
    for layout in (torch.Tensor.contiguous, as_blocks_send):
        twin = copy.deepcopy(made)
        x = layout(payloads(timesteps)).requires_grad_()
        with precision(twin, "integer" if mode == "train" else mode):
            y = twin(x)
        assert is_as_blocks_send(y)
        if mode != "integer":
            y.square().sum().backward()
            assert torch.isfinite(x.grad).all()
        results.append((y.detach(), x.grad))
    (y, g), (y_other, g_other) = results
    assert torch.equal(y, y_other)
    if mode != "integer":
        assert torch.allclose(g, g_other, rtol=1e-4, atol=1e-5)


class _ReLUTwin(torch.nn.Module):
    """Conv, BatchNorm, ReLU with a residual connection, as torch users write it."""

    def __init__(self, width, blocks):
        super().__init__()
        conv, norm = torch.nn.Conv2d, torch.nn.BatchNorm2d
        self.convs = torch.nn.ModuleList(
            conv(3 if i == 0 else width, width, 3, padding=1, bias=False)
            for i in range(1 + 2 * blocks)
        )
        self.norms = torch.nn.ModuleList(norm(width) for _ in self.convs)

    def forward(self, x):
        x = torch.relu(self.norms[0](self.convs[0](x)))
        for i in range(1, len(self.convs), 2):
            y = torch.relu(self.norms[i](self.convs[i](x)))
            x = torch.relu(self.norms[i + 1](self.convs[i + 1](y)) + x)
        return x


def kept_bytes(forward):
    """Bytes that backward keeps, storages counted once."""
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        result = forward()
    return sum(storages.values()), result


@pytest.mark.parametrize("timesteps", [1, 2])
def test_backward_keeps_less_than_with_relu(timesteps):
    """A float and a byte a neuron and timestep; with ReLU it is two floats."""
    width, blocks, size = 8, 3, 32
    net = torch.nn.Sequential(
        block.Conv(P, 3, width, 3, padding=1, input_size=size),
        *(block.Residual(P, (width, size, size), width, payload_max=4) for _ in range(blocks)),
    )
    x = torch.rand(4, 3, size, size)
    ours, y = kept_bytes(lambda: net(x[..., None].expand(*x.shape, timesteps)))
    folded = x.repeat(timesteps, 1, 1, 1)
    relu, z = kept_bytes(lambda: _ReLUTwin(width, blocks)(folded))
    assert y.numel() == z.numel()
    assert ours < 0.75 * relu


def test_training_reads_no_value():
    """On the meta device there are none: a step that waited for a GPU would raise here."""
    config = ModelConfig(width=2, input_shape=(1, 6, 5), timesteps=2, train_threshold=True)
    for barrier in BARRIERS:
        model = build_model(ModelConfig(**{**config.to_dict(), "barrier": barrier})).to("meta")
        loss = model.train()(torch.empty(4, 1, 6, 5, device="meta")).square().sum()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())


def counted(monkeypatch):
    calls = []
    real = population.grid_weights
    monkeypatch.setattr(population, "grid_weights", lambda *a: calls.append(1) or real(*a))
    return calls


def test_a_weight_is_rounded_once_until_it_changes(monkeypatch):
    calls = counted(monkeypatch)
    made = block.Output(6, 3)
    x = torch.rand(4, 6, 1) * 4
    for _ in range(3):  # gradients that accumulate
        made(x).sum().backward()
    assert len(calls) == 1
    optimiser = torch.optim.SGD(made.parameters(), 0.1)
    optimiser.step()
    made(x)
    assert len(calls) == 2


@pytest.mark.parametrize("change", ["data", "permutation", "bias", "scaling", "double"])
def test_rounding_follows_every_change_that_no_version_counts(change, monkeypatch):
    calls = counted(monkeypatch)
    made = block.Dense(P, 6, 3, norm=False)
    x = torch.rand(8, 6, 1) * 9
    made(x)
    weight, dtype = made.synapse.weight, torch.float32
    if change == "data":
        weight.data.mul_(-1.7)
    elif change == "permutation":
        weight.data.copy_(weight.data.flip(0).clone())
    elif change == "bias":
        made.synapse.bias.data.add_(1e6)
    elif change == "scaling":
        made.population.scaling = block.Output(6, 3).population.scaling
    else:
        made.double()
        dtype = torch.float64
    after = made(x.to(dtype))
    assert len(calls) == 2
    made.population._grid = None
    assert torch.equal(made(x.to(dtype)), after)


def test_nothing_is_remembered_where_statistics_or_a_hook_may_move(monkeypatch):
    calls = counted(monkeypatch)
    for made in (
        block.Dense(P, 6, 3),
        block.Dense(P, 6, 3, norm=False, pre_hook_fx=lambda w: w * 1.0),
    ):
        made(torch.rand(8, 6, 1))
        made(torch.rand(8, 6, 1))
        assert made.population._grid is None
    assert len(calls) == 4
    frozen = block.Dense(P, 6, 3)
    frozen(torch.rand(8, 6, 1))
    frozen.synapse.norm.eval()
    frozen(torch.rand(8, 6, 1))
    frozen(torch.rand(8, 6, 1))
    assert len(calls) == 6


def test_populations_without_weights_are_not_rounded_in_training(monkeypatch):
    calls = counted(monkeypatch)
    block.Pool(P, IMAGE, 2, payload_max=4)(payloads(2))
    assert not calls


def test_training_weights_are_the_exported_integers_of_a_whole_network():
    torch.manual_seed(0)
    model = build_model(ModelConfig(width=3, input_shape=(1, 6, 5), train_threshold=True))
    model.train()
    model(torch.from_numpy(images((1, 6, 5), 8)))
    seen = 0
    for made in model.modules():
        if not isinstance(made, population.Population):
            continue
        ints = made.integers()
        with torch.no_grad():  # the statistics of this moment
            grids = made._training_weights()
        for i, grid in enumerate(grids):
            if grid is None:
                continue
            gain = made.synapses[i].norm_gain()
            unit = ints.scale if gain is None else ints.scale * gain.detach()
            unit = unit.reshape(-1, *[1] * (grid.dim() - 1)) / 2.0 ** ints.exponents[i]
            assert torch.equal(torch.round(grid.detach() * unit), ints.weights[i])
            seen += 1
    assert seen > 8


def test_the_gradient_of_rounding_is_straight_through():
    made = block.Output(3, 2)
    x = torch.rand(4, 3, 1)
    made(x).sum().backward()
    wanted = x.sum(0).flatten().expand(2, 3)
    assert torch.allclose(made.synapse.weight.grad, wanted)


@pytest.mark.parametrize("barrier", BARRIERS)
def test_autocast_reaches_convolutions_and_ends_there(barrier):
    torch.manual_seed(0)
    made = block.Residual(P, IMAGE, 4, 2, barrier=barrier, payload_max=4)
    twin = copy.deepcopy(made)
    kinds = set()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(
                lambda m, i, o: kinds.update({("norm", i[0].dtype), ("norm", o.dtype)})
            )
    x = payloads(2).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = made(x)
        direct = torch.nn.functional.conv2d(x[..., 0], torch.ones(1, 2, 3, 3))
    assert direct.dtype == torch.bfloat16
    assert y.dtype == torch.float32 and kinds == {("norm", torch.float32)}
    y.square().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in made.parameters())
    assert torch.isfinite(x.grad).all()
    if barrier != "ms":
        assert torch.equal(y, y.round())
    assert not torch.equal(y, twin(x)) or barrier != "ms"  # bfloat16 did compute
