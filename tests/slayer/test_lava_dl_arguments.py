"""lava-dl's arguments in our blocks: the same meaning, or one sentence."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn import check_parity
from lava_mlsnn.errors import ConfigError, MissingError, UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.slayer import block, lava_dl, precision
from lava_mlsnn.slayer.block.neuron_params import LAVA_DL_KEYS
from netx_export import to_spec

P = {"levels": 4}
CUBA, SIGMA_DELTA = lava_dl.block.cuba, lava_dl.block.sigma_delta


def whole(*shape, top=4):
    return torch.randint(0, top + 1, shape).float()


def chain(*blocks):
    return torch.nn.Sequential(*blocks)


def exact(model, x):
    """Train a little, export, and compare every layer with the runner."""
    model.train()
    for _ in range(3):
        model(x)
    spec = to_spec(model.eval(), timesteps=x.shape[-1])
    report = check_parity(spec, x.numpy(), model=model)
    assert report.count == 0 and report.compared > 0
    return spec


@settings(max_examples=5, deadline=None)
@given(
    kind=st.sampled_from(["dense", "conv", "convt"]),
    norm=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_normalised_weight_is_g_v_over_its_length_and_exports_exactly(kind, norm, seed):
    torch.manual_seed(seed)
    make = {
        "dense": lambda: CUBA.Dense(P, 6, 5, 1.5, True, norm=norm),
        "conv": lambda: CUBA.Conv(P, 2, 4, 3, padding=1, weight_norm=True, norm=norm),
        "convt": lambda: CUBA.ConvT(P, 2, 4, 3, 2, weight_norm=True, norm=norm),
    }[kind]
    made = make()
    shape = (6,) if kind == "dense" else (2, 4, 5)
    x = torch.rand(8, *shape, 2)
    before = made.synapse.weight.detach().clone()
    g, v = (getattr(made.synapse.parametrizations.weight, f"original{k}") for k in (0, 1))
    norms = v.flatten(1).norm(dim=1).reshape(g.shape)
    assert torch.allclose(made.synapse.weight, g * v / norms, atol=1e-6)
    net = chain(block.Input(shape, 15, 15.0), made)
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    net(x).sum().backward()
    grad = g.grad.norm().item() / g.numel()
    assert made.synapse.grad_norm == pytest.approx(grad) and grad > 0
    optimiser.step()
    assert not torch.equal(made.synapse.weight, before)
    exact(net, x)
    kept = made.synapse.weight.detach().clone()
    made.synapse.disable_weight_norm()
    assert torch.equal(made.synapse.weight, kept) and not made.synapse.weight_norm_enabled
    made.synapse.enable_weight_norm()
    assert torch.allclose(made.synapse.weight, kept, atol=1e-6)


def test_grad_norm_is_slayers_and_0_before_a_gradient():
    made = block.Dense(P, 6, 5)
    assert made.synapse.grad_norm == 0.0
    made(torch.rand(8, 6, 1) * 4).sum().backward()
    grad = made.synapse.weight.grad
    assert made.synapse.grad_norm == pytest.approx(grad.norm().item() / grad.numel())


def test_a_mask_holds_in_training_and_in_the_file():
    torch.manual_seed(0)
    mask = torch.rand(5, 6) > 0.5
    made = block.Dense(P, 6, 5, mask=mask, pre_hook_fx=lambda w: 2 * w)
    x = torch.rand(8, 6, 2) * 4
    net = chain(block.Input((6,), 15, 4.0), made)
    net.train()
    net(x).sum().backward()
    assert not made.synapse.weight.grad[~mask].any() and made.synapse.weight.grad[mask].any()
    weight = exact(net, x).layers[1].synapses[0].weight
    assert not weight[~mask.numpy()].any() and weight[mask.numpy()].any()


def test_dropout_of_neuron_params_acts_in_training_alone():
    torch.manual_seed(0)
    made = block.Dense({**P, "dropout": torch.nn.Dropout(0.99)}, 6, 50, norm=False)
    x = torch.rand(4, 6, 2) * 4
    with torch.no_grad():
        made.synapse.weight.abs_()
    made.train()
    few = int((made(x) > 0).sum())
    made.eval()
    with precision(made, "float"):
        many = int((made(x) > 0).sum())
    assert few < many / 10
    exact(chain(block.Input((6,), 15, 4.0), made), x)


SIZES = {
    "conv": lambda size: block.Conv(P, 2, 4, 3, 2, **size),
    "convt": lambda size: block.ConvT(P, 2, 4, 3, 2, output_padding=1, **size),
    "flatten": lambda size: block.Flatten(*[(2, *s) for s in size.values()]),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_left_out_is_that_of_the_first_forward(name):
    torch.manual_seed(1)
    told = SIZES[name]({"input_size": (6, 5)})
    torch.manual_seed(1)
    asked = SIZES[name]({})
    with pytest.raises(ConfigError, match="not known before its first forward"):
        _ = asked.shape
    assert asked.state_dict().keys() == told.state_dict().keys()
    x = torch.rand(3, 2, 6, 5, 2)
    assert torch.equal(asked(x), told(x))
    assert asked.shape == told.shape == copy.deepcopy(asked).shape
    with pytest.raises(ConfigError, match=r"takes \(N, 2, 6, 5, T\), got \(N, 2, 5, 6, T\)"):
        asked(x.transpose(2, 3))


@pytest.mark.parametrize(
    "make, shape",
    [
        (lambda: block.Conv(P, 2, 4, 3, input_size=8), (2, 9, 8)),
        (lambda: block.Dense(P, 6, 4), (5,)),
        (lambda: block.Pool(None, (2, 8, 8), 2, payload_max=1), (2, 8, 7)),
        (lambda: block.MaxPool((2, 8, 8), 2, payload_max=4), (2, 8, 7)),
        (lambda: block.Flatten((2, 8, 8)), (2, 8, 7)),
        (lambda: block.Residual(P, (2, 8, 8), 2, payload_max=4), (2, 7, 8)),
        (lambda: block.Output(6, 2), (7,)),
        (lambda: block.Stream((2, 8, 8), 3), (2, 8, 9)),
        (lambda: block.Input((2, 8, 8)), (8, 2, 8)),
    ],
    ids=["conv", "dense", "pool", "max pool", "flatten", "residual", "output", "stream", "input"],
)
@pytest.mark.parametrize("training", [True, False])
def test_every_block_refuses_another_shape_than_its_own(make, shape, training):
    with pytest.raises(ConfigError, match="takes"):
        make().train(training)(torch.ones(2, *shape, 2))


@pytest.mark.parametrize("dynamics", [True, False])
def test_affine_sends_the_membrane_or_the_current_and_exports_exactly(dynamics):
    torch.manual_seed(2)
    last = CUBA.Affine(P, 6, 3, dynamics=dynamics)
    net = chain(block.Input((6,), 15, 4.0), last)
    x = torch.rand(5, 6, 4) * 3
    spec = exact(net, x)
    z = net[0](x)
    with precision(net, "float"):
        current = torch.einsum("of,nft->not", last.synapse.weight, z)
        wanted = current.cumsum(-1) if dynamics else current
        assert torch.allclose(net(x), wanted, atol=1e-5)
    output = IntegerRunner(spec).run(encode(spec, x.numpy())).output
    np.testing.assert_allclose(output / last.units, net(x).detach().numpy(), rtol=1e-6)
    assert last.synapse.bias is None and spec.layers[-1].neuron.integrate is dynamics


def test_average_is_the_mean_of_its_groups():
    net = chain(block.Input((6,), 15, 1.0), CUBA.Average(3))
    x = whole(4, 6, 2, top=9)
    wanted = x.reshape(4, 3, 2, 2).mean(2)
    for training in (True, False):
        assert torch.equal(net.train(training)(x), wanted)
    spec = exact(net, x)
    assert np.array_equal(IntegerRunner(spec).run(x.numpy().astype(int)).output, 2 * wanted.numpy())
    with pytest.raises(ConfigError, match="multiple of 3"):
        CUBA.Average(3)(whole(4, 7, 2))


def test_a_pool_meets_the_weighted_sum_of_its_window():
    torch.manual_seed(3)
    made = CUBA.Pool({"levels": 4, "threshold": 1.0, "voltage_decay": 0}, 2, weight_scale=0.5)
    x = whole(4, 3, 6, 4, 1)
    sums = torch.nn.functional.avg_pool2d(x[..., 0], 2, divisor_override=1)
    wanted = (0.5 * sums).floor().clamp(0, 4)
    assert torch.equal(made.eval()(x)[..., 0], wanted) and wanted.any()
    exact(chain(block.Input((3, 6, 4), 4, 1.0), made), x)


def test_the_output_of_a_sigma_delta_network_is_the_current_of_each_timestep():
    last = SIGMA_DELTA.Output(P, 6, 3, 2.0, True)
    assert isinstance(last, block.Affine) and not last.population.integrate
    assert last.synapse.weight_norm_enabled


REFUSED = {
    "a learned delay": (lambda: CUBA.Dense(P, 6, 4, delay=True), "delay=True"),
    "a shift": (lambda: CUBA.Conv(P, 2, 4, 3, delay_shift=True), "delay_shift=True"),
    "a hook in the place of weight_norm": (
        lambda: CUBA.Dense(P, 6, 4, 1, lambda w: w),
        "weight_norm must be True or False",
    ),
    "a number as a hook": (lambda: CUBA.Dense(P, 6, 4, pre_hook_fx=3), "pre_hook_fx must be a"),
    "a mask of another shape": (
        lambda: CUBA.Dense(P, 6, 4, mask=torch.ones(6, 4)),
        r"mask must have the weight's shape \(4, 6\)",
    ),
    "an input with a neuron": (lambda: CUBA.Input(P), "an input has no neuron"),
    "neurons in a plane": (lambda: CUBA.Dense(P, (2, 3), 4), "in_neurons must be a whole number"),
    "padded pooling": (lambda: CUBA.Pool(P, 2, padding=1), "has no padding"),
    "normalised pooling": (lambda: CUBA.Pool(P, 2, weight_norm=True), "has no weight_norm"),
    "delayed pooling": (lambda: CUBA.Pool(P, 2, delay=True), "delay=True"),
    "parameters that are no dict": (lambda: CUBA.Dense(4, 6, 4), "neuron_params must be a dict"),
    "a decay": (lambda: CUBA.Dense({"voltage_decay": 0.1}, 6, 4), "does not leak"),
    "a decay of a readout": (lambda: CUBA.Affine({"current_decay": 0.5}, 6, 4), "no current"),
    "an own norm": (lambda: CUBA.Dense({"norm": torch.nn.BatchNorm1d}, 6, 4), "BatchNorm"),
    "an unknown key": (lambda: CUBA.Dense({"tau": 1}, 6, 4), "'tau'"),
    "a number as dropout": (lambda: CUBA.Dense({"dropout": 0.5}, 6, 4), "torch.nn.Module"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_one_sentence(case):
    make, says = REFUSED[case]
    with pytest.raises(ConfigError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value) and ". " not in str(caught.value)


@given(st.sets(st.sampled_from(sorted(LAVA_DL_KEYS)), min_size=1))
@settings(max_examples=20, deadline=None)
def test_all_keys_that_cannot_be_followed_are_named_at_once(keys):
    with pytest.raises(ConfigError) as caught:
        CUBA.Dense({**P, **dict.fromkeys(keys, 0.3)}, 6, 4)
    named = {key for key in LAVA_DL_KEYS if f"'{key}' = 0.3" in str(caught.value)}
    assert named == keys and "\n" not in str(caught.value)


def test_values_of_lava_dl_that_say_what_the_neuron_does_are_taken():
    same = {key: values[0] for key, (values, _) in LAVA_DL_KEYS.items() if values}
    assert {"current_decay", "voltage_decay", "shared_param"} < set(same)
    assert block.Dense({**P, **same}, 6, 4).neuron.levels == 4


@pytest.mark.parametrize("name", [*lava_dl.REFUSED, "Residual"])
def test_names_without_a_counterpart_say_why(name):
    for place in (lava_dl.block, CUBA, SIGMA_DELTA):
        assert not hasattr(place, name)
        with pytest.raises(UnsupportedLayerError, match=f"{name} has no counterpart") as caught:
            getattr(place, name)
        assert lava_dl.REFUSED.get(name, "there are") in str(caught.value)


def test_what_is_lava_dls_own_is_handed_on_or_said_to_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "lava.lib.dl.slayer", None)
    with pytest.raises(MissingError, match="loss is lava-dl's own"):
        _ = lava_dl.loss
    monkeypatch.setattr(lava_dl, "import_module", lambda name: SimpleNamespace(loss=name))
    assert lava_dl.loss == "lava.lib.dl.slayer"
