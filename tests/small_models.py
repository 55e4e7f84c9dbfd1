"""Small trained models for any test, and the law that they equal their export."""

from __future__ import annotations

import numpy as np
import torch

from lava_mlsnn.export import to_spec
from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.parity.check import training_trace
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export.spec import NetworkSpec

torch.set_num_threads(1)  # the models are too small for more


def images(shape, n=8, seed=0, low=0.0):
    """Random float32 images in low..1."""
    x = np.random.default_rng(seed).uniform(low, 1, (n, *shape))
    return x.astype(np.float32)


def warm(model, x, steps=2, lr=0.02, seed=0):
    """A few steps of training on random labels: statistics, and weights off their start."""
    torch.manual_seed(seed)
    optimiser = torch.optim.SGD(model.parameters(), lr)
    model.train()
    for _ in range(steps):
        out = model(torch.from_numpy(x)).flatten(1)
        labels = torch.randint(out.shape[1], (len(x),))
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(out, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval()


def small_model(seed=0, steps=2, **config) -> torch.nn.Module:
    """A trained network of the model zoo, 2 channels wide on 6x5 images if not said otherwise."""
    settings = {"width": 2, "input_shape": (1, 6, 5), "classes": 3, "input_levels": 15, **config}
    torch.manual_seed(seed)
    model = build_model(ModelConfig(**settings))
    low = -1.0 if settings.get("input_signed") else 0.0
    return warm(model, images(settings["input_shape"], 6, seed, low), steps, seed=seed)


def assert_same_integers(model: torch.nn.Module, x: np.ndarray, timesteps=None) -> NetworkSpec:
    """Every layer of the eval forward is what the integer runner computes from the export."""
    spec = to_spec(model, timesteps)
    theirs = training_trace(model, spec, x)
    ours = IntegerRunner(spec).trace(encode(spec, x)).layers
    assert set(ours) <= set(theirs)
    for name, values in ours.items():
        assert values.shape == theirs[name].shape, name
        wrong = int(np.count_nonzero(values != theirs[name]))
        assert wrong == 0, f"{name}: {wrong} of {values.size} differ"
    return spec
