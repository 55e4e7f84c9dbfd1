"""What a float network has and no population computes: all places, each with its line."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F

from lava_mlsnn import convert
from lava_mlsnn.errors import ConfigError, DataError, UnsupportedLayerError

torch.set_num_threads(1)
X = torch.rand(4, 2, 6, 6)


class Own(torch.nn.Module):
    def __init__(self, run=None, **layers):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.fc = torch.nn.Linear(4 * 6 * 6, 3)
        self.dense = torch.nn.ModuleDict(
            {str(n): torch.nn.Linear(n, 3) for n in (6, 4 * 4 * 4, 2 * 4 * 6 * 6)}
        )
        self.even = torch.nn.Conv2d(2, 4, 2, padding="same")
        self.signal = torch.nn.Conv1d(2, 2, 1)  # two samples as channels, where the image is gone
        self.point = torch.nn.Conv2d(4, 4, 1)
        self.batch = torch.nn.BatchNorm2d(4, track_running_stats=False)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


class Many(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")
        self.norm = torch.nn.GroupNorm(2, 4)
        self.act = torch.nn.GELU()
        self.up = torch.nn.ConvTranspose2d(2, 4, 3, padding=1)
        self.fc = torch.nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        a = self.conv(x)
        b = self.norm(self.up(x))
        c = self.act(self.up(x))
        d = F.relu(self.up(x)) * 2
        return torch.softmax(self.fc(torch.flatten(a + b + c + d, 1)), 1)


def line(function, text):
    source, first = inspect.getsourcelines(function)
    return first + next(k for k, code in enumerate(source) if text in code)


def test_every_place_is_named_with_layer_line_and_remedy():
    with pytest.raises(UnsupportedLayerError) as caught:
        convert(Many(), X)
    message = str(caught.value)
    for what, text, remedy in (
        ("layer 'conv': Conv2d", "self.conv(x)", "padding_mode='zeros'"),
        ("layer 'up': ConvTranspose2d", "b = self", "use a convolution"),
        ("layer 'up': ConvTranspose2d", "c = self", "use a convolution"),
        ("layer 'up': ConvTranspose2d", "d = F", "use a convolution"),
        # behind what is refused, too
        ("layer 'norm': GroupNorm", "b = self", "train with BatchNorm"),
        ("layer 'act': GELU", "c = self", "train with ReLU"),
        ("mul()", "d = F", "factors into a layer"),
        ("softmax()", "return", "leave it out"),
    ):
        assert f"{what} ({__file__}:{line(Many.forward, text)})" in message
        assert remedy in message
    assert "8 places" in message and "\n" not in message


def flat(self, x):
    return self.fc(torch.flatten(F.relu(self.conv(x)), 1))


def image(self, x):
    return F.relu(self.conv(x))


REFUSED = {
    "a mean over channels": (lambda s, x: s.fc(flat2(s, x.mean(1, keepdim=True) + x)), "averages"),
    "a factor": (lambda s, x: s.fc(flat2(s, x * 2)), "factors"),
    "a constant": (lambda s, x: s.fc(flat2(s, x + 1)), "constant"),
    "a part": (lambda s, x: s.fc(flat2(s, x.chunk(2, 0)[0])), "part of a payload"),
    "a look at values": (lambda s, x: s.fc(flat2(s, x)) * x.max().item(), "no counterpart"),
    "dropout in eval": (lambda s, x: flat(s, F.dropout(x)), "drops at random"),
    "softmax": (lambda s, x: flat(s, x).softmax(1), "no rank of the scores"),
    "a leaky ReLU": (lambda s, x: s.fc(F.leaky_relu(s.conv(x)).flatten(1)), "ReLU6"),
    "a clip below 0": (lambda s, x: s.fc(s.conv(x).clamp(-1, 1).flatten(1)), "clips to -1..1"),
    "a max of what is negative": (
        lambda s, x: s.fc(F.max_pool2d(s.conv(x), 3, 1, 1).flatten(1)),
        "put a ReLU behind",
    ),
    "two results": (lambda s, x: (flat(s, x), x), "one tensor of scores"),
    "an image as result": (lambda s, x: s.conv(x), "one tensor of scores"),
    "a ceil that counts": (
        lambda s, x: s.fc(
            F.pad(F.avg_pool2d(s.conv(x), 4, ceil_mode=True), (0, 4, 0, 4)).flatten(1)
        ),
        "ceil_mode",
    ),
    "a sum of what may be negative": (
        lambda s, x: s.fc((F.max_pool2d(s.conv(x), 3, 1, 1) + s.conv(x)).flatten(1)),
        "put a ReLU behind the max pooling",
    ),
    "neurons behind a resampling": (
        lambda s, x: s.dense["64"](F.relu(F.adaptive_avg_pool2d(image(s, x), 4)).flatten(1)),
        "only a Linear can follow",
    ),
    "a convolution behind a resampling": (
        lambda s, x: s.dense["64"](s.point(F.adaptive_avg_pool2d(image(s, x), 4)).flatten(1)),
        "only a Linear can follow",
    ),
    "padding of one side": (lambda s, x: s.fc(s.even(x).flatten(1)), "of an even kernel"),
    "a convolution behind flatten": (lambda s, x: s.fc(s.signal(flat2(s, x))), "has no image"),
    "an average behind flatten": (
        lambda s, x: s.fc(F.avg_pool1d(flat2(s, x), 3, 1, 1)),
        "has no image",
    ),
    "an average of features": (lambda s, x: F.avg_pool1d(s.fc(flat2(s, x)), 2), "has no image"),
    "a maximum behind flatten": (lambda s, x: s.fc(F.max_pool1d(flat2(s, x), 1)), "has no image"),
    "a Linear over columns": (
        lambda s, x: s.dense["6"](image(s, x)),
        r"takes (N, F), got (N, 4, 6, 6)",
    ),
    "a BatchNorm of the batch": (
        lambda s, x: s.fc(s.batch(s.conv(x)).flatten(1)),
        "looks at the batch",
    ),
    "a clip to nothing": (lambda s, x: s.fc(s.conv(x).clamp(0, 0).flatten(1)), "leaves nothing"),
    "a sum of two shapes": (
        lambda s, x: s.fc((s.conv(x) + F.adaptive_avg_pool2d(image(s, x), 1)).flatten(1)),
        "both must have one shape",
    ),
    "another order": (
        lambda s, x: s.fc(image(s, x).reshape(-1, 9, 4, 4).flatten(1)),
        "only a flatten",
    ),
    "rows side by side": (
        lambda s, x: s.fc(
            F.avg_pool2d(torch.cat([image(s, x), image(s, x)], 2), (2, 1)).flatten(1)
        ),
        "joins along axis 2",
    ),
    "a joined constant": (
        lambda s, x: s.dense["288"](torch.cat([image(s, x), torch.ones(2, 4, 6, 6)], 1).flatten(1)),
        "joins a payload and a constant",
    ),
    "an average of another divisor": (
        lambda s, x: s.fc(F.avg_pool2d(image(s, x), 3, 1, 1, divisor_override=4).flatten(1)),
        "leave divisor_override out",
    ),
    "an average of what is inside": (
        lambda s, x: s.fc(F.avg_pool2d(image(s, x), 3, 1, 1, count_include_pad=False).flatten(1)),
        "count_include_pad=True",
    ),
    "a branch on values": (lambda s, x: flat(s, x if x.sum() > 0 else x + x), "torch.fx"),
}


def flat2(self, x):
    return torch.flatten(F.relu(self.conv(x)), 1)


@pytest.mark.parametrize("name", REFUSED)
def test_each_kind_is_refused_in_one_sentence(name):
    run, words = REFUSED[name]
    with pytest.raises(UnsupportedLayerError) as caught:
        convert(Own(run), X)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert f"{__file__}:" in str(caught.value) or "result of forward" in str(caught.value)


def test_max_pooling_over_time_is_refused():
    def run(self, x):
        return self.fc(F.max_pool2d(F.relu(self.conv(x)), 3, 1, 1).flatten(1))

    assert convert(Own(run), X, timesteps=1)
    with pytest.raises(UnsupportedLayerError, match="timesteps=1"):
        convert(Own(run), X, timesteps=2)


def test_a_hook_that_changes_a_result_is_found_by_the_numbers():
    module = Own(flat)
    module.conv.register_forward_hook(lambda m, i, y: y * 1.5)
    with pytest.raises(UnsupportedLayerError, match="something else than its parameters say"):
        convert(module, X)


def test_a_change_in_place_that_others_read_is_followed_or_refused():
    def followed(self, x):
        y = self.conv(x)
        F.relu_(y)
        return self.fc(y.flatten(1))

    def refused(self, x):
        y = self.conv(x)
        z = y.flatten(1)
        F.relu_(y)
        return self.fc(z)

    module = Own(followed)
    network = convert(module, X, levels=500, input_levels=1000)
    assert torch.allclose(network(X), module(X), atol=0.02)
    with pytest.raises(UnsupportedLayerError, match="in place"):
        convert(Own(refused), X)


@pytest.mark.parametrize(
    "data, error, words",
    [
        (torch.rand(1, 2, 6, 6), DataError, "at least two samples"),
        (torch.full((4, 2, 6, 6), torch.nan), DataError, "finite"),
        (torch.rand(4, 3, 6, 6), DataError, "cannot compute samples"),
        (torch.rand(4), DataError, r"\(N, C, L\) or \(N, F\), got shape"),
        (5, DataError, "samples or batches"),
        (["a"], DataError, "tensors or arrays"),
    ],
)
def test_calibration_that_cannot_work(data, error, words):
    with pytest.raises(error, match=words):
        convert(Own(flat), data)


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 0},
        {"timesteps": 0},
        {"threshold": "best"},
        {"percentile": 0},
        {"bias_correction": 3},
        {"input_levels": 1.5},
    ],
)
def test_options_out_of_their_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        convert(Own(flat), X, **options)


def test_the_module_stays_as_it_was():
    module = Own(flat, norm=torch.nn.BatchNorm2d(4)).train()
    module.norm.eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    dice = torch.get_rng_state()
    convert(module, X)
    assert torch.equal(dice, torch.get_rng_state())
    assert module.training and module.conv.training and not module.norm.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_what_is_no_module_is_refused():
    with pytest.raises(UnsupportedLayerError, match=r"takes a torch\.nn\.Module, got f"):
        convert(flat, X)


def test_samples_of_another_shape_are_refused_behind_the_conversion():
    network = convert(Own(flat), X)
    for x in (torch.rand(4, 3, 6, 6), torch.rand(4, 72)):
        with pytest.raises(ConfigError, match=r"\(N, 2, 6, 6"):
            network(x)


def test_padding_by_a_name_is_followed():
    layers = {name: torch.nn.Conv2d(2, 4, 3, padding=name) for name in ("valid", "same")}
    module = Own(
        lambda s, x: (
            s.dense["64"](F.relu(s.valid(x)).flatten(1)) + s.fc(F.relu(s.same(x)).flatten(1))
        ),
        **layers,
    )
    network = convert(module, X, levels=500, input_levels=1000)
    assert torch.allclose(network(X), module(X), atol=0.03)
