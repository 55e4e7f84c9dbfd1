"""A transposed convolution is torch's, everywhere: sums, bounds, connections, forms, files."""

from __future__ import annotations

import collections
import itertools
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import assert_same

import netx_export
from lava_mlsnn.activity import measure
from lava_mlsnn.energy import Design, ann_energy, snn_energy, structure
from lava_mlsnn.energy.twin import Twin
from lava_mlsnn.engine.sums import SUMS
from lava_mlsnn.errors import FormatError, UnsupportedLayerError
from lava_mlsnn.loihi2.fit.demand import demand_of
from lava_mlsnn.loihi2.fit.limits import limits_for
from lava_mlsnn.loihi2.fit.preflight import preflight
from netx_export import Conv, ConvTranspose, Input, MultiLevel, NetworkSpec, Population, Readout
from netx_export.spec.intervals import with_zero
from netx_export.spec.limits import MAX_NEURONS

law = settings(max_examples=60, deadline=None)


@st.composite
def transposed(draw, large=False):
    """A synapse and the shape that it reads; ``large``: every tap is met in the middle."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups = draw(st.integers(1, 3))
    c_in, c_out = groups * draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, padding, dilation = pair(1, 4), pair(1, 3), pair(0, 3), pair(1, 3)
    ends = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    extra = (draw(st.integers(0, ends[0])), draw(st.integers(0, ends[1])))
    size = pair(12, 14) if large else pair(1, 6)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    weight = rng.integers(-128, 128, (c_in, c_out, *kernel)) * (rng.random((c_in, 1, 1, 1)) < 0.8)
    weight[..., :1, :1] *= rng.integers(0, 2)
    synapse = ConvTranspose(
        0, weight, draw(st.integers(-2, 2)), stride, padding, dilation, groups, extra
    )
    assume(min(synapse.geometry.output_size(size)) >= 1)
    return synapse, (c_in, *size)


def by_torch(synapse, x):
    """torch's own, in float64."""
    return torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x).double(),
        torch.from_numpy(synapse.weight).double(),
        None,
        synapse.stride,
        synapse.padding,
        synapse.output_padding,
        synapse.groups,
        synapse.dilation,
    ).numpy()


def connections(synapse, shape):
    """(source c, y, x), (target c, y, x), weight of every connection, one by one."""
    outer = synapse.weight.shape[1]
    inner = synapse.weight.shape[0] // synapse.groups
    _, height, width = synapse.output_shape(shape)
    (sy, sx), (py, px), (dy, dx) = synapse.stride, synapse.padding, synapse.dilation
    for (c, o, i, j), y, x in itertools.product(
        np.ndindex(*synapse.weight.shape), range(shape[1]), range(shape[2])
    ):
        v, u = y * sy - py + i * dy, x * sx - px + j * dx
        if 0 <= v < height and 0 <= u < width:
            yield (c, y, x), (c // inner * outer + o, v, u), synapse.weight[c, o, i, j]


@law
@given(transposed(), st.sampled_from([1, 15, 1 << 22]))
def test_the_sums_are_those_of_torch_and_of_every_connection(drawn, top):
    synapse, shape = drawn
    x = np.random.default_rng(0).integers(-top, top + 1, (2, *shape))
    found = synapse.products(x)
    np.testing.assert_array_equal(found, by_torch(synapse, x))
    assert found.dtype == np.int64 and found.shape[1:] == synapse.output_shape(shape)
    single = np.zeros(found.shape[1:], np.int64)
    for source, target, weight in connections(synapse, shape):
        single[target] += int(weight) * x[0][source]
    np.testing.assert_array_equal(found[0], single)


@law
@given(transposed())
def test_the_connections_are_those_that_counting_finds(drawn):
    synapse, shape = drawn
    every, stored = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    met = np.zeros(synapse.output_shape(shape), np.int64)
    for source, target, weight in connections(synapse, shape):
        every[source] += 1
        stored[source] += weight != 0
        met[target] += 1
    assert np.array_equal(synapse.fan_out(shape), every)
    assert np.array_equal(synapse.fan_out(shape, nonzero=True), stored)
    form = synapse.geometry
    assert every.max() <= form.most_reached(met.shape[1:])
    assert met.max() <= form.fan_in <= form.weights


@law
@given(transposed(large=True), st.integers(0, 99))
def test_the_bounds_hold_and_a_large_map_attains_them(drawn, seed):
    synapse, shape = drawn
    rng = np.random.default_rng(seed)
    low = rng.integers(-9, 5, shape[0])
    high = low + rng.integers(0, 9, shape[0])
    bottom, top = synapse.product_bounds((low, high))
    ends = with_zero((low, high))
    target = synapse.output_shape(shape)
    least, most = np.zeros(target, np.int64), np.zeros(target, np.int64)
    for (c, _, _), place, weight in connections(synapse, shape):
        values = int(weight) * ends[0][c], int(weight) * ends[1][c]
        least[place] += min(values)
        most[place] += max(values)
    flat = target[0], -1
    assert np.array_equal(bottom, least.reshape(flat).min(1))
    assert np.array_equal(top, most.reshape(flat).max(1))


@law
@given(transposed(), st.sampled_from([1, 15, 1 << 14]), st.booleans())
def test_the_fast_form_gives_the_integers_of_the_slow_one(drawn, top, byte):
    synapse, shape = drawn
    top = min(top, 255) if byte else top
    x = np.random.default_rng(1).integers(0 if byte else -top, top + 1, (3, *shape))
    sums, products = synapse.sum(x), synapse.products(x)
    bounds = synapse.product_bounds((np.full(shape[0], -top), np.full(shape[0], top)))
    bound = max(int(np.abs(bounds).max()) << max(synapse.weight_exp, 0), 1)
    assume(bound < 1 << 40)
    kind = torch.float32 if bound < 1 << 23 else torch.float64
    add = SUMS[ConvTranspose](synapse, shape, byte, bound, kind, True)
    fast = torch.zeros(sums.shape, dtype=kind)
    add(torch.from_numpy(x.astype(np.uint8) if byte else x.astype(np.float64)), fast)
    assert np.abs(products).max() <= bound
    np.testing.assert_array_equal(fast.numpy(), sums)


def test_the_bounds_of_a_large_kernel_cost_no_loop_over_its_taps():
    """A kernel of a million weights that no two of which meet."""
    weight = np.ones((1, 1, 1000, 1000), int)
    weight[0, 0, 3, 7] = -5
    synapse = ConvTranspose(0, weight, 0, (1000, 1000))
    began = time.perf_counter()
    bottom, top = synapse.product_bounds((np.array([-2]), np.array([3])))
    assert (bottom.tolist(), top.tolist()) == ([-15], [10])
    assert time.perf_counter() - began < 5


def network(synapse, shape, timesteps=1, top=3):
    """The synapse, neurons, the same way down again, and a readout of maps."""
    middle = synapse.output_shape(shape)
    back = ConvTranspose(1, np.ones((middle[0], 1, 1, 1), int))
    vth = np.full(1, 1 + int(np.abs(synapse.weight).sum() / 4))
    return NetworkSpec(
        (
            Input(shape, top),
            Population("up", middle, (synapse,), MultiLevel(3, vth, vth // 2)),
            Population("out", (1, *middle[1:]), (back,), Readout()),
        ),
        timesteps,
    )


@law
@given(transposed(), st.sampled_from([1, 2]))
def test_a_file_brings_it_back_and_says_version_2(drawn, timesteps):
    spec = network(*drawn, timesteps)
    with tempfile.TemporaryDirectory() as folder:
        path = netx_export.write(spec, Path(folder) / "a.net")
        assert_same(netx_export.read(path), spec)
        with h5py.File(path) as file:
            assert file.attrs["format_version"] == 2
            assert file["layer/1/type"][0] == b"convT"


def test_a_file_without_it_says_version_1(tmp_path):
    spec = NetworkSpec(
        (
            Input((1, 2, 2)),
            Population("out", (1, 2, 2), (Conv(0, np.ones((1, 1, 1, 1), int)),), Readout()),
        )
    )
    with h5py.File(netx_export.write(spec, tmp_path / "a.net")) as file:
        assert file.attrs["format_version"] == 1


def plain_network():
    return network(ConvTranspose(0, np.ones((2, 3, 2, 2), int), stride=(2, 2)), (2, 3, 3))


def test_an_older_program_asks_for_a_newer_one(tmp_path, monkeypatch):
    path = netx_export.write(plain_network(), tmp_path / "a.net")
    monkeypatch.setattr("netx_export.file.schema.FORMAT_VERSION", 1)
    with pytest.raises(FormatError, match=r"version 2.*up to 1; install a newer lava-mlsnn"):
        netx_export.read(path)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_a_file_that_says_too_low_a_version_is_refused(tmp_path):
    path = netx_export.write(plain_network(), tmp_path / "a.net")
    edit(path, lambda file: file.attrs.modify("format_version", 1))
    with pytest.raises(FormatError, match=r"format_version.*it is 1.*only version 2"):
        netx_export.read(path)


def drop(name):
    return lambda file: file["layer/1"].__delitem__(name)


def put(name, value):
    def change(file):
        del file["layer/1"][name]
        file["layer/1"][name] = np.asarray(value, np.int64)

    return change


WRONG = {
    "no output padding": (drop("outputPadding"), "outputPadding"),
    "output padding beyond the stride": (put("outputPadding", (2, 2)), r"gives shape|below"),
    "another stride": (put("stride", (3, 3)), "gives shape"),
    "channels exchanged": (put("inChannels", 3), "inChannels.*is 3, but the layers say 2"),
    "a conv's weight": (put("weight", np.ones((3, 2, 2, 2))), r"weight.*shape \(2, 3, 2, 2\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_of_a_file_is_named(case, tmp_path):
    change, words = WRONG[case]
    path = edit(netx_export.write(plain_network(), tmp_path / "a.net"), change)
    with pytest.raises(FormatError, match=words):
        netx_export.read(path)


BAD = {
    "groups must divide the 2 input": lambda: ConvTranspose(
        0, np.ones((2, 1, 1, 1), int), groups=3
    ),
    "output_padding must be below": lambda: ConvTranspose(
        0, np.ones((1, 1, 2, 2), int), stride=(2, 1), output_padding=(1, 1)
    ),
    "output_padding must be two": lambda: ConvTranspose(
        0, np.ones((1, 1, 2, 2), int), output_padding=1
    ),
    "leaves nothing": lambda: ConvTranspose(
        0, np.ones((1, 1, 1, 1), int), padding=(1, 1)
    ).output_shape((1, 2, 2)),
    r"needs a source of shape \(C, H, W\)": lambda: ConvTranspose(
        0, np.ones((1, 1, 1, 1), int)
    ).output_shape((4,)),
    "expects 1 input channels, but its source has 2": lambda: ConvTranspose(
        0, np.ones((1, 1, 1, 1), int)
    ).output_shape((2, 4, 4)),
    "makes an input of": lambda: ConvTranspose(
        0, np.ones((8, 1, 1, 1), int), stride=(MAX_NEURONS // 4, 1)
    ).check_padding((8, 2, 1)),
}  # fmt: skip


@pytest.mark.parametrize("words", BAD)
def test_what_cannot_be_is_refused(words):
    with pytest.raises(FormatError, match=words):
        BAD[words]()


@settings(max_examples=20, deadline=None)
@given(transposed(), st.sampled_from([1, 2]))
def test_activity_energy_and_the_chip_s_demand_count_its_connections(drawn, timesteps):
    synapse, shape = drawn
    spec = network(synapse, shape, timesteps)
    x = np.random.default_rng(0).integers(0, 4, (2, *shape))
    found = measure(spec, x).layers[1].synapses[0]
    every = list(connections(synapse, shape))
    assert found.connections == len(every)
    events = [x[:, c, v, u] for (c, v, u), _, _ in every]
    stored = [e for e, (_, _, weight) in zip(events, every, strict=True) if weight]
    assert found.operations.events * 2 == np.count_nonzero(events) * timesteps
    assert found.operations.payload * 2 == np.sum(events) * timesteps
    assert found.effective_operations * 2 == np.count_nonzero(stored) * timesteps
    link = structure(spec).nodes[0].links[0]
    assert link.connections == len(every) and link.weights == synapse.weight.size
    assert demand_of(spec)[0].stored == synapse.weight.size
    row = {r.name: r for r in preflight(spec, limits_for("loihi2")).layers}["up"]
    met = collections.Counter(target for _, target, _ in every)
    assert row.fan_in >= max(met.values(), default=0)


def test_the_original_energy_count_refuses_it():
    spec = plain_network()
    activity = measure(spec, np.ones((1, 2, 3, 3), int))
    assert snn_energy(spec, activity).total > 0
    for count in (
        lambda d: snn_energy(spec, activity, design=d),
        lambda d: ann_energy(spec, design=d),
    ):
        with pytest.raises(UnsupportedLayerError, match=r"no transposed convolution.*'up'"):
            count(Design(as_published=True))


def test_stock_lava_and_the_chip_say_that_they_have_none():
    spec = plain_network()
    assert any("no convT synapse" in reason for reason in netx_export.stock_reasons(spec))
    found = preflight(spec, limits_for("loihi2")).findings
    assert [f.check for f in found] == ["synapse", "synapse"]
    assert "type convT" in str(found[0])
    with pytest.raises(UnsupportedLayerError, match="torch twin has no ConvTranspose"):
        Twin(spec)
