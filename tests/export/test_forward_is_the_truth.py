"""What ``forward`` computes is what is exported, or it is refused with every place."""

from __future__ import annotations

import copy
import inspect
import re
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import images, small_model

from lava_mlsnn import IntegerRunner, check_parity, encode
from lava_mlsnn.activity import measure
from lava_mlsnn.export import connections, to_spec, trace
from lava_mlsnn.models import MultiLevelNetwork
from lava_mlsnn.slayer import block
from netx_export import export_model, lava_available, read
from netx_export.errors import ParityError, UnsupportedLayerError

torch.set_num_threads(1)
P = {"levels": 4}
SHAPE = (2, 4, 4)
LAWS = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))


def calibrated(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Statistics as after a training, without one."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(1.0, 9.0, generator=generator)
            module.num_batches_tracked.fill_(1)
    return model.eval()


class Own(torch.nn.Module):
    """Blocks, and a forward that a test gives."""

    def __init__(self, forward, timesteps=2, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.i = block.Input(SHAPE, levels=15, gain=15.0)
        self.a = block.Conv(P, 2, 2, 3, padding=1, input_size=4)
        self.b = block.Conv(P, 2, 2, 3, padding=1, input_size=4)
        self.c = block.Residual(P, SHAPE, 2, payload_max=4)
        self.wide = block.Conv(P, 4, 2, 3, padding=1, input_size=4)
        self.flat = block.Flatten(SHAPE)
        self.d = block.Dense(P, 32, 8)
        self.e = block.Dense(P, 8, 8)
        self.o = block.Output(8, 5)
        self.s = block.Output(2, 5)
        self.relu, self.tanh = torch.nn.ReLU(), torch.nn.Tanh()
        self.drop = torch.nn.Dropout(0.5)
        self.temperature = torch.nn.Parameter(torch.tensor(4.0))
        self.register_buffer("calls", torch.zeros(()))
        self.timesteps, self.run, self.history = timesteps, forward, []
        calibrated(self, seed)

    def head(self, h):
        return self.o(self.d(self.flat(h)))

    def forward(self, x):
        return self.run(self, x)


def samples(timesteps=None, n=6):
    x = images(SHAPE, n, seed=1)
    return (
        x
        if timesteps is None
        else np.stack([x * (t + 1) / timesteps for t in range(timesteps)], -1)
    )


def wrong(model, spec, x):
    """Scores of ``model(x)`` that are not what the runner computes."""
    with torch.no_grad():
        y = model(torch.from_numpy(x))
    ours = IntegerRunner(spec).run(encode(spec, x)).output
    y = (y[0] if isinstance(y, tuple) else y).double().numpy() * spec.output.scale[0]
    ours = ours if y.ndim == ours.ndim else ours[..., -1]
    return int((np.abs(y - ours) > 0.5).sum())


def line(function, text):
    """``file.py:line`` of the line with ``text`` in a function."""
    lines, start = inspect.getsourcelines(function)
    (k,) = [k for k, content in enumerate(lines) if text in content]
    return f"{inspect.getsourcefile(function)}:{start + k}"


# -- what is exact -----------------------------------------------------------------
def row(m, x):
    return m.head(m.b(m.a(m.i(x))))


def other_order(m, x):
    return m.head(m.a(m.c(m.b(m.i(x)))))


def left_out(m, x):
    return m.head(m.a(m.i(x)))


def twice(m, x):
    return m.head(m.c(m.c(m.b(m.b(m.a(m.i(x)))))))


def skip(m, x):
    h = m.a(m.i(x))
    return m.head(h + m.b(h))


def skips(m, x):
    z = m.i(x)
    h = m.a(z)
    h += z
    g = torch.add(h, m.b(h))
    return m.head(sum([g, m.c(g), z]))


def flat_skip(m, x):
    h = m.d(torch.flatten(m.a(m.i(x)), 1, -2))
    return m.o(h.add(m.e(h)))


def own_flatten(m, x):
    h = m.a(m.i(x))
    n, *_, timesteps = h.shape
    return m.o(m.d(h.permute(0, 1, 2, 3, 4).reshape(n, -1, timesteps)))


def off(m, x):
    h = m.drop(F.dropout(m.a(m.i(x)), 0.5, m.training))
    return m.head(torch.nn.Identity()(h).contiguous().to(torch.float64).float() * 1.0)


def channels_apart_and_joined(m, x):
    return m.head(torch.cat(m.a(m.i(x)).chunk(2, 1), 1))


def checkpointed(m, x):
    return m.head(torch.utils.checkpoint.checkpoint(m.b, m.a(m.i(x)), use_reentrant=False))


def dead_and_counted(m, x):
    h = m.a(m.i(x))
    m.calls += 1
    m.seen = h
    m.history.append(h)
    m.b(m.b(h))
    return m.head(m.b(h)), (h != 0).float().mean()


def by_shape(m, x):
    if x.dim() == 4:
        x = x.unsqueeze(-1).expand(*x.shape, m.timesteps)
    elif x.dim() != 5:
        raise ValueError(f"got {x.shape}")
    return m.head(m.a(m.i(x)))


def concatenation(m, x):
    return m.head(m.wide(torch.cat([m.a(m.i(x)), m.b(m.i(x))], 1)))


def half_the_channels(m, x):
    return m.head(torch.cat([m.a(m.i(x))[:, :1]] * 2, 1))


def no_change(m, x):
    h = m.relu(F.relu(m.a(m.i(x))))
    F.relu_(h)
    h = torch.nn.ReLU6(inplace=True)(h).clamp(0).clamp(max=4).clip(-1, None).abs()
    return m.head(F.hardtanh(F.relu6(m.b(h)), 0.0, 4.0, inplace=True))


def pooled_over_the_image(m, x):
    h = m.a(m.i(x))
    return m.s(
        h.sum((2, 3)) + h.sum(dim=-3, keepdim=True).sum(-2).squeeze(2) + m.b(h).sum((-3, -2))
    )


def functions(m, x):
    return m.head(m.b.population(m.a.forward(m.i(x))))


EXACT = [
    *(row, other_order, left_out, twice, skip, skips, flat_skip, own_flatten, off),
    *(channels_apart_and_joined, checkpointed, dead_and_counted, by_shape, functions),
    *(concatenation, half_the_channels, no_change, pooled_over_the_image),
]


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("forward", EXACT, ids=lambda f: f.__name__)
def test_the_exported_network_computes_the_forward(forward, timesteps):
    model = Own(forward, timesteps)
    spec = to_spec(model)
    x = samples(timesteps)
    assert wrong(model, spec, x) == 0
    report = check_parity(spec, x, model=model)
    assert report.count == 0 and set(report.layers) >= {"i", "a", spec.output.name}
    if forward in (skip, skips, dead_and_counted):  # activity of model and runner
        assert measure(spec, x, model=model, backend="model") == measure(spec, x)


@pytest.mark.lava
@pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10")
def test_reuse_and_sums_are_the_same_in_lava_and_in_the_file(tmp_path):
    model = Own(lambda m, x: m.head(m.b(m.b(m.a(m.i(x)))) + m.i(x)))
    export_model(model, tmp_path / "own.net")
    spec = read(tmp_path / "own.net")
    assert [p.name for _, p in spec.populations] == ["a", "b", "b_use2", "add", "d", "o"]
    report = check_parity(spec, samples(2, 2), model=model, lava_samples=2)
    assert report.count == 0 and set(report.samples) == {"training", "lava", "lava, one process"}


def static(m, x):
    return x.unsqueeze(-1).expand(*x.shape, m.timesteps)


ENDS = {
    "last step": lambda m, x: row(m, x)[..., -1],
    "select": lambda m, x: row(m, x).select(-1, m.timesteps - 1),
    "mean of T": lambda m, x: row(m, x)[:, :, -1] / x.shape[-1],
    "in place": lambda m, x: row(m, x).div_(m.timesteps),
    "temperature": lambda m, x: 3 * row(m, x) / m.temperature,
    "expand": lambda m, x: row(m, static(m, x)),
    "repeat": lambda m, x: row(m, x[..., None].repeat(1, 1, 1, 1, m.timesteps)),
    "stack": lambda m, x: row(m, torch.stack([x] * m.timesteps, -1)),
    "list": lambda m, x: [row(m, x), None],
}


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("name", ENDS)
def test_time_axis_before_and_last_step_and_factor_behind(name, timesteps):
    model = Own(ENDS[name], timesteps)
    spec = to_spec(model)
    alone = name in ("expand", "repeat", "stack")
    assert check_parity(spec, samples(None if alone else timesteps), model=model).count == 0
    if not alone and timesteps > 1:
        assert check_parity(spec, samples(), model=model).count == 0


# -- what is refused ---------------------------------------------------------------
REFUSED = {
    "add a constant": (lambda m, x: m.head(m.a(m.i(x)) + 1), r"add\(\) .* no payload"),
    "add twice the other": (
        lambda m, x: m.head(torch.add(m.a(m.i(x)), m.b(m.i(x)), alpha=2)),
        r"add\(\)",
    ),
    "add one sample": (lambda m, x: m.head(m.a(m.i(x)) + m.b(m.i(x))[:1]), r"add\(\)"),
    "add scores": (lambda m, x: row(m, x) + left_out(m, x), r"add\(\)"),
    "scale": (lambda m, x: m.head(m.b(m.a(m.i(x)) * 0.5)), r"mul\(\) .*weight_scale"),
    "scale with a parameter": (lambda m, x: m.head(m.a(m.i(x)) / m.temperature), r"div\(\)"),
    "scale and back": (lambda m, x: m.head(m.a(m.i(x)) / 3 * 3), r"div\(\) .*mul\(\)"),
    "relu of scores": (lambda m, x: F.relu(row(m, x)), r"relu\(\) .*multi-level"),
    "relu of scores in place": (
        lambda m, x: (lambda y: (F.relu(y, inplace=True), y)[1])(row(m, x)),
        r"relu\(\)",
    ),
    "cut below the largest": (lambda m, x: m.head(m.a(m.i(x)).clamp(0, 3)), r"clamp\(\) .*range"),
    "cut above 0": (lambda m, x: m.head(F.hardtanh(m.a(m.i(x)), 0.5, 9)), r"hardtanh\(\)"),
    "mean over the image": (
        lambda m, x: m.s(m.a(m.i(x)).mean((2, 3))),
        r"mean\(\) .*sum\(\) over H and W",
    ),
    "sum over channels": (lambda m, x: m.head(m.a(m.i(x)).sum(1, keepdim=True)), r"sum\(\)"),
    "a view in place": (
        lambda m, x: (lambda h: (h[:, 0].zero_(), m.head(h))[1])(m.a(m.i(x))),
        r"zero\(\)",
    ),
    "an element": (
        lambda m, x: (lambda h: (h.__setitem__((0, 0), 1.0), m.head(h))[1])(m.a(m.i(x))),
        r"setitem\(\)",
    ),
    "out": (
        lambda m, x: (lambda h: (torch.add(h, h, out=h), m.head(h))[1])(m.a(m.i(x))),
        r"add\(\)",
    ),
    "data": (
        lambda m, x: (lambda h: (setattr(h, "data", h.data * 0), m.head(h))[1])(m.a(m.i(x))),
        "the forward|set",
    ),
    "a constant beside": (
        lambda m, x: m.head(torch.cat([m.a(m.i(x))[:, :1], torch.ones(2, 1, 4, 4, 2)], 1)),
        r"cat\(\) .*no payload",
    ),
    "samples mixed": (lambda m, x: m.head(m.a(m.i(x)).flip(0)), "another order"),
    "time mixed": (lambda m, x: m.head(m.a(m.i(x)).roll(1, -1)), "another order"),
    "transposed": (lambda m, x: m.head(m.a(m.i(x)).transpose(2, 3)), "another order"),
    "step by step": (
        lambda m, x: m.head(torch.cat([m.b(z[..., None]) for z in m.a(m.i(x)).unbind(-1)], -1)),
        "part of a payload",
    ),
    "dropout that is on": (lambda m, x: m.head(F.dropout(m.a(m.i(x)))), r"dropout\(\) .*training"),
    "half precision": (lambda m, x: m.head(m.a(m.i(x)).half().float()), r"half\(\)"),
    "before the input": (lambda m, x: row(m, x / 255), r"div\(\) .*gain"),
    "normalised": (lambda m, x: row(m, x - x.mean()), r"mean\(\) .*sub\(\)"),
    "flipped before": (lambda m, x: row(m, x.flip(2)), r"layer 'i': Input .*prepare"),
    "no input": (lambda m, x: m.head(m.a(x)), r"layer 'a': Conv .*put a block.Input"),
    "input in the middle": (lambda m, x: m.head(m.i(m.a(m.i(x)))), "must come first"),
    "scores into a block": (lambda m, x: m.o(F.pad(row(m, x), (0, 0, 0, 3))), r"pad\(\)"),
    "another shape": (lambda m, x: m.o(m.e(m.flat(m.a(m.i(x))))), r"layer 'e'.*\(8,\).*\(32,\)"),
    "a condition on values": (
        lambda m, x: row(m, x) if x.max() > 0.5 else left_out(m, x),
        r"bool\(\) .*reads values",
    ),
    "a value": (lambda m, x: row(m, x) / float(x.max()), "reads values"),
    "numpy": (lambda m, x: row(m, torch.from_numpy(x.numpy())), "reads values"),
    "static samples alike": (
        lambda m, x: row(m, x) if x.dim() == 5 else left_out(m, static(m, x)),
        "static samples",
    ),
    "neuron alone": (lambda m, x: m.head(m.b.neuron(m.a(m.i(x)))), "call its block"),
    "mean over T": (lambda m, x: row(m, x).mean(-1), r"mean\(\)"),
    "first step": (lambda m, x: row(m, x)[..., 0], "the result of forward is part"),
    "some classes": (lambda m, x: row(m, x)[:, :3], "the result of forward is scores .* in part"),
    "negative": (lambda m, x: row(m, x) * -1, r"mul\(\)"),
    "softmax": (lambda m, x: row(m, x).softmax(1), r"softmax\(\) .*outside"),
    "two outputs": (lambda m, x: (row(m, x), m.e(m.d(m.flat(m.i(x))))), "second output"),
    "dict": (lambda m, x: {"scores": row(m, x)}, "must be a tensor"),
    "constant": (lambda m, x: torch.zeros(2, 5), "must be a tensor"),
    "the input": (lambda m, x: m.i(x), "block with neurons"),
    "an error": (
        lambda m, x: row(m, x) @ torch.ones(9, 7),
        "the forward .*cannot be followed: RuntimeError",
    ),
    "in place behind a view": (
        lambda m, x: (lambda h: m.o(m.d(m.flat(h).add_(m.flat(m.b(h))))) if h.dim() else h)(
            m.a(m.i(x))
        ),
        r"add\(\) .*in place",
    ),
    "a function of Python": (
        lambda m, x: m.head(m.a(m.i(x)).apply_(lambda z: z + 1)),
        r"apply\(\)",
    ),
    "weights": (
        lambda m, x: (m.a.synapse.weight.data.clamp_(-0.1, 0.1), left_out(m, x))[1],
        r"changes a\.population\.synapses\.0\.weight",
    ),
    "statistics": (
        lambda m, x: (m.a.synapse.norm.running_mean.zero_(), left_out(m, x))[1],
        r"changes a\..*running_mean",
    ),
    "other weights": (
        lambda m, x: m.head(
            torch.func.functional_call(
                m.a, {k: 2 * v for k, v in m.a.named_parameters()}, (m.i(x),)
            )
        ),
        r"layer 'a': Conv .*other parameters",
    ),
    "depth at random": (
        lambda m, x: row(m, x) if torch.rand(()) > 0.5 else left_out(m, x),
        "random numbers",
    ),
    "blocks in a list": (
        lambda m, x: m.head([block.Conv(P, 2, 2, 1, input_size=4).eval()][0](m.i(x))),
        r"the forward .*no submodule",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_network_can_follow_is_refused(name):
    forward, message = REFUSED[name]
    model = Own(forward)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(UnsupportedLayerError, match=message) as refused:
        to_spec(model)
    assert "\n" not in str(refused.value)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_scores_are_the_end():
    model = torch.nn.Sequential(
        block.Input((4,), 15, 15.0), block.Output(4, 4), block.Output(4, 3)
    ).eval()
    with pytest.raises(UnsupportedLayerError, match=r"layer '2': Output .*scores"):
        to_spec(model)


def many(m, x):
    h = m.a(m.i(x * 2))
    h = m.b(F.gelu(h) * 3)
    h = m.tanh(m.c(h))
    return F.softmax(m.head(h), 1)


def test_every_place_is_named_with_its_line():
    with pytest.raises(UnsupportedLayerError) as refused:
        to_spec(Own(many))
    text = str(refused.value)
    assert "5 places" in text
    for what, code in {
        "mul()": "x * 2",
        "gelu()": "F.gelu",
        "layer 'tanh': Tanh": "m.tanh(",
        "softmax()": "softmax",
    }.items():
        assert f"{what} ({line(many, code)})" in text


def test_foreign_models_say_what_to_use_instead():
    cnn = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Tanh(), torch.nn.Flatten()
    )
    with pytest.raises(UnsupportedLayerError, match=r"no block .*lava_mlsnn.convert"):
        to_spec(cnn)
    row_ = [block.Input((4,)), block.Output(4, 2)]
    with pytest.raises(UnsupportedLayerError, match="ModuleList has none"):
        to_spec(torch.nn.ModuleList(row_))
    with pytest.raises(UnsupportedLayerError, match="scripted"):
        to_spec(torch.jit.script(torch.nn.ReLU()))
    with pytest.raises(UnsupportedLayerError, match=r"got int"):
        to_spec(3)
    needs_two = torch.nn.Sequential(*row_, torch.nn.Bilinear(2, 2, 1))
    with pytest.raises(UnsupportedLayerError, match="layer '2': Bilinear"):
        to_spec(needs_two)


# -- models of many kinds ----------------------------------------------------------
class Halved(block.Dense):
    def forward(self, x):
        return super().forward(x) * 0.5


class Skipping(block.Residual):
    def forward(self, x):
        return super().forward(x) + x


class Twice(MultiLevelNetwork):
    def forward(self, x):
        x = x if x.dim() == 5 else x.unsqueeze(-1).expand(*x.shape, self.timesteps)
        for name, child in self.blocks.named_children():
            x = child(x)
            if name == "stem":
                x = x + self.blocks.stage1_block1(x)
        return x[..., -1]


class Copied(block.Block):
    """A user's block that says itself what it is."""

    def __init__(self):
        super().__init__()
        self.inner = block.Dense(P, 8, 8)
        self.shape, self.payload_max = (8,), 4

    def forward(self, x):
        return self.inner(torch.cos(0 * x) * x)

    def layers(self, builder, name, source):
        return builder.population(f"{name}.own", self.inner.population, source)


def sequential(*middle):
    return calibrated(
        torch.nn.Sequential(
            OrderedDict(
                input=block.Input((8,), levels=4, gain=4.0),
                **{f"m{k}": m for k, m in enumerate(middle)},
                output=block.Output(8, 3),
            )
        )
    )


def test_a_block_of_a_later_class_is_its_own_forward():
    with pytest.raises(UnsupportedLayerError, match=r"mul\(\) .*test_forward_is_the_truth.py"):
        to_spec(sequential(Halved(P, 8, 8)))
    model = Own(lambda m, x: m.head(m.c(m.a(m.i(x)))))
    model.c = calibrated(Skipping(P, SHAPE, 2, payload_max=4))
    spec = to_spec(model)
    assert [p.name for _, p in spec.populations][1:4] == ["c.conv1", "c.conv2", "c.add"]
    assert check_parity(spec, samples(2), model=model).count == 0


def test_a_network_of_a_later_class_is_its_own_forward():
    model = small_model(timesteps=2)
    plain = to_spec(model)
    model.__class__ = Twice
    spec = to_spec(model)
    assert {p.name for _, p in spec.populations} - {p.name for _, p in plain.populations} == {
        "add",
        "stage1_block1.conv1_use2",
        "stage1_block1.conv2_use2",
    }
    assert check_parity(spec, images((1, 6, 5)), model=model).count == 0


def test_a_users_block_is_asked_for_its_layers():
    model = sequential(Copied(), torch.nn.Sequential(torch.nn.Dropout(), block.Dense(P, 8, 8)))
    spec = to_spec(model, 1)
    assert [layer.name for layer in spec.layers] == ["input", "m0.own", "m1.1", "output"]
    assert check_parity(spec, images((8,)), model=model).count == 0


def test_wrapped_and_changed_models_are_what_they_compute():
    model = Own(skip, 1)
    names = [layer.name for layer in to_spec(model).layers]
    x = samples(1)
    averaged = torch.optim.swa_utils.AveragedModel(model).eval()
    for wrapped in (torch.nn.DataParallel(model), averaged, copy.deepcopy(model)):
        spec = to_spec(wrapped)
        assert [layer.name for layer in spec.layers] == names
        assert check_parity(spec, x, model=wrapped).count == 0
    row_ = sequential(block.Dense(P, 8, 8), block.Dense(P, 8, 8))
    row_[1] = torch.nn.Identity()
    assert [layer.name for layer in to_spec(row_, 1).layers] == ["input", "m1", "output"]
    tied = sequential(block.Dense(P, 8, 8), block.Dense(P, 8, 8))
    tied[2] = tied[1]
    spec = to_spec(tied, 1)
    assert [layer.name for layer in spec.layers] == ["input", "m0", "m0_use2", "output"]
    assert check_parity(spec, images((8,)), model=tied).count == 0
    model.a.register_forward_hook(lambda m, i, y: y * 2)
    with pytest.raises(UnsupportedLayerError, match=r"mul\(\)"):
        to_spec(model)


def test_a_forward_that_sets_a_block_to_training_is_refused():
    class Trains(torch.nn.Module):
        def __init__(self, part):
            super().__init__()
            self.blocks = torch.nn.Sequential(
                block.Input((3,), 4),
                block.Dense({"levels": 4}, 3, 2, norm=False),
                block.Output(2, 2),
            )
            self.part = part

        def forward(self, x):
            self.blocks[self.part].train(self.part > 0)
            return self.blocks(x)

    to_spec(Trains(0), 1)
    for part in (1, 2):
        with pytest.raises(UnsupportedLayerError, match=rf"blocks.{part}'.*set to training"):
            to_spec(Trains(part).eval(), 1)


def test_rates_beside_the_payload():
    class Rated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = sequential(block.Dense(P, 8, 8, count_log=True))

        def forward(self, x):
            rates = []
            for layer in self.blocks:
                x = layer(x)
                if isinstance(x, tuple):
                    x, rate = x
                    rates.append(rate)
            return x, torch.stack(rates).mean()

    model = Rated().eval()
    spec = to_spec(model, 1)
    assert [layer.name for layer in spec.layers] == ["input", "m0", "output"]
    assert check_parity(spec, images((8,)), model=model).count == 0


def test_reading_a_forward_changes_nothing():
    model = Own(dead_and_counted).train()
    model.drop.eval()  # as somebody froze it
    state = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    attributes = [dict(vars(m)) for m in model.modules()]
    random = torch.get_rng_state()
    with torch.inference_mode():
        to_spec(model)
    trace(model, 2)
    connections(model)
    with pytest.raises(UnsupportedLayerError):
        model.run = many
        to_spec(model)
    model.run = dead_and_counted
    assert [m.training for m in model.modules()] == modes
    assert [set(vars(m)) for m in model.modules()] == [set(a) for a in attributes]
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random) and model.calls == 0
    assert not hasattr(model, "seen") and not model.history
    assert all(p.grad is None for p in model.parameters())


# -- parity ------------------------------------------------------------------------
class Lying(block.Output):
    """Says of itself what it does not compute: only the scores themselves tell."""

    def forward(self, x):
        return super().forward(x).roll(1, 1)

    def layers(self, builder, name, source):
        return super().layers(builder, name, source)


@pytest.mark.parametrize("ending", [lambda y: y, lambda y: y[..., -1] / 2])
def test_parity_compares_what_the_model_returns(ending):
    model = Own(lambda m, x: ending(row(m, x)))
    x = samples(2)
    assert check_parity(to_spec(model), x, model=model).count == 0
    model.o.__class__ = Lying
    report = check_parity(to_spec(model), x, model=model)
    assert [d.side for d in report.differences] == ["model(x)"]
    first = report.first
    assert first.layer == "o" and first.count > 0 and "model(x) differs" in str(first)
    with pytest.raises(ParityError, match="model"):
        report.raise_if_different()


@pytest.mark.parametrize("change", ["skip", "order", "weight"])
def test_a_model_that_changed_after_export_differs(change):
    model = Own(lambda m, x: m.head(m.b(m.a(m.i(x)))))
    spec = to_spec(model)
    x = samples(2)
    assert check_parity(spec, x, model=model).count == 0
    if change == "weight":
        model.b.synapse.weight.data.mul_(-1)
    elif change == "order":
        model.run = lambda m, x: m.head(m.a(m.b(m.i(x))))
    else:
        model.run = lambda m, x: m.head(m.b(m.i(x)) + m.a(m.i(x)))
        with pytest.raises(ParityError, match="add"):
            check_parity(spec, x, model=model)
        return
    assert check_parity(spec, x, model=model).count > 0


# -- drawn wirings -----------------------------------------------------------------
EXACT_OPS = ("block", "block", "block", "add", "iadd", "sum", "drop", "move")
WRONG_OPS = ("scale", "relu", "const", "perm", "part", "mul_")


class Drawn(torch.nn.Module):
    """A program over values 0.. (0: the input's payload); each step appends one."""

    def __init__(self, program, timesteps, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.input = block.Input((6,), levels=7, gain=7.0, signed=bool(seed % 2))
        params = {"levels": 1 + seed % 4, "v0": ("floor", "round")[seed % 2]}
        self.net = torch.nn.Sequential(*(block.Dense(params, 6, 6) for _ in range(3)))
        self.output = block.Output(6, 3)
        self.program, self.timesteps = program, timesteps
        calibrated(self, seed)

    def forward(self, x):
        static = x.dim() == 2
        x = x.unsqueeze(-1).expand(-1, -1, self.timesteps) if static else x
        values = [self.input(x)]
        for op, k, a, b in self.program:
            left, right = values[a % len(values)], values[b % len(values)]
            values.append(self.step(op, k, left, right))
        return self.output(values[-1])[..., -1] / self.timesteps

    def step(self, op, k, left, right):
        match op:
            case "block":
                return self.net[k](left)
            case "add":
                return left + right
            case "iadd":
                fresh = self.net[k](left)
                fresh += right
                return fresh
            case "sum":
                return sum([left, right, self.net[k](right)])
            case "drop":
                return F.dropout(left, 0.3, self.training)
            case "move":
                return left.movedim(-1, 0).flip(1).flip(1).movedim(0, -1).clone()
            case "scale":
                return left * 2.0
            case "relu":
                return F.relu(left - 1)
            case "const":
                return left + torch.ones(left.shape)
            case "perm":
                return left.flip(1)
            case "part":
                return torch.cat([left[:, :3], right[:, :3]], 1)
            case _:
                return self.net[k](left).mul_(3)


def steps(ops):
    number = st.integers(0, 7)
    return st.lists(
        st.tuples(st.sampled_from(ops), st.integers(0, 2), number, number), min_size=1, max_size=8
    )


def same_or_refused(program, timesteps, seed):
    model = Drawn(program, timesteps, seed)
    try:
        spec = to_spec(model)
    except UnsupportedLayerError:
        return False
    x = np.random.default_rng(seed).uniform(-1, 1, (4, 6)).astype(np.float32)
    with torch.no_grad():
        scores = model(torch.from_numpy(x)).double().numpy() * timesteps * spec.output.scale[0]
    ours = IntegerRunner(spec).run(encode(spec, x)).output[..., -1]
    assert np.abs(scores - ours).max() < 0.5
    assert check_parity(spec, x, model=model).count == 0
    return True


@given(steps(EXACT_OPS), st.sampled_from([1, 2, 3]), st.integers(0, 50))
@LAWS
def test_drawn_wirings_of_blocks_and_sums_are_exported(program, timesteps, seed):
    assert same_or_refused(program, timesteps, seed)


@given(steps(EXACT_OPS + WRONG_OPS), st.sampled_from([1, 2]), st.integers(0, 50))
@LAWS
def test_drawn_forwards_are_exported_or_refused(program, timesteps, seed):
    same_or_refused(program, timesteps, seed)


def test_places_are_this_files():
    """The refusals above point here, not into the project."""
    for forward, _ in REFUSED.values():
        with pytest.raises(UnsupportedLayerError) as refused:
            to_spec(Own(forward))
        for place in re.findall(r"\(([^()]*\.py):\d+\)", str(refused.value)):
            assert place == __file__


@pytest.mark.parametrize("more", [{}, {"weight_norm": True}])
def test_blocks_that_have_not_run_say_so_and_not_something_else(more):
    model = torch.nn.Sequential(
        block.Input((2, 4, 4), 15),
        block.Conv(P, 2, 2, 1, **more),
        block.Flatten(),
        block.Output(32, 3),
    ).eval()
    with pytest.raises(UnsupportedLayerError, match=r"layer .1.: Conv has no shape yet.*first"):
        to_spec(model, timesteps=1)


def test_without_an_input_nothing_inside_of_blocks_is_blamed():
    conv = block.Conv(P, 2, 2, 1, input_size=4, weight_norm=True)
    with pytest.raises(UnsupportedLayerError) as caught:
        to_spec(torch.nn.Sequential(conv), timesteps=1)
    assert "must begin with a block.Input" in str(caught.value)
    assert "places" not in str(caught.value)
    with pytest.raises(UnsupportedLayerError, match=r"lava_mlsnn\.convert"):
        to_spec(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()), timesteps=1)
