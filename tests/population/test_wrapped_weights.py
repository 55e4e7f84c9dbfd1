"""Whatever torch wraps around a weight or a block: training, eval() and file agree."""

from __future__ import annotations

import copy
import warnings
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.population import convolved
from lava_mlsnn.slayer import block
from netx_export import to_spec

P = {"levels": 4}
BYTES = convolved._sums_bytes()
IN, OUT = (2, 5, 4), 3


class Half(torch.nn.Module):
    def forward(self, weight):
        return weight / 2


class Noise(torch.nn.Module):
    """Another weight at every reading in training."""

    def forward(self, weight):
        return weight * (1 + self.training * 0.1 * torch.randn_like(weight))


def old(function):
    def apply(module):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated by torch, and used everywhere
            function(module)

    return apply


def pruned_twice(module):
    prune.random_unstructured(module, "weight", 0.3)
    prune.ln_structured(module, "weight", 0.4, n=1, dim=0)


WRAPS = {
    "pruned": lambda m: prune.l1_unstructured(m, "weight", 0.5),
    "pruned twice": pruned_twice,
    "weight norm": parametrizations.weight_norm,
    "weight norm by hook": old(torch.nn.utils.weight_norm),
    "spectral norm": parametrizations.spectral_norm,
    "spectral norm by hook": old(torch.nn.utils.spectral_norm),
    "orthogonal": parametrizations.orthogonal,
    "parametrized": lambda m: parametrize.register_parametrization(m, "weight", Half()),
    "noise": lambda m: parametrize.register_parametrization(m, "weight", Noise()),
}


def conv(**options):
    return block.Conv(P, IN[0], OUT, 3, padding=1, input_size=IN[1:], **options)


def same_start(wrap, seed, norm):
    """A block with a wrapped weight, torch's own module wrapped alike, and a plain block."""
    made, plain = conv(norm=norm), conv(norm=norm)
    torchs = torch.nn.Conv2d(IN[0], OUT, 3, padding=1, bias=False)
    torchs.weight.data.copy_(made.synapse.weight.data)
    plain.load_state_dict(made.state_dict())
    for module in (made.synapse, torchs):
        torch.manual_seed(seed)
        wrap(module)
    return made, torchs, plain


@pytest.mark.parametrize("name", WRAPS)
@given(seed=st.integers(0, 99), norm=st.booleans())
@settings(max_examples=3, deadline=None)
def test_a_wrapped_weight_trains_evaluates_and_exports_as_torchs_own(name, seed, norm):
    torch.manual_seed(seed)
    made, torchs, plain = same_start(WRAPS[name], seed, norm)
    for step in range(3):
        x = torch.randint(0, 5, (4, *IN, 2)).float()
        torch.manual_seed(step)
        y = made(x)
        torch.manual_seed(step)
        torchs(x[..., 0])
        torch.manual_seed(step)
        weight = _weight_of_last_call(torchs, step)
        plain.synapse.weight.data.copy_(weight.detach())
        wanted = plain(x)
        assert torch.equal(y, wanted)
        made.zero_grad()
        plain.zero_grad()
        y.square().sum().backward()
        wanted.square().sum().backward()
        size = plain.synapse.weight.grad.norm()
        theirs = {n: p for n, p in torchs.named_parameters() if n != "bias"}
        grads = torch.autograd.grad(weight, list(theirs.values()), plain.synapse.weight.grad)
        ours = dict(made.synapse.named_parameters())
        with torch.no_grad():
            for (key, parameter), grad in zip(theirs.items(), grads, strict=True):
                assert (ours[key].grad - grad).norm() <= 1e-5 * (1 + size), key
                ours[key].add_(grad, alpha=-1e-3)
                parameter.copy_(ours[key])
    torchs.eval()(x[..., 0])
    plain.synapse.weight.data.copy_(torchs.weight.detach())
    before = {k: v.clone() for k, v in made.state_dict().items()}
    exported = made.population.integers()  # in train(): nothing may move
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())
    assert torch.equal(exported.weights[0], plain.population.integers().weights[0])
    with torch.no_grad():
        assert torch.equal(made.eval()(x), plain.eval()(x))
    network = torch.nn.Sequential(block.Input(IN, 4), made)
    assert_same_integers(network, x.numpy(), 2)


def _weight_of_last_call(module, step):
    """The weight that the call before used, with its graph."""
    if not parametrize.is_parametrized(module):
        return module.weight
    for part in module.parametrizations.weight:  # read again without moving anything
        if not isinstance(part, Noise):
            part.eval()
    weight = module.weight
    module.parametrizations.weight.train()
    return weight


def test_biases_norms_and_shared_masks_are_pruned_too():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        block.Input((6,), 4), block.Dense(P, 6, 5), block.Dense(P, 5, 4, norm=False)
    )
    x = torch.randint(0, 5, (8, 6, 2)).float()
    prune.random_unstructured(model[1].synapse.norm, "weight", 2)
    prune.random_unstructured(model[2].synapse, "bias", 2)
    both = [(model[1].synapse, "weight"), (model[2].synapse, "weight")]
    prune.global_unstructured(both, prune.L1Unstructured, amount=0.5)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model(x).sum().backward()
        optimiser.step()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1)  # also what is pruned away
    spec = assert_same_integers(model.eval(), x.numpy(), 2)
    zero = sum(int((p.synapses[0].weight == 0).sum()) for _, p in spec.populations)
    assert zero >= 25
    assert int((model[2].synapse.bias == 0).sum()) >= 2
    for module, name in both:
        prune.remove(module, name)
    assert isinstance(model[1].synapse.weight, torch.nn.Parameter)
    assert_same_integers(model, x.numpy(), 2)


def test_a_hook_that_runs_in_training_alone_is_not_exported():
    for part in ("synapse", "norm", "neuron"):
        made = conv()
        made(torch.rand(4, *IN, 1) * 4)
        module = made.synapse.norm if part == "norm" else getattr(made, part)
        handle = module.register_forward_hook(lambda m, x, y: y * 2)
        network = torch.nn.Sequential(block.Input(IN, 4), made).eval()
        with pytest.raises(UnsupportedLayerError, match=r"layer '1'.*<lambda>.*remove it"):
            to_spec(network)
        handle.remove()
        to_spec(network)


class Doubled(torch.nn.Module):
    def forward(self, *args):
        return super().forward(*args) * 2


def replaced(module):
    module.__class__ = type("Changed", (Doubled, type(module)), {})


def patched(module):
    own = module.forward
    module.forward = lambda *args: own(*args) * 2


@pytest.mark.parametrize("change", [replaced, patched])
@pytest.mark.parametrize("part", ["synapse", "norm", "neuron"])
def test_a_part_whose_forward_was_replaced_is_not_exported(part, change):
    made = conv()
    made(torch.rand(4, *IN, 1) * 4)
    change(made.synapse.norm if part == "norm" else getattr(made, part))
    network = torch.nn.Sequential(block.Input(IN, 4), made).eval()
    with pytest.raises(
        UnsupportedLayerError, match=r"layer .1.*(Changed|replaced (Doubled\.)?forward)"
    ):
        to_spec(network)


def test_a_synapse_that_computes_otherwise_says_what_it_exports_as():
    made = conv()
    made(torch.rand(4, *IN, 1) * 4)
    kind = type(made.synapse)
    network = torch.nn.Sequential(block.Input(IN, 4), made).eval()
    wrong = {"apply_weight": lambda self, x, w: kind.apply_weight(self, x, w) * 2}
    made.synapse.__class__ = type("Louder", (kind,), wrong)
    with pytest.raises(UnsupportedLayerError, match=r"Louder\.apply_weight"):
        to_spec(network)
    made.synapse.__class__ = type("Louder", (kind,), {**wrong, "exported": kind.exported})
    to_spec(network)  # taken at its word; parity tells


def test_scores_that_a_hook_changes_are_not_exported():
    model = network("integrating", 0)
    model(torch.rand(4, *IN, 1))
    handle = model[-1].population.register_forward_hook(lambda m, x, y: -y)
    with pytest.raises(UnsupportedLayerError, match=r"<lambda>.* on its population"):
        to_spec(model.eval())
    handle.remove()
    to_spec(model)
    patched(model[-1].population)
    with pytest.raises(UnsupportedLayerError, match="replaced forward on its population"):
        to_spec(model)


def network(barrier, seed):
    torch.manual_seed(seed)
    ms = barrier == "ms"
    start = block.Stream(IN, 3) if ms else conv()
    end = [block.StreamEnd(P, (3, 5, 4))] if ms else []
    return torch.nn.Sequential(
        block.Input(IN, levels=15, gain=15.0),
        start,
        block.Residual(P, (3, 5, 4), 3, barrier=barrier, payload_max=4),
        block.Residual(P, (3, 5, 4), 4, 2, barrier=barrier, payload_max=4)
        if not ms
        else block.Residual(P, (3, 5, 4), 3, barrier=barrier, payload_max=4),
        *end,
        block.Flatten((3, 5, 4) if ms else (4, 3, 2)),
        block.Output(60 if ms else 24, 3),
    )


def gradients(model, x, labels, call):
    model.zero_grad()
    scores = x
    for made in model:
        scores = call(made, scores)
    torch.nn.functional.cross_entropy(scores[..., -1], labels).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("barrier", block.BARRIERS)
@given(seed=st.integers(0, 99), steps=st.sampled_from([1, 3]))
@settings(max_examples=2, deadline=None)
def test_checkpointing_gives_the_same_gradient(barrier, reentrant, seed, steps):
    """With ``reentrant`` a block gets copies, of which no bytes are known: floats on both sides."""
    with mock.patch.object(convolved, "_sums_bytes", lambda: BYTES and not reentrant):
        plain = network(barrier, seed).train()
        x = torch.rand(6, *IN, steps)
        labels = torch.randint(3, (6,))
        for _ in range(2):
            gradients(plain, x, labels, lambda made, y: made(y))
            with torch.no_grad():
                for p in plain.parameters():
                    p.sub_(p.grad, alpha=0.01)
        twin = copy.deepcopy(plain)
        x.requires_grad_()
        wanted = gradients(plain, x, labels, lambda made, y: made(y))
        found = gradients(
            twin, x, labels, lambda made, y: checkpoint(made, y, use_reentrant=reentrant)
        )
        for name, grad in wanted.items():
            assert torch.equal(found[name], grad), name


def test_two_batches_and_a_block_used_twice_checkpoint_as_well():
    """The second forward must not change what the first is run again with."""
    torch.manual_seed(0)
    plain = block.Residual(P, IN, IN[0], payload_max=4).train()
    twin = copy.deepcopy(plain)
    x = [torch.randint(0, 5, (3, *IN, 1)).float().requires_grad_() for _ in range(2)]
    for made, call in ((plain, plain), (twin, lambda y: checkpoint(twin, y, use_reentrant=False))):
        sum(call(call(y)).square().sum() for y in x).backward()
        assert made.conv1.synapses[0].weight.grad.abs().sum() > 0
    for a, b in zip(plain.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("barrier", block.BARRIERS)
@given(seed=st.integers(0, 99), steps=st.sampled_from([1, 2]), frozen=st.sampled_from([1, 2, 3]))
@settings(max_examples=3, deadline=None)
def test_a_frozen_block_passes_gradients_and_computes_its_integers(barrier, seed, steps, frozen):
    model = network(barrier, seed).train()
    x = torch.rand(6, *IN, steps)
    labels = torch.randint(3, (6,))
    for _ in range(2):
        model(x)
    model[frozen].eval()
    seen = {}
    handle = model[frozen].register_forward_hook(lambda m, i, o: seen.update(x=i[0], y=o))
    with torch.no_grad():
        model(x)
    handle.remove()
    y = model[frozen](seen["x"].requires_grad_())
    assert torch.equal(y, seen["y"])
    found = gradients(model, x, labels, lambda made, y: made(y))  # its parameters' as well
    assert all(torch.isfinite(grad).all() for grad in found.values())
    (grad,) = torch.autograd.grad(y.square().sum(), seen["x"])
    assert grad.abs().sum() > 0 or y.sum() == 0


SINGLE = {
    "conv": conv,
    "conv without norm": lambda: conv(norm=False),
    "pool": lambda: block.Pool(P, IN, 2, payload_max=4),
    "relay": lambda: block.Pool(None, IN, 2, payload_max=4),
    "stream": lambda: block.Stream(IN, OUT),
    "stream end": lambda: block.StreamEnd(P, IN),
    "scores": lambda: torch.nn.Sequential(block.Flatten(IN), block.Output(40, 3)),
}


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_of_a_frozen_block_is_that_of_training(name, steps):
    torch.manual_seed(0)
    frozen = SINGLE[name]().train()
    x = torch.randint(0, 5, (6, *IN, steps)).float()
    for _ in range(3):
        frozen(x)
    training = copy.deepcopy(frozen)
    for module in training.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # the running statistics
    grads = []
    for made in (frozen.eval(), training):
        start = x.clone().requires_grad_()
        y = made(start)
        weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
        parameters = list(made.parameters())
        grads.append(torch.autograd.grad((made(start) * weights).sum(), [start, *parameters]))
    for a, b in zip(*grads, strict=True):
        assert a.dtype == b.dtype and torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_parameters_without_gradient_pass_it_on():
    model = network("integrating", 0).train()
    model[2].requires_grad_(False)
    x = torch.rand(6, *IN, 1)
    model(x).square().sum().backward()
    assert all(p.grad is None for p in model[2].parameters())
    assert all(p.grad.abs().sum() > 0 for p in model[1].parameters())
    with torch.no_grad():
        assert not model.eval()(x).requires_grad
