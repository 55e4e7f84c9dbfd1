"""Concatenations, slices and orders of channels are synapses over parts: the same integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import images, warm

from lava_mlsnn import IntegerRunner, check_parity
from lava_mlsnn.export import connections, to_spec
from lava_mlsnn.slayer import block, precision
from lava_mlsnn.training.ann_start import as_relu, convert
from netx_export import MultiLevel, Population, export_model, lava_available, read
from netx_export.builder import Builder
from netx_export.errors import UnsupportedLayerError
from netx_export.spec import Conv, ConvTranspose, Dense, Identity
from netx_export.spec.synapses.parts import Part, fewest

torch.set_num_threads(1)
P = {"levels": 4}
SIZE = (4, 3)
LAWS = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


# -- a synapse over parts ------------------------------------------------------------
def synapse(kind, channels, rng, flat):
    weights = lambda *shape: rng.integers(-128, 128, shape)  # noqa: E731
    if kind == "identity":
        return Identity(0, weights(channels), 1)
    if flat:
        return Dense(0, weights(5, channels), 2)
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    if kind == "conv":
        kernel = weights(2 * groups, channels // groups, 2, 1)
        return Conv(0, kernel, 1, (2, 1), (1, 0), groups=groups)
    return ConvTranspose(0, weights(channels, 2, 2, 3), 0, (2, 1), groups=groups)


@given(st.sampled_from(["conv", "convT", "dense", "identity"]), st.booleans(), st.integers(0, 999))
@settings(LAWS, max_examples=60)
def test_parts_sum_to_the_synapse_over_all_of_them(kind, flat, seed):
    rng = np.random.default_rng(seed)
    flat = kind == "dense" or (flat and kind == "identity")
    sizes = rng.integers(1, 5, rng.integers(1, 4))
    x = [rng.integers(-9, 10, (2, n, *(() if flat else SIZE))) for n in sizes]
    parts, joined, start = [], [], 0
    for k, payload in enumerate(x):
        own = rng.permutation(sizes[k])[: rng.integers(1, sizes[k] + 1)]
        parts.append(Part(k, payload.shape[1:], own, start + np.arange(len(own))))
        joined.append(payload[:, own])
        start += len(own)
    order = rng.permutation(start)  # of the joined payload
    parts = [Part(p.source, p.shape, p.own, np.argsort(order)[p.joined]) for p in parts]
    whole = synapse(kind, start, rng, flat)
    wanted = whole.sum(np.concatenate(joined, 1)[:, order])
    split = whole.split(parts)
    assert [s.source for s in split] == list(range(len(x)))
    assert np.array_equal(sum(s.sum(x[s.source]) for s in split), wanted)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_groups_stay_where_they_can(groups):
    kernel = np.ones((6, 6 // groups, 1, 1), int)
    whole = Part(0, (6, 4, 4), np.arange(6), np.arange(6))
    (found,) = Conv(0, kernel, groups=groups).split([whole])
    assert found.groups == groups and np.array_equal(found.weight, kernel)
    assert fewest(np.ones((4, 6)), np.ones((4, 6), bool))[1] == 1


def test_a_sum_that_is_rounded_is_not_split():
    part = Part(0, (1,), np.arange(1), np.arange(1))
    other = Part(1, (1,), np.arange(1), np.arange(1, 2))
    with pytest.raises(UnsupportedLayerError, match="weight_exp below 0"):
        Dense(0, np.ones((2, 2), int), -1).split([part, other])


# -- drawn wirings -------------------------------------------------------------------
OPS = ("conv", "cat", "cat", "twice", "part", "shuffle", "add", "pool", "relu", "residual", "max")


class Drawn(torch.nn.Module):
    """A program over values of any channels, all of one size; each step appends one."""

    def __init__(self, program, timesteps, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.input = block.Input((2, *SIZE), levels=7, gain=7.0)
        self.params = {"levels": 1 + seed % 4, "v0": ("floor", "round")[seed % 2]}
        self.net, self.program, self.timesteps = torch.nn.ModuleDict(), program, timesteps
        self.made = False
        channels = self.run(torch.zeros(1, 2, *SIZE, 1)).shape[1]
        self.score = block.Output(channels * math.prod(SIZE), 3)
        self.made = True

    def block(self, k, make):
        if not self.made:
            self.net[str(k)] = make().eval()
        return self.net[str(k)]

    def run(self, x):
        values = [self.input(x)]
        for k, (op, a, b) in enumerate(self.program):
            left, right = values[a % len(values)], values[b % len(values)]
            values.append(self.step(op, k, left, right, a + b))
        return torch.cat([values[-1], values[len(values) // 2]], 1)

    def step(self, op, k, x, y, n):
        c = x.shape[1]
        match op:
            case "conv":
                groups = math.gcd(c, (1, 2, 3, c)[n % 4])
                out = groups * (1 + n % 2)
                p, size = self.params, {"padding": 1, "groups": groups, "input_size": SIZE}
                return self.block(k, lambda: block.Conv(p, c, out, 3, **size))(x)
            case "cat":
                return torch.cat([x, y, x][: 2 + n % 2], 1)[:, :12]
            case "twice":
                return torch.cat([x, x[:, :1]], dim=-4)[:, :12]
            case "part":
                return x.chunk(2, 1)[0] if n % 2 else x[:, c // 2 :]
            case "shuffle":
                return x.flip(1) if n % 2 else x.unflatten(1, (c, 1)).transpose(1, 2).flatten(1, 2)
            case "add":
                least = min(c, y.shape[1])
                return self.block(
                    k, lambda: block.Conv(self.params, least, least, 1, input_size=SIZE)
                )(x[:, :least] + y[:, -least:])
            case "pool":
                shape = (c, *SIZE)
                pool = self.block(k, lambda: block.Pool(self.params, shape, 1, payload_max=7))
                return pool(x)
            case "residual":
                return self.block(
                    k, lambda: block.Residual(self.params, (c, *SIZE), c, payload_max=7)
                )(x)
            case "max" if self.timesteps == 1:
                top = self.block(k, lambda: block.MaxPool((c, *SIZE), 3, 1, 1, payload_max=99))
                return top(x)
            case _:
                return F.relu(x)

    def forward(self, x):
        if x.dim() == 4:
            x = x.unsqueeze(-1).expand(*x.shape, self.timesteps)
        return self.score(self.run(x).flatten(1, -2))[..., -1]


def steps():
    number = st.integers(0, 7)
    return st.lists(st.tuples(st.sampled_from(OPS), number, number), min_size=2, max_size=7)


def drawn(program, timesteps, seed):
    model = Drawn(program, timesteps, seed)
    x = images((2, *SIZE), 6, seed)
    return warm(model, x, steps=1), x


@given(steps(), st.sampled_from([1, 1, 2]), st.integers(0, 50))
@LAWS
def test_drawn_wirings_are_the_same_in_training_runner_and_onnx(program, timesteps, seed):
    pytest.importorskip("onnxruntime")
    model, x = drawn(program, timesteps, seed)
    spec = to_spec(model)
    report = check_parity(spec, x, model=model, backends=("onnx",))
    assert report.count == 0 and set(report.layers) >= {p.name for _, p in spec.populations}


# -- particular networks -------------------------------------------------------------
class DenseNet(torch.nn.Module):
    """Every layer reads all before it; a pool over the whole, and a dense layer behind a cat."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.input = block.Input((2, 6, 6), 15, 15.0)
        self.grow = torch.nn.ModuleList(
            block.Conv(P, 2 + 3 * k, 3, 3, padding=1, input_size=6) for k in range(3)
        )
        self.deep = block.Conv(P, 11, 11, 3, padding=1, groups=11, input_size=6)
        self.pool = block.Pool({**P, "v0": "round"}, (22, 6, 6), 2, payload_max=15)
        self.hidden = block.Dense(P, 22 * 9, 8)
        self.score = block.Output(16, 4)

    def forward(self, x):
        x = self.input(x.unsqueeze(-1) if x.dim() == 4 else x)
        for layer in self.grow:
            x = torch.cat([x, layer(x)], 1)
        x = self.pool(torch.cat([x, self.deep(x)], 1))
        x = self.hidden(torch.flatten(x, 1, -2))
        return self.score(torch.cat([x, x], 1))


@pytest.fixture(scope="module")
def densenet():
    x = images((2, 6, 6), 8)
    return warm(DenseNet(), x), x


@pytest.mark.lava
@pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10")
def test_a_dense_network_is_the_same_in_its_file_and_in_lava(densenet, tmp_path):
    model, x = densenet
    export_model(model, tmp_path / "dense.net")
    spec = read(tmp_path / "dense.net")
    counts = {p.name: len(p.synapses) for _, p in spec.populations}
    assert counts == {
        **{f"grow.{k}": k + 1 for k in range(3)},
        **{"deep": 4, "pool": 5, "hidden": 1, "score": 2},
    }
    report = check_parity(spec, x, model=model, lava_samples=2)
    assert report.count == 0 and {"lava", "lava, one process"} <= set(report.samples)


def test_the_integers_are_those_of_the_whole_synapse(densenet):
    model, _ = densenet
    spec = to_spec(model)
    for _, layer in spec.populations:
        if layer.name not in ("grow.2", "score"):
            continue
        population = model.get_submodule(layer.name).population
        (weight,), (exponent,) = population.integers().weights, population.integers().exponents
        parts = [s.weight for s in layer.synapses]
        assert np.array_equal(np.concatenate(parts, 1), weight.numpy())
        assert {s.weight_exp for s in layer.synapses} == {exponent}


def test_a_start_as_relus_scales_joined_sources_alike():
    x = torch.from_numpy(images((2, 6, 6), 24))
    model = DenseNet().train()
    with as_relu(model), torch.no_grad():
        for _ in range(60):
            model(x)
        model.eval()
        with precision(model, "float"):
            wanted = model(x)
            factors = convert(model, [x], 100)
            found = model(x)
    sources = {name: of for name, _, of in connections(model)}
    assert sources["grow.2"] == (("", "grow.0", "grow.1"),)
    # in units of the image, which stands beside them
    assert factors["grow.0"] == factors["grow.1"] == 1
    assert factors["hidden"] != 1.0
    assert torch.allclose(found, wanted, rtol=2e-2, atol=2e-2 * float(wanted.abs().max()))


class Half(torch.nn.Module):
    """A block of a user, who says its layers for one source."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.payload_max = shape, 4

    def forward(self, x):
        return torch.clip(torch.floor(x / 2), 0, 4)

    def layers(self, builder: Builder, name, source):
        c = np.ones(self.shape[0], int)
        neuron = MultiLevel(4, 2 * c, 0 * c)
        return builder.add(Population(name, self.shape, (Identity(source, c),), neuron))


class Wired(torch.nn.Module):
    """Blocks, and a forward that a test gives."""

    def __init__(self, forward):
        super().__init__()
        torch.manual_seed(0)
        self.i = block.Input((2, 4, 4), 15, 15.0)
        self.a = block.Conv(P, 2, 2, 3, padding=1, input_size=4)
        self.wide = block.Conv(P, 4, 2, 3, padding=1, input_size=4)
        self.stream = block.Stream((2, 4, 4), 2)
        self.end = block.StreamEnd(P, (4, 4, 4))
        self.halved = Half((4, 4, 4))
        self.flat = block.Flatten((4, 4, 4))
        self.o, self.p = block.Output(64, 3), block.Output(6, 3)
        self.run = forward

    def forward(self, x):
        return self.run(self, x if x.dim() == 5 else x.unsqueeze(-1))


def pair(m, x):
    h = m.a(m.i(x))
    return torch.cat([h, m.a(h)], 1)


EXACT = {
    "a user's block gets a relay": lambda m, x: m.o(m.flat(m.halved(pair(m, x)))),
    "a block that flattens": lambda m, x: m.o(m.flat(pair(m, x))),
    "membranes of one unit": lambda m, x: m.o(
        m.flat(m.end(torch.cat([m.stream(m.i(x)), m.stream(m.a(m.i(x)))], 1)))
    ),
    "parts of a sum": lambda m, x: m.o(m.flat((pair(m, x) + pair(m, x).flip(1)).roll(1, 1))),
    "stacked and flat": lambda m, x: m.o(torch.stack([m.a(m.i(x)), m.i(x)], 2).flatten(1, -2)),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_else_is_exact(name):
    x = images((2, 4, 4), 6)
    model = warm(Wired(EXACT[name]), x, steps=1)
    spec = to_spec(model)
    assert check_parity(spec, x, model=model).count == 0
    assert ("cat" in {p.name for _, p in spec.populations}) == (
        name == "a user's block gets a relay"
    )
    again = IntegerRunner(spec, kind="reference")
    assert np.array_equal(
        again.run(np.ones((1, 2, 4, 4), int)).output,
        IntegerRunner(spec).run(np.ones((1, 2, 4, 4), int)).output,
    )


def test_layers_keep_their_names_beside_those_of_sums():
    def forward(m, x):
        h = m.i(x)
        h = m.add(h + h)
        return m.join(torch.cat([h, m.cat(torch.cat([h, h], 1))], 1))

    model = Wired(forward)
    for name, channels in (("add", 2), ("cat", 4), ("join", 4)):
        setattr(model, name, block.Conv(P, channels, 2, 1, input_size=4, norm=False))
    found = [layer.name for layer in to_spec(model.eval(), 1).layers]
    assert found == ["i", "add2", "add", "cat", "join"]


REFUSED = {
    "along the height": (
        lambda m, x: m.wide(torch.cat([pair(m, x)[:, :, :2], pair(m, x)[:, :, 2:]], 2)),
        r"layer 'wide': Conv .*not along channels",
    ),
    "rows of two": (
        lambda m, x: m.wide(torch.cat([pair(m, x)[:, :2, :2], m.i(x)[:, :, :2]], 1)),
        r"layer 'wide': Conv .*",
    ),
    "samples": (lambda m, x: m.wide(torch.cat([x, m.i(x)], 1)), "samples and the payloads"),
    "scores": (lambda m, x: m.p(torch.cat([m.o(m.flat(pair(m, x)))] * 2, 1)), "scores of block"),
    "two units": (
        lambda m, x: m.o(m.flat(m.end(torch.cat([m.stream(m.i(x)), m.i(x)], 1)))),
        "spikes and membranes joined",
    ),
    "the result": (lambda m, x: pair(m, x), "the result of forward must be what one block"),
    "a user's block of membranes": (
        lambda m, x: m.halved(torch.cat([m.stream(m.i(x))] * 2, 1)),
        "gets joined membranes",
    ),
    "two places": (
        lambda m, x: m.wide(torch.cat([m.wide(torch.cat([x, m.i(x)], 1)), x], 1)),
        r"samples and the payloads",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_joined_is_refused_by_name(name):
    forward, says = REFUSED[name]
    with pytest.raises(UnsupportedLayerError, match=says):
        to_spec(Wired(forward).eval(), 1)
