"""Learning rates at known points, and every schedule through torch's scheduler."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.training import RECIPES, TrainConfig, recipe
from lava_mlsnn.training.schedule import factor, make_optimiser, make_schedule


def at(epoch, batches=10, epochs=20, **options):
    return factor(TrainConfig(**options), round(epoch * batches), batches, epochs)


def test_cosine_is_one_at_its_start_half_in_the_middle_and_zero_at_its_end():
    options = {"schedule": "cosine", "warmup": 4}
    assert at(4, **options) == 1
    assert at(12, **options) == pytest.approx(0.5)
    assert at(8, **options) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert at(20, **options) == pytest.approx(0, abs=1e-12)
    assert at(0, schedule="cosine") == 1 and at(10, schedule="cosine") == pytest.approx(0.5)


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_warmup_rises_in_equal_steps_up_to_the_peak(schedule):
    rates = [factor(TrainConfig(schedule=schedule, warmup=2), step, 10, 20) for step in range(21)]
    assert rates[:20] == pytest.approx([(k + 1) / 20 for k in range(20)])
    assert rates[20] == 1


def test_step_is_multiplied_at_the_named_epochs_and_constant_between():
    options = {"schedule": "step", "step_epochs": 5, "step_factor": 0.5}
    assert [at(e, **options) for e in (0, 4.9, 5, 9.9, 10, 19.9)] == [1, 1, 0.5, 0.5, 0.25, 0.125]


def test_one_cycle_peaks_after_15_percent():
    assert at(0) == pytest.approx(0.04) and at(3) == pytest.approx(1)
    assert at(20) == pytest.approx(0, abs=1e-12)


def test_a_warmup_as_long_as_the_training_only_rises():
    rates = [factor(TrainConfig(schedule="cosine", warmup=9), k, 5, 2) for k in range(10)]
    assert rates == pytest.approx([(k + 1) / 10 for k in range(10)])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_optimiser_gets_the_recipe_s_numbers_and_follows_the_schedule(name):
    config = TrainConfig(optimiser=name, lr=0.2, weight_decay=0.03, schedule="step", step_epochs=1)
    optimiser = make_optimiser(torch.nn.Linear(2, 2), config)
    schedule = make_schedule(optimiser, config, 2, 3)
    group = optimiser.param_groups[0]
    assert group["weight_decay"] == 0.03 and group.get("momentum", 0.9) == 0.9
    rates = []
    for _ in range(6):
        rates.append(group["lr"])
        optimiser.step()
        schedule.step()
    assert rates == pytest.approx([0.2, 0.2, 0.1, 0.1, 0.05, 0.05])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"optimiser": "adam"}, "optimiser must be one of adamw, sgd, got 'adam'"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"warmup": 3}, "one-cycle has its own rise"),
        ({"schedule": "step", "step_epochs": 0}, "step_epochs"),
        ({"mixup": -1}, "mixup must be a number of at least 0 .*, got -1"),
        ({"event_penalty": float("nan")}, "event_penalty"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1"),
        ({"label_smoothing": 2}, "label_smoothing .* at most 1, got 2"),
        ({"distil": -0.1}, "distil"),
        ({"temperature": 0}, "temperature must be a number above 0"),
        ({"ann_epochs": 40}, "ann_epochs must leave epochs for the spiking network, got 40 of 40"),
        ({"ann_percentile": 0}, "ann_percentile"),
        ({"epochs": 1.5}, "epochs must be a whole number.*got 1.5"),
        ({"epochs": "3"}, "epochs must be a whole number.*got '3'"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"batch_size": float("nan")}, "batch_size"),
        ({"seed": 10**23}, "seed must be .* at most 9223372036854775807"),
        ({"seed": -1}, "seed"),
        ({"shift": 10**20}, "shift"),
        ({"shift": 10**5000}, "a number of thousands of digits"),
        ({"lr": 1e300}, r"lr must be .* at most 1e\+30, got 1e\+300"),
        ({"lr": float("nan")}, "lr must be .* got nan"),
        ({"temperature": 1e200}, "temperature"),
        ({"step_factor": 1e9}, "step_factor"),
        ({"weight_decay": 1e300}, "weight_decay"),
        ({"flip": "no"}, "flip must be True or False, got 'no'"),
        ({"recalibrate": 2}, "recalibrate"),
    ],
)
def test_options_that_cannot_work_are_named(bad, says):
    with pytest.raises(ConfigError, match=says):
        TrainConfig(**bad)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"foo": 3}, "a recipe has no foo; it has epochs, "), ({"epochs": "3"}, "epochs")],
)
def test_changes_that_a_recipe_does_not_have_are_named(changes, says):
    with pytest.raises(ConfigError, match=says):
        recipe("plain", **changes)


def test_numbers_of_numpy_are_stored_as_python_s():
    config = TrainConfig(epochs=np.int64(3), lr=np.float32(0.5), seed=np.uint8(1))
    assert [type(v) for v in (config.epochs, config.lr, config.seed)] == [int, float, int]


def test_recipes_are_changed_by_name_and_unknown_ones_are_named():
    assert recipe("digits") is not None and recipe("digits") == RECIPES["digits"]
    changed = recipe("cifar10", epochs=3, lr=None)
    assert changed.epochs == 3 and changed.lr == RECIPES["cifar10"].lr
    with pytest.raises(ConfigError, match=r"recipe must be one of .*cifar10.*got 'mnist'"):
        recipe("mnist")
