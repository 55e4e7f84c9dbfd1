"""What torch users do to a module works with the blocks, or gives one sentence."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from small_models import assert_same_integers

from lava_mlsnn.errors import ConfigError, UnsupportedLayerError
from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.slayer import block, precision
from netx_export import to_spec

P = {"levels": 4}
IN = (2, 6, 5)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        block.Input(IN, levels=15, gain=15.0),
        block.Conv(P, 2, 4, 3, padding=1, input_size=IN[1:]),
        block.Residual(P, (4, 6, 5), 6, 2, payload_max=4),
        block.Flatten((6, 3, 3)),
        block.Dense(P, 54, 8),
        block.Output(8, 3),
    )


def data(n=6, steps=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *IN, steps, generator=generator)
    return x, torch.randint(3, (n,), generator=generator)


def step(model, optimiser, x, y):
    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x)[..., -1], y)
        loss.backward()
        return loss

    return optimiser.step(closure)


@pytest.mark.parametrize("mode", ["train", "eval", "float"])
def test_a_first_forward_in_inference_mode_leaves_a_model_that_trains(mode):
    x, y = data()
    model = network().train(mode == "train")
    zoo = build_model(ModelConfig(width=2, input_shape=IN, classes=3)).train(mode == "train")
    for made, batch in ((model, x), (zoo, x[..., 0])):
        with torch.inference_mode(), precision(made, "float" if mode == "float" else "integer"):
            made(batch)
        made(batch).square().sum().backward()
        made.zero_grad()
        made.train()(batch).square().sum().backward()
        assert all(p.grad is not None for p in made.parameters())
    step(model, torch.optim.SGD(model.parameters(), 0.1), x, y)
    model.eval()
    with torch.inference_mode():
        scores = model(x)
    assert torch.equal(model(x), scores)


def test_parameters_are_contiguous_and_whatever_wants_a_vector_works():
    model = network()
    assert all(p.is_contiguous() for p in model.parameters())
    x, y = data()
    vector = torch.nn.utils.parameters_to_vector(model.parameters())
    torch.nn.utils.vector_to_parameters(vector * 1.5, model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    step(model.train(), torch.optim.LBFGS(model.parameters(), lr=0.01, max_iter=2), x, y)
    assert any(not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert all(p.grad.is_contiguous() for p in model.parameters())


def test_weights_that_were_stored_channels_last_load_and_train_on():
    x, y = data()
    model, other = network(), network()
    last = other.to(memory_format=torch.channels_last)
    assert not last[1].synapse.weight.is_contiguous()
    optimisers = [torch.optim.Adam(m.parameters(), 0.01) for m in (model, last)]
    for _ in range(2):
        pairs = zip((model, last), optimisers, strict=True)
        a, b = (float(step(m.train(), optimiser, x, y)) for m, optimiser in pairs)
        assert a == pytest.approx(b, rel=1e-5)
    new = network()
    new.load_state_dict(last.state_dict())
    assert new[1].synapse.weight.is_contiguous()
    optimiser = torch.optim.Adam(new.parameters(), 0.01)
    optimiser.load_state_dict(optimisers[1].state_dict())
    assert torch.equal(new.eval()(x), last.eval()(x))
    step(new.train(), optimiser, x, y)


NORMS = {
    "affine=False": lambda: torch.nn.BatchNorm2d(4, affine=False),
    "momentum=None": lambda: torch.nn.BatchNorm2d(4, momentum=None),
    "SyncBatchNorm": lambda: torch.nn.SyncBatchNorm(4),
    "eps": lambda: torch.nn.BatchNorm2d(4, eps=0.1),
}


@pytest.mark.parametrize("name", NORMS)
def test_batchnorm_with_other_options_trains_and_exports(name):
    model = network()
    model[1].synapse.norm = norm = NORMS[name]()
    x, y = data(steps=2)
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    if name == "SyncBatchNorm":
        norm.eval()  # trains on GPUs alone
        norm.num_batches_tracked.add_(1)
        model.train = lambda mode=True: model
    for _ in range(3):
        step(model.train(), optimiser, x, y)
    model = torch.nn.Sequential(*model).eval()
    assert_same_integers(model, x.numpy(), 2)


OTHERS = {
    "group": (lambda: torch.nn.GroupNorm(2, 4), UnsupportedLayerError, "got GroupNorm"),
    "instance": (lambda: torch.nn.InstanceNorm2d(4), UnsupportedLayerError, "InstanceNorm2d"),
    "layer": (lambda: torch.nn.LayerNorm([4, 6, 5]), UnsupportedLayerError, "got LayerNorm"),
    "no statistics": (
        lambda: torch.nn.BatchNorm2d(4, track_running_stats=False),
        UnsupportedLayerError,
        "track_running_stats=True",
    ),
    "other channels": (lambda: torch.nn.BatchNorm2d(5), ConfigError, r"channel \(4\), got 5"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("mode", ["train", "eval", "export"])
def test_a_norm_that_does_not_fold_is_named(name, mode):
    make, error, text = OTHERS[name]
    model = network()
    model[1].synapse.norm = make()
    with pytest.raises(error, match=text):
        model.train(mode == "train")
        to_spec(model, 1) if mode == "export" else model(data()[0])


def test_double_precision_trains_and_exports():
    x, y = data(steps=2)
    model = network().double()
    for batch in (x, x.double()):
        step(model.train(), torch.optim.SGD(model.parameters(), 0.05), batch, y)
    assert all(p.grad.dtype == torch.float64 for p in model.parameters())
    assert_same_integers(model.eval(), x.numpy(), 2)


def test_half_precision_does_what_torch_does():
    x, _ = data()
    with torch.no_grad():
        try:
            torch.nn.functional.conv2d(x[..., 0].half(), torch.ones(1, 2, 3, 3).half())
        except RuntimeError:
            pytest.skip("this torch has no half precision on the CPU")
    for kind in (torch.half, torch.bfloat16):
        model = network().train()
        model(x)
        model.to(kind)
        model(x.to(kind)).float().square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())
        assert_same_integers(model.eval(), x.to(kind).float().numpy(), 1)


def _whole(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), _whole]
)
def test_copies_compute_the_same_and_carry_no_remembered_results(copied):
    x, y = data()
    model = network()
    step(model.train(), torch.optim.SGD(model.parameters(), 0.1), x, y)
    scores = model.eval()(x)
    size = len(pickle.dumps(model.state_dict()))
    assert len(pickle.dumps(model)) < size + 40_000
    twin = copied(model)
    assert torch.equal(twin(x), scores)
    step(twin.train(), torch.optim.SGD(twin.parameters(), 0.1), x, y)


def test_update_bn_of_torch_measures_statistics():
    x, _ = data(32)
    model = network()
    torch.optim.swa_utils.update_bn([x[:16], x[16:]], model)
    assert int(model[1].synapse.norm.num_batches_tracked) == 2
    assert_same_integers(model.eval(), x.numpy(), 1)


def test_an_eval_model_gives_the_gradient_of_its_input():
    x, y = data(steps=2)
    model = network().train()
    model(x)
    model.eval()
    x.requires_grad_()
    scores = model(x)
    torch.nn.functional.cross_entropy(scores[..., -1], y).backward()
    assert x.grad.abs().sum() > 0
    with torch.no_grad():
        assert torch.equal(model(x), scores)
