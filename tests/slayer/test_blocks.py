"""The blocks keep SLAYER's conventions: shapes, count_log, hooks, parameters, export_hdf5."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from small_models import images, warm

from lava_mlsnn.errors import CalibrationError, ConfigError
from lava_mlsnn.slayer import Scaling, block, precision
from lava_mlsnn.slayer.block import BARRIERS

P = {"threshold": 1.0, "levels": 4}
IMAGE = (2, 7, 5)

BLOCKS = {
    "input": lambda **k: block.Input(IMAGE, 15, 15.0, **k),
    "conv": lambda **k: block.Conv(P, 2, 4, (3, 2), (2, 1), (1, 0), input_size=(7, 5), **k),
    "conv_groups": lambda **k: block.Conv(P, 2, 4, 3, dilation=2, groups=2, input_size=(7, 5), **k),
    "pool": lambda **k: block.Pool(None, IMAGE, (3, 2), payload_max=4, **k),
    "pool_neuron": lambda **k: block.Pool(P, IMAGE, 2, 1, payload_max=4, **k),
    "flatten": lambda **k: block.Flatten(IMAGE, **k),
    "stream": lambda **k: block.Stream(IMAGE, 3, **k),
    "stream_end": lambda **k: block.StreamEnd(P, IMAGE, **k),
    **{
        f"residual_{b}": lambda b=b, **k: block.Residual(P, IMAGE, 2, barrier=b, payload_max=4, **k)
        for b in BARRIERS
    },
    "residual_down": lambda **k: block.Residual(P, IMAGE, 4, 2, payload_max=4, **k),
    **{
        f"residual_one_{b}": lambda b=b, **k: block.Residual(
            P, IMAGE, 4, 2, barrier=b, convolutions=1, payload_max=4, **k
        )
        for b in BARRIERS
    },
    "dense": lambda **k: block.Dense(P, 6, 5, **k),
    "output": lambda **k: block.Output(6, 3, **k),
}


def batch(name, timesteps, seed=0):
    shape = (6,) if name in ("dense", "output") else IMAGE
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 5, (3, *shape, timesteps), generator=generator).float()


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("timesteps", [1, 3])
def test_the_shape_is_known_at_construction_and_holds_in_every_forward(name, timesteps):
    made = BLOCKS[name]()
    x = batch(name, timesteps)
    made.train()
    assert made(x).shape == (3, *made.shape, timesteps)
    made.eval()
    assert made(x).shape == (3, *made.shape, timesteps)
    assert made(x[:0]).shape == (0, *made.shape, timesteps)
    with precision(made, "float"):
        assert made(x).shape == (3, *made.shape, timesteps)


@pytest.mark.parametrize("name", BLOCKS)
def test_count_log_adds_the_fraction_of_events(name):
    torch.manual_seed(0)
    made = BLOCKS[name](count_log=True).eval()
    y, rate = made(batch(name, 2))
    assert float(rate) == pytest.approx(float((y != 0).float().mean()))


@pytest.mark.parametrize("name", BLOCKS)
def test_payloads_stay_inside_what_the_block_announces(name):
    torch.manual_seed(0)
    made = BLOCKS[name]()
    made.train()
    for seed in range(3):
        made(batch(name, 2, seed))
    y = made.eval()(batch(name, 2))
    if made.payload_max:
        assert y.abs().max() <= made.payload_max
        assert torch.equal(y, y.round())


@pytest.mark.parametrize("name", ["conv", "dense", "pool_neuron", "stream_end", "residual_ms"])
def test_an_unknown_neuron_parameter_is_named(name, monkeypatch):
    monkeypatch.setitem(P, "current_decay", 0.25)
    with pytest.raises(ConfigError, match="current_decay"):
        BLOCKS[name]()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: block.Conv(P, 2, 3, 3, groups=2, input_size=5), "groups"),
        (lambda: block.Conv(P, 2, 2, 9, input_size=5), "kernel"),
        (lambda: block.Conv(P, 2, 2, 3, stride=0, input_size=5), "stride"),
        (lambda: block.Conv(P, 2, 2, (3, 3, 3), input_size=5), "kernel_size"),
        (lambda: block.Residual(P, IMAGE, 2, barrier="gate", payload_max=4), "gate"),
        (lambda: block.Residual(P, IMAGE, 2, convolutions=3, payload_max=4), "convolutions"),
        (lambda: block.Input(IMAGE, levels=0), "levels"),
        (lambda: block.Input(IMAGE, gain=0), "gain"),
        (lambda: block.Input(IMAGE)(torch.zeros(1, 3, 3, 3, 1)), r"\(N, 2, 7, 5, T\)"),
        (lambda: block.Pool(P, (2, 3, 3), 4, payload_max=1), "pool"),
    ],
)
def test_what_cannot_work_is_named(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


@pytest.mark.parametrize("norm", [True, False])
def test_the_pre_hook_acts_in_training_float_and_integer_forward(norm):
    mask = (torch.arange(6) % 2).float()
    made = block.Dense(P, 6, 5, pre_hook_fx=lambda w: w * mask, norm=norm)
    made.train()
    made(batch("dense", 2))
    x, y = batch("dense", 1), batch("dense", 1)
    y[:, 1::2] = x[:, 1::2]  # they differ where the mask is 0
    assert torch.equal(made(x), made(y))
    made.eval()
    assert torch.equal(made(x), made(y))
    with precision(made, "float"):
        assert torch.equal(made(x), made(y))
    ints = made.population.integers()
    assert not ints.weights[0][:, ::2].any() and ints.weights[0][:, 1::2].any()
    mask.mul_(0)  # a hook may change by itself: nothing is cached
    assert torch.equal(made(x), made(x * 0))


@pytest.mark.parametrize("name", ["conv", "conv_groups", "dense"])
@pytest.mark.parametrize("gamma", [1.3, -0.7, 0.0])
def test_batchnorm_folds_exactly(name, gamma):
    torch.manual_seed(1)
    made = BLOCKS[name]()
    made.train()
    with torch.no_grad():
        made.synapse.norm.weight.fill_(gamma)
        made.synapse.norm.bias.uniform_(-1, 1)
    made(batch(name, 2))
    made.eval()
    weight, bias = made.synapse.folded()
    x = batch(name, 1)[..., 0]
    wanted = made.synapse(x)
    shape = (-1, *[1] * (len(made.shape) - 1))
    got = made.synapse.apply_weight(x, weight) + bias.reshape(shape)
    assert torch.allclose(got, wanted, atol=1e-4)
    ints = made.population.integers()
    unit = ints.scale.reshape(-1, *[1] * (weight.dim() - 1))
    grid = 2 * 2.0 ** ints.exponents[0]
    assert ((ints.weights[0] * 2.0 ** ints.exponents[0] - weight * unit).abs() <= grid).all()
    if gamma == 0.0:
        made.train()
        y = made(batch(name, 2))
        y.sum().backward()
        assert torch.isfinite(y).all() and torch.isfinite(made.synapse.weight.grad).all()


def test_the_shortcut_of_an_integrating_block_is_exact():
    """With silent convolutions the block is the identity on payloads."""
    for threshold in (1.0, 2.0):
        made = block.Residual({**P, "threshold": threshold}, IMAGE, 2, payload_max=4)
        made.train()
        made(batch("residual", 1))
        with torch.no_grad():
            made.conv2.synapses[0].norm.weight.zero_()
            made.conv2.synapses[0].norm.bias.zero_()
        x = batch("residual", 1)
        assert torch.equal(made.eval()(x), (x / threshold).floor().clamp(0, 4))


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0, 2.0])
def test_a_pool_with_a_neuron_fires_the_average(threshold):
    made = block.Pool({**P, "threshold": threshold}, IMAGE, 2, payload_max=4)
    x = batch("pool", 1)
    with precision(made.eval(), "float"):
        wanted = made(x)
    assert float((made(x) != wanted).float().mean()) < 0.05


@pytest.mark.parametrize("name", [b for b in BLOCKS if not b.startswith("residual")])
def test_export_hdf5_writes_a_group_that_can_be_read(name, tmp_path):
    from netx_export.file.fields import Node
    from netx_export.file.layers import Place, read_layer

    made = warm(BLOCKS[name](), batch(name, 2).numpy()) if _trains(name) else BLOCKS[name]()
    with h5py.File(tmp_path / "layer.h5", "w") as file:
        group = file.create_group("layer/1")
        made.export_hdf5(group)
        sends = made.synapse.in_shape if hasattr(made, "population") else IMAGE
        layer = read_layer(Node(group), Place("x", True, (0,), (sends,)))
    assert tuple(layer.shape) == tuple(made.shape)
    if hasattr(made, "population"):
        weight = made.population.integers().weights[0].numpy().ravel()
        assert set(np.unique(layer.synapses[0].weight)) == set(np.unique(weight))


def _trains(name):
    return any(True for _ in BLOCKS[name]().parameters())


def test_a_block_that_saw_no_batch_is_not_exported(tmp_path):
    with (
        h5py.File(tmp_path / "layer.h5", "w") as file,
        pytest.raises(CalibrationError, match="BatchNorm has seen no batch"),
    ):
        BLOCKS["conv"]().export_hdf5(file.create_group("layer/0"))


def test_weight_bits_and_scaling_reach_the_integers():
    made = block.Dense(P, 6, 5, scaling=Scaling(weight_bits=3))
    made.train()
    made(batch("dense", 1))
    assert len(made.population.integers().weights[0].unique()) <= 7


def test_black_and_white_pixels_have_a_gradient():
    """Whatever torch's clamp gives at its ends."""
    x = torch.tensor([[-0.5, 0.0, 1.0, 1.5]])[..., None].requires_grad_()
    block.Input((4,), levels=15, gain=15.0)(x).sum().backward()
    assert x.grad.flatten().tolist() == [0, 15, 15, 0]


def test_input_rounds_clips_and_passes_the_gradient_where_it_does_not_saturate():
    made = block.Input((4,), 3, 2.0, signed=True)
    x = torch.tensor([[-9.0, -0.25, 0.26, 9.0]])[..., None].requires_grad_()
    z = made(x)
    assert torch.equal(z.flatten(), torch.tensor([-3.0, 0.0, 1.0, 3.0]))
    z.sum().backward()
    assert torch.equal(x.grad.flatten(), torch.tensor([0.0, 2.0, 2.0, 0.0]))
    with torch.no_grad():
        wide = torch.from_numpy(images((4,), 200, low=-2.0))[..., None]
        assert torch.equal(made(wide), made(wide.clone().requires_grad_()).detach())
