"""The price on events: its value is a count, its gradient lowers that count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_models import images, small_model
from test_training_loop import MODEL, RECIPE, dataset

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.export import to_spec
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.slayer import block
from lava_mlsnn.training import EventPenalty, accuracy, train


def test_the_value_is_the_number_of_events_times_fan_out_over_all_multiplications():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        block.Conv({"levels": 3}, 1, 4, 3, padding=1, input_size=6),
        block.Conv({"levels": 3}, 4, 5, 3, padding=1, input_size=6, stride=2),
        block.Flatten((5, 3, 3)),
        block.Output(45, 2),
    )
    penalty = EventPenalty(net)
    x = torch.rand(7, 1, 6, 6, 2) * 3
    seen = []
    for layer in (net[0], net[1]):
        layer.register_forward_hook(lambda m, i, z: seen.append(float((z > 0).sum())))
    net(x)
    work = [5 * 9 * 36, 2 * 45]  # targets times fan-in
    wanted = (seen[0] * work[0] / 144 + seen[1] * work[1] / 45) / (sum(work) * 7)
    assert float(penalty.take(7)) == pytest.approx(wanted, rel=1e-5)
    assert float(penalty.take(7)) == 0
    for bad in (0, -1, 1.5, None):
        with pytest.raises(ConfigError, match="samples must be a whole number of at least 1"):
            penalty.take(bad)
    with torch.no_grad():
        net(x)
    assert float(penalty.take(7)) == 0
    penalty.remove()
    net(x)
    assert float(penalty.take(7)) == 0


def test_the_gradient_pushes_single_events_down_and_leaves_others_alone():
    z = torch.tensor([0.0, 1.0, 2.0, 4.0]).reshape(1, 4, 1).requires_grad_(True)
    net = block.Output(4, 3)
    penalty = EventPenalty(net)
    net(z)
    penalty.take(1).backward()
    assert z.grad.flatten().tolist() == pytest.approx([0.25, 0.25, 0, 0])


def events(model, x):
    spec = to_spec(model)
    layers = IntegerRunner(spec).trace(encode(spec, x)).layers
    return sum(int(np.count_nonzero(v)) for k, v in layers.items() if k not in ("input", "output"))


def test_a_price_lowers_the_events_and_keeps_what_was_learnt():
    data = dataset(128)
    recipe = replace(RECIPE, epochs=20, shift=0, flip=False)
    config = replace(MODEL, width=4)
    free = train(config, data, recipe)
    paid = train(config, data, replace(recipe, event_penalty=1.0))
    assert events(paid, data.x_train) < 0.8 * events(free, data.x_train)
    assert accuracy(paid, data.x_train, data.y_train) > 0.8
    assert not any(m._forward_hooks for m in paid.modules())


def test_every_block_of_the_zoo_can_be_priced():
    for settings in ({"barrier": "sew"}, {"barrier": "ms"}, {"barrier": "respiking"}):
        model = small_model(**settings).train()
        penalty = EventPenalty(model)
        model(torch.from_numpy(images((1, 6, 5), 4)))
        value = penalty.take(4)
        assert 0 < float(value) <= 1
        value.backward()
        grads = [p.grad for n, p in model.named_parameters() if "conv1" in n and "weight" in n]
        assert any(bool((g != 0).any()) for g in grads if g is not None), settings
