"""Every option of a recipe: what it does to a training, and that it can be resumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers, small_model
from test_training_loop import MODEL, RECIPE, StoppedError, dataset, same

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.training import TrainConfig, WeightAverage, load_model, train
from lava_mlsnn.training.augment import augment, mirrored, mixup
from lava_mlsnn.training.checkpoint import load_checkpoint
from lava_mlsnn.training.distil import soft_loss
from lava_mlsnn.training.schedule import make_optimiser, make_schedule

OPTIONS = {
    "sgd and cosine": {"optimiser": "sgd", "schedule": "cosine", "warmup": 1},
    "step": {"schedule": "step", "step_epochs": 1},
    "mixup": {"mixup": 0.4},
    "ema": {"ema": 0.9},
    "event penalty": {"event_penalty": 0.5},
    "ann start": {"ann_epochs": 2},
    "mirror by turns, reflect": {"flip": True, "alternate": True, "shift": 2, "reflect": True},
    "cutout": {"cutout": 3},
    "learning rates": {"optimiser": "sgd", "bias_lr": 8.0, "output_lr": 0.1},
    "no decay of BatchNorm": {"optimiser": "sgd", "weight_decay": 0.1, "norm_decay": False},
    "all": {
        "bias_lr": 3.0,
        "optimiser": "sgd",
        "schedule": "cosine",
        "mixup": 0.4,
        "ema": 0.9,
        "event_penalty": 0.5,
        "ann_epochs": 2,
        "distil": 0.5,
        "recalibrate": True,
    },
}


@pytest.fixture(scope="module")
def teacher():
    return small_model(seed=4, classes=2)


@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_resumed_training_is_the_uninterrupted_one_to_the_bit(tmp_path, name, stop, teacher):
    data, path = dataset(), tmp_path / "model.pt"
    recipe = replace(RECIPE, **OPTIONS[name])
    whole = train(MODEL, data, recipe, teacher=teacher)
    assert not same(whole, train(MODEL, data, RECIPE))  # the option does something

    def interrupt(epoch):
        if epoch.epoch == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(MODEL, data, recipe, checkpoint=path, report=interrupt, teacher=teacher)
    assert load_checkpoint(path)["epoch"] == stop
    torch.rand(3)
    resumed = train(MODEL, data, recipe, checkpoint=path, resume=True, teacher=teacher)
    assert same(whole, resumed) and same(whole, load_model(path))
    assert same(whole, train(MODEL, data, recipe, checkpoint=path, resume=True, teacher=teacher))
    assert_same_integers(resumed, data.x_test)


@settings(deadline=None, max_examples=50)
@given(
    n=st.integers(1, 9),
    classes=st.integers(2, 5),
    alpha=st.floats(0.05, 5),
    seed=st.integers(0, 99),
)
def test_mixed_targets_add_up_to_one_and_lean_to_the_first_label(n, classes, alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 2, 3, 3, generator=generator)
    y = torch.randint(classes, (n,), generator=generator)
    mixed, targets = mixup(x, y, classes, alpha, generator)
    assert torch.allclose(targets.sum(1), torch.ones(n)) and bool((targets >= 0).all())
    own = targets[torch.arange(n), y]
    assert bool((own >= 0.5 - 1e-6).all()) and mixed.shape == x.shape
    assert float(mixed.mean()) == pytest.approx(
        float(x.mean()), rel=1e-4
    )  # pairs are a permutation
    assert bool((mixed <= x.amax(0) + 1e-6).all()) and bool((mixed >= x.amin(0) - 1e-6).all())


def test_frames_are_shifted_and_mirrored_all_alike():
    x = torch.rand(7, 2, 6, 5, 3)
    recipe = replace(RECIPE, shift=2, flip=True, cutout=3)
    moved = augment(x, recipe, torch.Generator().manual_seed(3))
    assert moved.shape == x.shape and not torch.equal(moved, x)
    for t in range(3):
        frame = augment(x[..., t], recipe, torch.Generator().manual_seed(3))
        assert torch.equal(moved[..., t], frame)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 40), epoch=st.integers(0, 9), seed=st.integers(0, 99))
def test_every_image_is_mirrored_in_every_other_epoch(count, epoch, seed):
    now, later = mirrored(count, epoch, seed), mirrored(count, epoch + 1, seed)
    assert bool((now ^ later).all()) and torch.equal(now, mirrored(count, epoch + 2, seed))
    x = torch.rand(count, 1, 2, 3)
    options = replace(RECIPE, shift=0, flip=True, alternate=True)
    shown = augment(x, options, torch.Generator(), now)
    assert torch.equal(shown[now], x[now].flip(-1)) and torch.equal(shown[~now], x[~now])


@settings(deadline=None, max_examples=30)
@given(shift=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_shifted_image_goes_on_as_mirrored(shift, seed):
    x = torch.arange(20.0).reshape(1, 1, 4, 5)
    options = replace(RECIPE, shift=shift, flip=False, reflect=True)
    moved = augment(x, options, torch.Generator().manual_seed(seed))[0, 0]
    rows, columns = np.pad(np.arange(4), shift, "reflect"), np.pad(np.arange(5), shift, "reflect")
    places = [
        x[0, 0][rows[i : i + 4]][:, columns[j : j + 5]]
        for i in range(2 * shift + 1)
        for j in range(2 * shift + 1)
    ]
    assert any(torch.equal(moved, place) for place in places)


@settings(deadline=None, max_examples=30)
@given(
    cut=st.integers(1, 9),
    size=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    seed=st.integers(0, 99),
)
def test_cutout_hides_one_rectangle_of_every_image_and_nothing_else(cut, size, seed):
    """No larger than asked for, whole in both directions away from the edges, the mean inside."""
    x = 1 + torch.rand(6, 2, *size)
    recipe = replace(RECIPE, shift=0, flip=False, cutout=cut)
    shown = augment(x, recipe, torch.Generator().manual_seed(seed))
    hidden = shown != x
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    mean = x.mean((0, 2, 3), keepdim=True).expand_as(x)
    assert torch.equal(shown[hidden], mean[hidden])
    for image in hidden[:, 0]:
        rows, columns = image.any(1), image.any(0)
        assert torch.equal(image, rows[:, None] & columns[None])
        for covered in (rows, columns):
            places = covered.nonzero()[:, 0]
            assert 1 <= len(places) <= cut and int(places[-1] - places[0]) == len(places) - 1
            inside = places[0] > 0 and places[-1] < len(covered) - 1
            assert len(places) == cut or not inside


@pytest.mark.parametrize(("option", "needs"), [("reflect", "shift"), ("alternate", "flip")])
def test_an_option_that_would_do_nothing_is_refused(option, needs):
    with pytest.raises(ConfigError, match=f"{option} goes with {needs}"):
        TrainConfig(**{option: True})


def test_biases_and_scores_have_their_learning_rates_and_weights_theirs():
    model = small_model()
    config = TrainConfig(
        optimiser="sgd", lr=0.1, bias_lr=64.0, output_lr=0.5, schedule="step", step_epochs=1
    )
    optimiser = make_optimiser(model, config)
    schedule = make_schedule(optimiser, config, 1, 3)
    rates = [(g["lr"], p) for g in optimiser.param_groups for p in g["params"]]
    assert {id(p) for _, p in rates} == {id(p) for p in model.parameters()}
    assert len(rates) == len(list(model.parameters()))
    names = {id(p): name for name, p in model.named_parameters()}
    for rate, parameter in rates:
        name = names[id(parameter)]
        output = name.startswith("blocks.output") and name.endswith("weight")
        assert rate == pytest.approx(0.05 if output else 6.4 if name.endswith("bias") else 0.1)
    optimiser.step()
    schedule.step()
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.05, 3.2, 0.025])
    assert len(make_optimiser(model, TrainConfig()).param_groups) == 1  # as in old checkpoints


def test_batchnorm_keeps_its_gains_where_asked():
    model = small_model()
    config = TrainConfig(optimiser="sgd", weight_decay=0.5, norm_decay=False)
    norms = {id(p) for name, p in model.named_parameters() if ".norm." in name}
    assert norms
    decays = {
        id(p): group["weight_decay"]
        for group in make_optimiser(model, config).param_groups
        for p in group["params"]
    }
    assert {p for p, decay in decays.items() if decay == 0} == norms
    assert set(decays.values()) == {0, 0.5} and len(decays) == len(list(model.parameters()))


def test_the_average_of_constant_weights_is_the_weights():
    model = small_model()
    average = WeightAverage(model, 0.99)
    for _ in range(5):
        average.update(model)
    assert same(average.mean, model)


@settings(deadline=None, max_examples=20)
@given(decay=st.floats(0.5, 0.999), steps=st.integers(1, 25))
def test_the_average_weighs_each_step_as_it_says(decay, steps):
    model = torch.nn.BatchNorm1d(2)
    average = WeightAverage(model, decay)
    wanted = 1.0
    for k in range(1, steps + 1):
        model.weight.data.fill_(float(k))
        model.running_mean.fill_(float(k))
        model.num_batches_tracked.fill_(k)
        average.update(model)
        d = min(decay, k / (k + 9))
        wanted = d * wanted + (1 - d) * k
    assert float(average.mean.weight[0]) == pytest.approx(wanted, rel=1e-4)
    assert int(average.mean.num_batches_tracked) == steps


def test_the_checkpoint_of_an_averaged_training_holds_the_average(tmp_path):
    data, path = dataset(), tmp_path / "model.pt"
    recipe = replace(RECIPE, ema=0.9, recalibrate=False)
    model = train(MODEL, data, recipe, checkpoint=path)
    content = load_checkpoint(path)
    assert same(model, load_model(path))
    name = "blocks.stem.population.synapses.0.weight"
    raw = content["ema"]["model"][name]
    assert not torch.equal(raw, content["model"][name])
    plain = train(MODEL, data, replace(recipe, ema=0.0))  # the average only watches
    assert torch.equal(raw, plain.state_dict()[name])


def test_a_teacher_without_weight_is_none(teacher):
    data = dataset()

    def broken(x):
        raise AssertionError("not to be asked")

    assert same(train(MODEL, data, RECIPE), train(MODEL, data, RECIPE, teacher=broken))
    with pytest.raises(ConfigError, match=r"distil = 0.5 needs a teacher.*--teacher"):
        train(MODEL, data, replace(RECIPE, distil=0.5))
    with pytest.raises(ConfigError, match=r"scores of shape \(16, 2\).*got \(16, 3\)"):
        train(MODEL, data, replace(RECIPE, distil=0.5), teacher=lambda x: torch.zeros(len(x), 3))


def test_soft_targets_cost_nothing_where_the_scores_agree_and_point_to_the_teacher():
    x = torch.rand(6, 3)
    scores = x.clone().requires_grad_(True)
    assert float(soft_loss(scores, lambda x: x + 5, x, 3.0)) == pytest.approx(0, abs=1e-6)
    loss = soft_loss(scores, lambda x: -x, x, 3.0)
    loss.backward()
    p, q = torch.softmax(x / 3, 1), torch.softmax(-x / 3, 1)
    assert float(loss) == pytest.approx(9 * float((q * (q / p).log()).sum(1).mean()), rel=1e-4)
    assert torch.allclose(scores.grad, 3 * (p - q) / 6, atol=1e-6)


def test_a_student_follows_its_teacher_against_the_labels():
    """Labels all wrong, weight 1: the classes are the teacher's."""
    data = dataset(128)

    def right(x):
        return 40 * torch.stack([x[..., 3:].mean((1, 2, 3)), x[..., :2].mean((1, 2, 3))], 1)

    wrong = replace(data, y_train=1 - data.y_train)
    recipe = replace(RECIPE, epochs=20, shift=0, flip=False, distil=1.0, temperature=1.0)
    model = train(replace(MODEL, width=4), wrong, recipe, teacher=right)
    scores = model(torch.from_numpy(data.x_train)).argmax(1).numpy()
    assert (scores == data.y_train).mean() > 0.8


def test_resuming_with_another_teacher_is_refused(tmp_path, teacher):
    data, path = dataset(), tmp_path / "model.pt"
    recipe = replace(RECIPE, epochs=1, distil=0.5)
    train(MODEL, data, recipe, checkpoint=path, teacher=teacher)
    other = small_model(seed=5, classes=2)
    with pytest.raises(ConfigError, match="the same teacher"):
        train(MODEL, data, recipe, checkpoint=path, resume=True, teacher=other)


@pytest.mark.parametrize("decay", [-0.1, 1, 2, float("nan"), "0.9"])
def test_decays_of_an_average_that_cannot_be_are_named(decay):
    with pytest.raises(ConfigError, match="decay must be"):
        WeightAverage(small_model(steps=1), decay)


@pytest.mark.parametrize("other", [{"classes": 2}, {"train_threshold": True}])
def test_an_average_takes_no_other_network_in(other):
    average = WeightAverage(small_model(steps=1), 0.9)
    with pytest.raises(ConfigError, match="another network"):
        average.update(small_model(steps=1, **other))
    assert average.steps == 0
