"""T belongs to the network: it goes where the weights go, or it is asked for."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.slayer import block
from lava_mlsnn.training import as_relu, convert
from netx_export import to_spec

P = {"levels": 4}
SHAPE = (1, 4, 4)


def network(barrier="integrating", seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        block.Input(SHAPE, levels=15, gain=15.0),
        block.Conv(P, 1, 2, 3, padding=1, input_size=4),
        block.Residual(P, (2, 4, 4), 2, barrier=barrier, payload_max=4),
        block.Pool(None, (2, 4, 4), 2, payload_max=4),
        block.Flatten((2, 2, 2)),
        block.Output(8, 3),
    )


def run(model, timesteps, train=True):
    model.train(train)(torch.rand(4, *SHAPE, timesteps))
    return model


def average(model, **options):
    return torch.optim.swa_utils.AveragedModel(model, **options)


def _state_dict(model, before):
    new = network(seed=1)
    new.load_state_dict(model.state_dict())
    return new


def _into_a_copy(model, before):
    before.load_state_dict(model.state_dict())
    return before


def _averaged(model, before):
    mean = average(before)
    for _ in range(3):
        mean.update_parameters(model)
    return mean.module


def _averaged_buffers(model, before):
    mean = average(before, avg_fn=lambda old, new, n: 0.1 * old + 0.9 * new, use_buffers=True)
    for _ in range(3):
        mean.update_parameters(model)
    return mean.module


def _saved(model, before):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


TRAVELS = {
    "as it is": lambda model, before: model,
    "deepcopy": lambda model, before: copy.deepcopy(model),
    "copy": lambda model, before: copy.copy(model),
    "pickle": lambda model, before: pickle.loads(pickle.dumps(model)),
    "saved whole": _saved,
    "state_dict": _state_dict,
    "state_dict into an earlier copy": _into_a_copy,
    "averaged": _averaged,
    "averaged with buffers": _averaged_buffers,
    "DataParallel": lambda model, before: torch.nn.DataParallel(model),
    "other number type": lambda model, before: model.double().float(),
}


@pytest.mark.parametrize("way", TRAVELS)
@given(timesteps=st.integers(1, 9), other=st.integers(1, 3))
@settings(max_examples=4, deadline=None)
def test_t_travels_with_the_network(way, timesteps, other):
    before = run(network(), other, train=False)
    model = run(network(), timesteps)
    moved = TRAVELS[way](model, before).eval()
    try:
        found = to_spec(moved).timesteps
    except ConfigError as error:  # an average that rounds may lose it, and then says so
        assert way == "averaged with buffers" and "timesteps=T" in str(error)
    else:
        assert found == timesteps
        with torch.no_grad():
            moved(torch.rand(1, *SHAPE, 1))  # somebody counts operations
        assert to_spec(moved).timesteps == timesteps


def test_all_barriers_keep_it():
    for barrier in block.BARRIERS:
        if barrier != "ms":
            assert to_spec(run(network(barrier), 3).eval()).timesteps == 3


def test_what_is_not_known_is_asked_for():
    model = network()
    run(model, 2)
    model[-1].train()(torch.rand(2, 8, 5))  # one block alone
    with pytest.raises(ConfigError, match=r"different ones, 2 and 5 .*timesteps=T"):
        to_spec(model.eval())
    assert to_spec(model, timesteps=2).timesteps == 2
    fresh = torch.nn.Sequential(block.Input((3,)), block.Output(3, 2)).eval()
    with pytest.raises(ConfigError, match="no block has been trained or run"):
        to_spec(fresh)
    for steps in (4, 4, 1):
        fresh(torch.rand(1, 3, steps))
        if steps == 4:
            assert to_spec(fresh).timesteps == 4
    with pytest.raises(ConfigError, match="different ones"):
        to_spec(fresh)
    for bad in (0, 1.5, True, "2", 10**30, 65_537):
        with pytest.raises(ConfigError, match="timesteps must "):
            to_spec(fresh, timesteps=bad)


def test_old_state_dicts_load_and_say_nothing():
    old = {k: v for k, v in run(network(), 3).state_dict().items() if "length" not in k}
    model = run(run(network(seed=1), 2), 2, train=False)
    model.load_state_dict(old, strict=True)
    with pytest.raises(ConfigError, match="timesteps=T"):
        to_spec(model.eval())


@pytest.mark.parametrize("second", [1, 3, 8])
def test_an_average_over_different_t_has_none(second):
    model = run(network(), 4)
    mean = average(model, avg_fn=lambda old, new, n: (old + new) / 2, use_buffers=True)
    mean.update_parameters(model)
    mean.update_parameters(run(model, second))
    with pytest.raises(ConfigError, match="timesteps=T"):
        to_spec(mean.module.eval())
    none = torch.nn.Sequential(block.Input(SHAPE), block.Flatten(SHAPE), block.Output(16, 2))
    mean = average(none, avg_fn=lambda old, new, n: (old + new) / 2, use_buffers=True)
    mean.update_parameters(none)
    mean.update_parameters(run(none, second))
    with pytest.raises(ConfigError, match="timesteps=T"):
        to_spec(mean.module.eval())


def test_a_start_as_relus_says_nothing_about_t():
    model = network()
    with as_relu(model):
        run(model, 1)
    convert(model, [torch.rand(8, *SHAPE)])
    with pytest.raises(ConfigError, match="timesteps=T"):
        to_spec(model.eval())
    assert to_spec(run(model, 3).eval()).timesteps == 3
