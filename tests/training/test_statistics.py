"""BatchNorm statistics at the end of a training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_models import images, small_model
from test_training_loop import MODEL, RECIPE, dataset, same

from lava_mlsnn.slayer import block
from lava_mlsnn.training import accuracy, load_model, recalibrate, train


def test_statistics_become_the_average_over_the_batches():
    made = block.Dense({"levels": 4}, 6, 5)
    made(torch.rand(8, 6, 1) * 50)  # what was there before is gone
    batches = [torch.rand(8, 6, 1), torch.rand(4, 6, 1) + 1]
    seen = []
    made.synapse.norm.register_forward_hook(lambda m, i, o: seen.append(i[0]))
    recalibrate(made, batches)
    norm = made.synapse.norm
    assert torch.allclose(norm.running_mean, torch.stack([y.mean(0) for y in seen]).mean(0))
    assert torch.allclose(norm.running_var, torch.stack([y.var(0) for y in seen]).mean(0))
    assert int(norm.num_batches_tracked) == 2 and norm.momentum == 0.1


@pytest.mark.parametrize("training", [True, False])
def test_nothing_but_statistics_changes(training):
    model = small_model()
    model.blocks.stem.synapse.norm.eval()  # kept, whatever it is
    model.train(training)
    model.blocks.stem.synapse.norm.eval()
    modes = [m.training for m in model.modules()]
    parameters = [p.clone() for p in model.parameters()]
    random = torch.get_rng_state()
    recalibrate(model, [torch.from_numpy(images((1, 6, 5), 6))])
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), parameters, strict=True))
    assert all(p.grad is None or not p.grad.isnan().any() for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_an_error_leaves_modes_and_momentum_as_they_were():
    made = block.Dense({"levels": 4}, 6, 5).eval()

    def batches():
        yield torch.rand(4, 6, 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        recalibrate(made, batches())
    assert not made.synapse.norm.training and made.synapse.norm.momentum == 0.1


def test_a_model_without_batchnorm_is_not_run():
    class NeverError(Exception):
        pass

    class Never(torch.nn.Linear):
        def forward(self, x):
            raise NeverError

    recalibrate(Never(2, 2), [torch.zeros(1, 2)])


def test_a_few_steps_are_enough_for_an_evaluation_that_means_something():
    """Sixteen batches leave 0.9**16 of the start, 19 %, in the running statistics."""
    data = dataset(256)
    config = replace(MODEL, width=8, start_bias=0.0)
    recipe = replace(RECIPE, lr=0.1, batch_size=64)
    recipe = replace(recipe, shift=0, flip=False)
    measured = train(config, data, recipe)
    plain = train(config, data, replace(recipe, recalibrate=False))
    other = plain.state_dict()
    for name, value in measured.state_dict().items():
        assert torch.equal(value, other[name]) != ("running" in name or "tracked" in name), name
    x, y = data.x_train, data.y_train
    assert accuracy(measured, x, y) > accuracy(plain, x, y) + 0.1


def test_the_last_checkpoint_holds_the_measured_statistics(tmp_path):
    path = tmp_path / "model.pt"
    model = train(MODEL, dataset(), RECIPE, checkpoint=path)
    assert same(model, load_model(path))


def test_only_a_short_training_is_measured_unless_asked_for():
    data = dataset(256)
    config = replace(MODEL, width=2)
    for batches, wanted in ((4, True), (120, False)):
        recipe = replace(RECIPE, epochs=batches, batch_size=256, shift=0, flip=False)
        by_default = train(config, data, recipe).state_dict()
        other = train(config, data, replace(recipe, recalibrate=wanted)).state_dict()
        assert all(torch.equal(value, other[name]) for name, value in by_default.items())
