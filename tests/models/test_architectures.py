"""The model zoo: what is built, how deep, and that every option exports exactly."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import assert_same_integers, images, small_model

from lava_mlsnn.errors import CalibrationError, ConfigError
from lava_mlsnn.export import to_spec
from lava_mlsnn.models import ARCHITECTURES, ModelConfig, build_model
from lava_mlsnn.models.config import RESNETS
from lava_mlsnn.models.start import identity_shortcuts
from lava_mlsnn.population.synapses import ConvSynapse, DenseSynapse
from netx_export.spec import Conv
from netx_export.spec.timing import latency

# convolutions on the longest path (He et al. count the dense layer too), without shortcuts
DEPTH = {
    "sparse-resnet-small": 7,
    "sparse-resnet-8": 7,
    "sparse-resnet-fast": 7,
    "sparse-resnet-20": 19,
    "sparse-resnet-18": 17,
    "sparse-resnet-34": 33,
    "vgg-11": 8,
    "vgg-16": 13,
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_architectures_have_their_depth_and_width(arch):
    size = (32, 32) if arch != "sparse-resnet-small" else (8, 8)
    model = build_model(ModelConfig(arch=arch, input_shape=(3, *size), width=4))
    convs = [m for m in model.modules() if isinstance(m, ConvSynapse)]
    threes = [m for m in convs if m.kernel_size == (3, 3)]
    assert len(threes) == DEPTH[arch]
    assert threes[0].weight.shape[:2] == (4, 3)
    if "resnet" in arch:
        body = RESNETS[arch]
        projections = 0 if body.short else len(body.repeats) - 1  # where the shape changes
        assert len(convs) - len(threes) == projections
        assert threes[-1].shape == (4 * body.factors[-1], *(n >> body.halvings for n in size))
        assert len(identity_shortcuts(model)) == model.config.identities
    else:
        assert threes[-1].weight.shape[0] == 32
        assert sum(isinstance(m, DenseSynapse) for m in model.modules()) == 2
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, *size)).shape == (1, 10)


@pytest.mark.parametrize("barrier", ["integrating", "respiking", "sew", "ms", "none"])
@pytest.mark.parametrize("arch", ["sparse-resnet-small", "sparse-resnet-20"])
def test_the_latency_is_the_number_of_layers_on_the_longest_path(arch, barrier):
    spec = to_spec(small_model(arch=arch, barrier=barrier, input_shape=(1, 8, 8), steps=1))
    extra = {"integrating": 0, "none": 0, "respiking": 1, "sew": 1, "ms": 1}[barrier]
    blocks = (DEPTH[arch] - 1) // 2
    ends = 3 + (barrier == "ms")  # stem, pool, output; the stream's end
    assert latency(spec) == ends + blocks * (2 + extra)


@pytest.mark.parametrize("timesteps", [1, 2])
@pytest.mark.parametrize("barrier", ["integrating", "respiking", "sew", "none"])
def test_the_fast_network_exports_exactly_and_pools_at_one_timestep(barrier, timesteps):
    shape = (2, 9, 16)
    options = {"arch": "sparse-resnet-fast", "barrier": barrier, "timesteps": timesteps}
    model = small_model(**options, input_shape=shape, width=2)
    spec = assert_same_integers(model, images(shape, 4))
    pools = [p for _, p in spec.populations if p.name.endswith("_pool.max")]
    assert len(pools) == (3 if timesteps == 1 else 0)
    extra = 3 * (barrier in ("respiking", "sew"))
    assert latency(spec) == 9 + extra + (9 if timesteps == 1 else 0)


def test_a_membrane_stream_is_not_pooled():
    with pytest.raises(ConfigError, match="sparse-resnet-fast pools spikes"):
        ModelConfig(arch="sparse-resnet-fast", barrier="ms")


@pytest.mark.parametrize("pool", ["avg", "stride"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 5)])
def test_vgg_pools_by_average_or_stride_and_exports_exactly(pool, shape):
    model = small_model(arch="vgg-11", pool=pool, input_shape=shape, width=1, timesteps=2)
    spec = assert_same_integers(model, images(shape, 4))
    pools = [p for _, p in spec.populations if p.name.startswith("pool")]
    strided = [
        s
        for _, p in spec.populations
        for s in p.synapses
        if isinstance(s, Conv) and s.stride == (2, 2) and not p.name.startswith("pool")
    ]
    halvings = int(math.log2(min(shape[1:])))
    assert len(pools) == (halvings if pool == "avg" else 0)
    assert bool(strided) == (pool == "stride")


@pytest.mark.parametrize(
    "options",
    [
        {"train_threshold": True},
        {"train_threshold": True, "barrier": "respiking", "v0": "round", "timesteps": 2},
        {"input_signed": True, "input_levels": 127},
        {"shortcut_neuron": True, "v0": "round"},
        {"threshold": 0.37, "timesteps": 2},
        {"barrier": "respiking", "barrier_threshold": 2.0},
        {"barrier": "respiking", "barrier_threshold": 1.5, "v0": "round"},
        {"weight_bits": 3},
        {"weight_bits": 2, "barrier": "ms"},
        {"arch": "vgg-11", "pool": "stride", "levels": 1, "stock": True},
        {"arch": "vgg-11", "pool": "avg", "threshold": 0.7, "v0": "round"},
        {"arch": "vgg-16", "train_threshold": True},
        {"arch": "sparse-resnet-18", "input_shape": (3, 9, 6), "width": 1},
        {"surrogate": "sigmoid", "input_shape": (4, 3, 8)},
    ],
    ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items()),
)
def test_every_option_exports_exactly(options):
    model = small_model(**options)
    shape = model.config.input_shape
    low = -1.0 if options.get("input_signed") else 0.0
    spec = assert_same_integers(model, images(shape, 4, 1, low))
    if options.get("stock"):
        from netx_export import stock_reasons

        assert stock_reasons(spec) == []


def test_a_model_that_saw_no_batch_is_not_exported_and_says_which_layer():
    with pytest.raises(CalibrationError, match=r"layer 'stem', synapse 0: BatchNorm"):
        to_spec(build_model(ModelConfig(width=2)))


def test_configurations_survive_a_round_trip_and_name_what_is_wrong():
    config = ModelConfig(arch="vgg-11", input_shape=(3, 9, 7), levels=15, v0="round")
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert ModelConfig.from_dict({"input_shape": [1, 4, 4]}).input_shape == (1, 4, 4)
    with pytest.raises(ConfigError, match="colour"):
        ModelConfig.from_dict({"colour": 1})
    for bad, says in (
        ({"arch": "alexnet"}, "alexnet"),
        ({"input_shape": (8, 8)}, r"\(C, H, W\)"),
        ({"pool": "max"}, "max"),
        ({"levels": 0}, "levels"),
        ({"timesteps": 0}, "timesteps"),
        ({"width": -1}, "width"),
        ({"width": 99999999}, "width must be .* at most 65536"),
        ({"width": 2.5}, "width"),
        ({"timesteps": 9999999}, "timesteps must be .* at most 4096"),
        ({"levels": 10**20}, "levels"),
        ({"classes": True}, "classes"),
        ({"input_shape": 5}, r"\(C, H, W\)"),
        ({"input_shape": (1, 8, "8")}, r"\(C, H, W\)"),
        ({"input_shape": (1, 8, 10**9)}, r"\(C, H, W\)"),
        ({"threshold": float("nan")}, "threshold"),
        ({"stock": "no"}, "stock must be True or False"),
        ({"barrier": "gate"}, "gate"),
        ({"v0": "half"}, "half"),
        ({"weight_bits": 9}, "weight_bits"),
        ({"threshold": -1.0}, "threshold"),
        ({"arch": "vgg-11", "barrier": "sew"}, "sew"),
    ):
        with pytest.raises(ConfigError, match=says):
            build_model(ModelConfig(**bad))


def test_a_static_image_is_shown_in_every_timestep():
    model = small_model(timesteps=3)
    x = torch.from_numpy(images((1, 6, 5), 4))
    timed = x[..., None].expand(*x.shape, 3).clone()
    assert torch.equal(model(x), model(timed))
    with pytest.raises(ConfigError, match=r"\(N, C, H, W\)"):
        model(x[0])
