"""block.MaxPool is torch's max pooling of payloads, in training and wherever it is exported to."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from small_models import images, warm

from lava_mlsnn import IntegerRunner, check_parity, encode
from lava_mlsnn.errors import ConfigError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.slayer import block, precision
from lava_mlsnn.training.ann_start import as_relu
from netx_export import export_model, latency, lava_available, read
from netx_export.spec import Conv

torch.set_num_threads(1)
P = {"levels": 5}


@st.composite
def windows(draw, most=8):
    """(C, H, W) and what torch's max pooling takes: kernel, stride, padding, dilation, ceil."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel = pair(1, 5)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    shape = (draw(st.integers(1, 3)), *pair(1, most))
    return shape, (kernel, pair(1, 3), padding, pair(1, 2), draw(st.booleans()))


def pooled(shape, window, seed, top=5):
    """Payloads, what torch makes of them, and our block for them; none where torch has no pixel."""
    x = torch.randint(0, top + 1, (2, *shape), generator=torch.Generator().manual_seed(seed))
    try:
        wanted = F.max_pool2d(x.float(), *window)
    except RuntimeError:  # the window does not fit
        wanted = torch.tensor(torch.inf)
    if torch.isinf(wanted).any():
        with pytest.raises(ConfigError):
            block.MaxPool(shape, *window, payload_max=top)
        assume(False)
    return x.float()[..., None], wanted[..., None], block.MaxPool(shape, *window, payload_max=top)


RESNET = ((2, 8, 7), ((3, 3), (2, 2), (1, 1), (1, 1), False))


@given(windows(), st.integers(0, 99))
@example(RESNET, 0)
@example(((1, 7, 7), ((3, 3), (2, 2), (0, 0), (1, 1), True)), 1)  # SqueezeNet
@example(((1, 8, 8), ((8, 8), (1, 1), (0, 0), (1, 1), False)), 2)  # of the whole image
@settings(deadline=None, max_examples=40)
def test_it_is_max_pooling_in_training_and_in_eval(drawn, seed):
    x, wanted, made = pooled(*drawn, seed)
    assert made.shape == tuple(wanted.shape[1:-1])
    assert torch.equal(made.train()(x), wanted)
    assert torch.equal(made.eval()(x), wanted)
    with precision(made, "float"):
        assert torch.equal(made(x), wanted)
        with as_relu(made):  # activations, of any size
            assert torch.allclose(made(3.3 * x), 3.3 * wanted)


@given(windows(6), st.integers(0, 99))
@example(RESNET, 3)
@settings(deadline=None, max_examples=12)
def test_it_is_max_pooling_in_the_runner_and_in_onnx(drawn, seed):
    x, wanted, made = pooled(*drawn, seed)
    spec = to_spec(torch.nn.Sequential(block.Input(drawn[0], 5), made).eval())
    assert all(isinstance(s, Conv) for _, p in spec.populations for s in p.synapses)
    found = IntegerRunner(spec).run(x.long().numpy()[..., 0]).output
    assert np.array_equal(found, wanted.numpy())
    pytest.importorskip("onnxruntime")
    assert check_parity(spec, x.numpy()[..., 0], backends=("onnx",)).count == 0


@given(st.integers(1, 3), st.integers(0, 99))
@settings(deadline=None, max_examples=10)
def test_the_gradient_goes_to_a_maximum(k, seed):
    x, wanted, made = pooled((2, 6, 6), (k,), seed)
    for mode in (True, False):
        x = x.detach().requires_grad_()
        made.train(mode)(x).sum().backward()
        where = F.interpolate(wanted[..., 0], scale_factor=k)[..., None]
        assert not x.grad[x != where].any()
        assert torch.equal(
            F.avg_pool2d(x.grad[..., 0], k, divisor_override=1), (wanted >= 0)[..., 0]
        )
        x.grad = None


def network(*window, shape=(2, 7, 6), levels=5):
    pool = block.MaxPool((3, *shape[1:]), *window, payload_max=levels)
    after = block.Conv(P, 3, 2, 3, padding=1, input_size=pool.shape[1:])
    model = torch.nn.Sequential(
        block.Input(shape, 15, 15.0),
        block.Conv(P, shape[0], 3, 3, padding=1, input_size=shape[1:]),
        pool,
        after,
        block.Flatten(after.shape),
        block.Output(int(np.prod(after.shape)), 4),
    )
    return warm(model, images(shape, 6)[..., None])


@pytest.mark.lava
@pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10")
def test_a_trained_network_is_the_same_everywhere(tmp_path):
    window = (3, 2, 1)
    model = network(*window)
    export_model(model, tmp_path / "max.net")
    spec = read(tmp_path / "max.net")
    x = images((2, 7, 6), 5, seed=3)[..., None]
    report = check_parity(spec, x, model=model, lava_samples=2, backends=("onnx",))
    assert report.count == 0 and {"training", "lava", "lava, one process", "onnx"} <= set(
        report.samples
    )
    layers = IntegerRunner(spec).trace(encode(spec, x)).layers
    before, after = (torch.from_numpy(layers[n][..., 0]).float() for n in ("1", "2.max"))
    assert torch.equal(F.max_pool2d(before, *window), after) and after.any()


@pytest.mark.parametrize(
    ("window", "populations", "neurons", "operations"),
    [((2,), 3, 1, 2.75), ((3, 2, 1), 5, 1.75, 7), ((3, 1, 1), 5, 5, 23), ((64,), 13, 1, 4)],
)
def test_its_price(window, populations, neurons, operations):
    """What docs/networks.md says, per pixel; a border has less."""
    made = block.MaxPool((1, 64, 64), *window, payload_max=5)
    spec = to_spec(torch.nn.Sequential(block.Input((1, 64, 64), 5), made).eval())
    assert len(spec.populations) == latency(spec) == populations
    has = [(p, spec.layers[s.source].shape, s) for _, p in spec.populations for s in p.synapses]
    found = sum(int(s.fan_out(shape, nonzero=True).sum()) for _, shape, s in has)
    assert found / 64**2 == pytest.approx(operations, rel=0.03)
    count = sum(np.prod(p.shape) for _, p in spec.populations)
    assert count / 64**2 == pytest.approx(neurons, rel=0.01)


def test_alone_it_is_written_as_other_blocks(tmp_path):
    made = block.MaxPool((2, 6, 6), 2, payload_max=5).eval()
    with h5py.File(tmp_path / "max.net", "w") as file:
        block.Input((2, 6, 6), 5).export_hdf5(file.create_group("layer/0"))
        made.export_hdf5(file.create_group("layer/1"), timesteps=1)
        with pytest.raises(UnsupportedLayerError, match="T = 1 alone, got T = 2"):
            made.export_hdf5(file.create_group("layer/2"), timesteps=2)
        del file["layer/2"]
    x = np.random.default_rng(0).integers(0, 6, (3, 2, 6, 6))
    found = IntegerRunner(read(tmp_path / "max.net")).run(x).output[..., 0]
    assert np.array_equal(found, F.max_pool2d(torch.from_numpy(x).float(), 2))


def test_more_timesteps_are_refused():
    made = block.MaxPool((2, 4, 4), 2, payload_max=5)
    for mode in (True, False):
        with pytest.raises(ConfigError, match=r"block.MaxPool is exact at T = 1 alone, got T = 2"):
            made.train(mode)(torch.zeros(1, 2, 4, 4, 2))
    model = torch.nn.Sequential(block.Input((2, 4, 4), 5), made).eval()
    with pytest.raises(UnsupportedLayerError) as refused:
        to_spec(model, 2)
    assert str(refused.value) == (
        "layer '1': MaxPool is exact at T = 1 alone, got T = 2; use block.Pool"
    )


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (block.Input((2, 4, 4), 6), "payloads in 0..5 .*gets 0..6"),
        (block.Input((2, 4, 4), 5, signed=True), "gets -5..5"),
    ],
)
def test_payloads_that_it_is_not_built_for_are_refused(source, says):
    made = block.MaxPool((2, 4, 4), 2, payload_max=5)
    with pytest.raises(UnsupportedLayerError, match=rf"layer '1': MaxPool .*{says}"):
        to_spec(torch.nn.Sequential(source, made).eval(), 1)
    for value in (-1.0, 6.0):
        x = torch.zeros(1, 2, 4, 4, 1)
        x[0, 1, 2, 3] = value
        with pytest.raises(ConfigError, match=r"payloads in 0\.\.5 \(payload_max\), got"):
            made.eval()(x)


def test_membranes_are_refused():
    model = torch.nn.Sequential(
        block.Input((2, 4, 4), 5),
        block.Stream((2, 4, 4), 2),
        block.MaxPool((2, 4, 4), 2, payload_max=5),
    )
    with pytest.raises(UnsupportedLayerError, match="layer '2': MaxPool gets membranes"):
        to_spec(model.eval(), 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((2, 4, 4), 5), "does not fit"),
        (((2, 4, 4), 2, 1, 2), "padding must be at most half"),
        (((1, 1, 4), 2, 1, 1, 2), "padding must be"),  # both pixels in the padding
        (((4,), 2), r"\(C, H, W\)"),
        (((2, 4, 4), 2, 0), "stride"),
    ],
)
def test_windows_that_cannot_be_are_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        block.MaxPool(*arguments, payload_max=5)
    with pytest.raises(ConfigError, match="payload_max"):
        block.MaxPool((2, 4, 4), 2, payload_max=0)
