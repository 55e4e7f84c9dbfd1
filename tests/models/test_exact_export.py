"""The promise: what eval() computes is the exported network, integer by integer."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers, images, small_model

from lava_mlsnn.slayer import precision, set_precision
from lava_mlsnn.slayer.block import BARRIERS

LEVELS, TIMESTEPS, V0 = (1, 2, 4, 8, 15), (1, 2, 4), ("floor", "round")
# every pair of options occurs: N and T run through all of theirs for each barrier and V0
GRID = [
    (b, n, TIMESTEPS[(i + j + k) % 3], v0)
    for i, b in enumerate(BARRIERS)
    for j, n in enumerate(LEVELS)
    for k, v0 in enumerate(V0)
]


@pytest.mark.parametrize(("barrier", "levels", "timesteps", "v0"), GRID)
def test_eval_is_the_exported_network(barrier, levels, timesteps, v0):
    model = small_model(barrier=barrier, levels=levels, timesteps=timesteps, v0=v0)
    assert_same_integers(model, images((1, 6, 5), 5, seed=1))


@given(
    st.sampled_from(BARRIERS),
    st.sampled_from(LEVELS),
    st.sampled_from(TIMESTEPS),
    st.sampled_from(V0),
    st.sampled_from([(1, 8, 8), (3, 5, 7), (2, 9, 4), (1, 3, 3)]),
    st.sampled_from([1, 3, 8]),
    st.booleans(),
    st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_eval_is_the_exported_network_when_drawn(b, n, t, v0, shape, width, trained, seed):
    model = small_model(
        seed=seed,
        barrier=b,
        levels=n,
        timesteps=t,
        v0=v0,
        input_shape=shape,
        width=width,
        train_threshold=trained,
    )
    assert_same_integers(model, images(shape, 3, seed))


@pytest.fixture
def model():
    return small_model(levels=4)


@pytest.fixture
def x():
    return torch.from_numpy(images((1, 6, 5), 6))


def fresh(model, x):
    """What the model would compute without anything remembered."""
    clean = copy.deepcopy(model)
    for module in clean.modules():
        if hasattr(module, "_cache"):
            module._cache = None
    return clean(x)


def stem(model):
    return model.blocks.stem.synapse


def _step(model, x):
    optimiser = torch.optim.SGD(model.parameters(), 0.5)
    model.train()
    model(x).square().sum().backward()
    optimiser.step()
    model.eval()


def _load(model, x):
    model.load_state_dict(small_model(seed=9).state_dict())


def _data(model, x):
    stem(model).weight.data.mul_(-1.7)


def _permute(model, x):
    weight = stem(model).weight.data
    weight.copy_(weight.flip(0).flip(-1).clone())  # same sum, same version


def _new_data(model, x):
    stem(model).weight.data = stem(model).weight.data.flip(0)


def _buffer(model, x):
    stem(model).norm.running_mean.data.add_(0.5)


def _threshold(model, x):
    model.blocks.stem.neuron.fixed_threshold.data.fill_(0.5)


def _levels(model, x):
    model.blocks.stem.neuron.v0 = "round"


@pytest.mark.parametrize(
    "change", [_step, _load, _data, _permute, _new_data, _buffer, _threshold, _levels]
)
def test_integers_follow_every_way_to_change_a_parameter(model, x, change):
    before = model(x)
    change(model, x)
    after = model(x)
    assert torch.equal(after, fresh(model, x))
    assert not torch.equal(after, before)
    assert_same_integers(model, x.numpy())


def test_a_model_in_double_evaluates_the_same_integers(model, x):
    before = model(x)
    model.to(torch.float64)
    assert torch.equal(model(x), before)  # the parameters have the same values
    model.to(torch.float32)
    assert torch.equal(model(x), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("barrier", BARRIERS)
def test_a_gpu_gives_the_same_integers(barrier, x):
    model = small_model(barrier=barrier, timesteps=2)
    before = model(x)
    assert torch.equal(model.cuda()(x.cuda()).cpu(), before)
    assert_same_integers(model, x.numpy())


def test_copies_and_pickles_are_independent(model, x):
    before = model(x)
    twin, thawed = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    stem(model).weight.data.mul_(-1)
    assert torch.equal(twin(x), before) and torch.equal(thawed(x), before)
    assert not torch.equal(model(x), before)
    assert_same_integers(twin, x.numpy())
    assert_same_integers(thawed, x.numpy())


def test_precision_is_restored_even_after_an_error(model, x):
    integer = model(x)
    with precision(model, "float"):
        floating = model(x)
        with precision(model, "integer"):
            assert torch.equal(model(x), integer)
        assert torch.equal(model(x), floating)
    with pytest.raises(ZeroDivisionError), precision(model, "float"):
        raise ZeroDivisionError
    assert torch.equal(model(x), integer)
    assert not torch.equal(floating, integer)
    set_precision(model, "float")
    assert torch.equal(model(x), floating)
    with pytest.raises(ValueError, match="'int4'"):
        set_precision(model, "int4")


def test_train_and_eval_switch_what_is_computed_and_back(model, x):
    before = model(x)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    model(x)
    model.load_state_dict(state)
    assert torch.equal(model.eval()(x), before)


def test_integer_and_float_scores_are_close(x):
    """Fine thresholds and 8-bit weights lose little, and scores keep the units of training."""
    model = small_model(levels=127, threshold=0.03, width=8)
    with torch.no_grad():
        integer = model(x)
        with precision(model, "float"):
            floating = model(x)
    spread = float(floating.std())
    assert float((integer - floating).abs().mean()) < 0.1 * spread
