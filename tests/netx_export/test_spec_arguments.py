"""Networks in memory: every field is checked, in one sentence, and stays as it was checked."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_same, network_specs

from lava_mlsnn.errors import ConfigError, DataError, FormatError, MLSNNError, RangeError
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.slayer import block
from netx_export import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    read,
    write,
)
from netx_export.spec import limits


def spec(**changes):
    weight = Dense(0, [[1, -2]], 0)
    return replace(NetworkSpec((Input((2,), 3), Population("o", (1,), (weight,), Readout()))),
                   **changes)  # fmt: skip


NOT_A_T = [
    0, -1, 1.5, 2.0, 65_537, 10**30, True, False, None, "2", [2], float("nan"), float("inf"),
    np.float64(3), np.bool_(True), np.int64(0), 2**70, b"2", 1j,
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_A_T, ids=repr)
def test_a_t_that_is_none_is_refused(value):
    with pytest.raises((FormatError, RangeError), match="timesteps must"):
        spec(timesteps=value)


@pytest.mark.parametrize("kind", [int, np.int8, np.uint16, np.int64])
def test_a_t_of_any_whole_type_is_an_int(kind, tmp_path):
    made = spec(timesteps=kind(7))
    assert type(made.timesteps) is int and made.timesteps == 7
    assert read(write(made, tmp_path / "a.net")).timesteps == 7


def test_what_can_be_written_can_be_read(tmp_path):
    made = spec(timesteps=limits.MAX_TIMESTEPS)
    assert read(write(made, tmp_path / "a.net")).timesteps == 1 << 16


def output(*synapses, name="o", shape=(1,), bias=None):
    return Population(name, shape, synapses, Readout(), bias)


WRONG = {
    "a shape with 0": lambda: Input((0,)),
    "a negative shape": lambda: Input((-3,)),
    "a fraction in a shape": lambda: Input((2.5,)),
    "text in a shape": lambda: Input(("a",)),
    "a dict as shape": lambda: Input({"threshold": 0.1}),
    "a number as shape": lambda: Input(3),
    "two sizes": lambda: Input((2, 3)),
    "too many neurons": lambda: Input((1 << 20, 1 << 20, 1)),
    "a size of 10**30": lambda: Input((10**30,)),
    "levels of 1.5": lambda: Input((2,), 1.5),
    "levels that are True": lambda: Input((2,), True),
    "levels beyond 24 bits": lambda: Input((2,), 1 << 23),
    "signed that is 1": lambda: Input((2,), 3, 1),
    "a gain of 0": lambda: Input((2,), gain=0),
    "a gain that is NaN": lambda: Input((2,), gain=float("nan")),
    "a gain that is infinite": lambda: Input((2,), gain=float("inf")),
    "a gain that is text": lambda: Input((2,), gain="1"),
    "a flatten of text": lambda: Flatten("0", (2,)),
    "a source that is a fraction": lambda: Dense(0.5, [[1]]),
    "ragged weights": lambda: Dense(0, [[1], [1, 2]]),
    "weights of text": lambda: Dense(0, [["a"]]),
    "weights that are None": lambda: Dense(0, None),
    "weights with a gradient": lambda: Dense(0, torch.ones(1, 1, requires_grad=True)),
    "weights without values": lambda: Dense(0, np.zeros((2, 0), int)),
    "weights beyond 32 bits": lambda: Dense(0, [[2**40]]),
    "weights that are NaN": lambda: Dense(0, [[np.nan]]),
    "an exponent of 0.5": lambda: Dense(0, [[1]], 0.5),
    "a stride of 1.5": lambda: Conv(0, np.ones((1, 1, 1, 1)), stride=(1.5, 1)),
    "a stride that is one number": lambda: Conv(0, np.ones((1, 1, 1, 1)), stride=2),
    "groups of 1.0": lambda: Conv(0, np.ones((1, 1, 1, 1)), groups=1.0),
    "levels of a neuron beyond 24 bits": lambda: MultiLevel(1 << 23, [1], [0]),
    "levels of a neuron that are a fraction": lambda: MultiLevel(2.5, [1], [0]),
    "a vth of text": lambda: MultiLevel(2, ["a"], [0]),
    "ragged thresholds": lambda: MultiLevel(2, [[1], 2], [0]),
    "message bits of 12": lambda: Readout(True, 12),
    "message bits of 8.0": lambda: Readout(True, 8.0),
    "integrate that is 2": lambda: Readout(2),
    "a scale of text": lambda: Population("o", (1,), (Dense(0, [[1]]),), Readout(), scale=["a"]),
    "a scale of another size": lambda: Population(
        "o", (2,), (Dense(0, [[1], [2]]),), Readout(), scale=np.ones(3)),
    "a bias that is ragged": lambda: Population(
        "o", (1,), (Dense(0, [[1]]),), Readout(), [[1], 2]),
    "layers that are None": lambda: NetworkSpec(None),
    "a layer that is none": lambda: NetworkSpec((Input((2,)), "dense")),
    "a name that is a number": lambda: NetworkSpec(
        (Input((1,)), Population(3, (1,), (Dense(0, [[1]]),), Readout()))),
    "weights that are fractions": lambda: Dense(0, [[0.5]]),
    "weights of mixed sign beyond 8 bits": lambda: write(
        NetworkSpec((Input((2,)), output(Dense(0, [[-257, 1]])))), "never.net"),
    "a threshold of 0": lambda: MultiLevel(2, [0], [0]),
    "a v0 of another size": lambda: MultiLevel(2, [1, 1], [0]),
    "a v0 beyond 24 bits": lambda: MultiLevel(2, [1], [2**23]),
    "groups that do not divide": lambda: Conv(0, np.ones((3, 1, 1, 1)), groups=2),
    "a bias beyond 24 bits": lambda: output(Dense(0, [[1]]), bias=[2**23]),
    "neurons without a synapse": lambda: Population("o", (1,), (), Readout()),
    "no layers": lambda: NetworkSpec(()),
    "a network without an input": lambda: NetworkSpec((output(Dense(0, [[1]])),)),
    "an input that nothing follows": lambda: NetworkSpec((Input((1,)),)),
    "two layers of one name": lambda: NetworkSpec(
        (Input((1,)), output(Dense(0, [[1]])), output(Dense(1, [[1]])))),
    "a second input": lambda: NetworkSpec(
        (Input((1,)), Input((1,), name="b"), output(Dense(0, [[1]]), Dense(1, [[1]])))),
    "a layer that nothing reads": lambda: NetworkSpec(
        (Input((1,)), output(Dense(0, [[1]]), name="a"), output(Dense(0, [[1]])))),
    "a flatten of another size": lambda: NetworkSpec(
        (Input((1, 2, 2)), Flatten(0, (3,)), output(Dense(1, np.ones((1, 3)))))),
    "a synapse that gives another shape": lambda: NetworkSpec(
        (Input((1,)), output(Dense(0, [[1], [1]])))),
    "a dense synapse of an image": lambda: NetworkSpec((Input((1, 2, 2)), output(Dense(0, [[1]])))),
    "a dense synapse of fewer inputs": lambda: NetworkSpec((Input((2,)), output(Dense(0, [[1]])))),
    "a convolution of a vector": lambda: NetworkSpec(
        (Input((2,)), output(Conv(0, np.ones((1, 2, 1, 1)))))),
    "a convolution of fewer channels": lambda: NetworkSpec(
        (Input((2, 1, 1)), output(Conv(0, np.ones((1, 1, 1, 1))), shape=(1, 1, 1)))),
    "a kernel larger than its image": lambda: NetworkSpec(
        (Input((1, 2, 2)), output(Conv(0, np.ones((1, 1, 3, 3))), shape=(1, 1, 1)))),
    "one-to-one of fewer channels": lambda: NetworkSpec(
        (Input((2,)), output(Identity(0, [1]), shape=(2,)))),
    "a shortcut that waits too long": lambda: NetworkSpec(
        (Input((1,)), *(output(Dense(k, [[1]]), name=f"p{k}") for k in range(64)),
         output(Dense(64, [[1]]), Dense(0, [[1]])))),
    "class names that are text": lambda: spec(class_names="a"),
    "class names that are numbers": lambda: spec(class_names=(1,)),
    "more class names than outputs": lambda: spec(class_names=("a", "b")),
    "a provenance that is a list": lambda: write(spec(provenance=[1]), "never.net"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_field_that_cannot_be_is_one_sentence(name):
    with pytest.raises(MLSNNError) as caught:
        WRONG[name]()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_all_layers_together_are_bounded():
    image = Input((1, 1 << 13, 1 << 13))
    rows = [image]
    for k in range(4):
        rows.append(Population(f"p{k}", image.shape, (Identity(k, [1]),), Readout(False)))
    with pytest.raises(RangeError, match="neurons at most"):
        NetworkSpec(tuple(rows))


@pytest.mark.parametrize(
    "limit, held", [("MAX_LAYERS", 2), ("MAX_ALL_NEURONS", 3), ("MAX_ALL_WEIGHTS", 2)]
)
def test_a_network_of_exactly_the_limit_is_one(limit, held, monkeypatch):
    monkeypatch.setattr(limits, limit, held)
    assert spec().timesteps == 1
    monkeypatch.setattr(limits, limit, held - 1)
    with pytest.raises(RangeError, match=rf"can have {held - 1} \w+ at most, got {held}"):
        spec()


@settings(max_examples=25, deadline=None)
@given(made=network_specs())
def test_what_was_checked_cannot_be_changed(made):
    for _, layer in made.populations:
        arrays = [s.weight for s in layer.synapses]
        arrays += [a for a in (layer.bias, layer.scale) if a is not None]
        if isinstance(layer.neuron, MultiLevel):
            arrays += [layer.neuron.vth, layer.neuron.v0]
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    assert_same(pickle.loads(pickle.dumps(made)), made)
    assert_same(copy.deepcopy(made), made)


def test_a_later_write_to_the_users_array_changes_nothing():
    weight, bias, vth = np.array([[1, 2]], np.int32), np.array([3], np.int32), np.array([4])
    layer = Population("o", (1,), (Dense(0, weight),), MultiLevel(1, vth, vth * 0), bias)
    weight[:], bias[:], vth[:] = 9, 9, 9
    assert layer.synapses[0].weight.tolist() == [[1, 2]]
    assert layer.bias.tolist() == [3] and layer.neuron.vth.tolist() == [4]


# -- blocks -----------------------------------------------------------------------


P = {"levels": 4}
WRONG_BLOCKS = {
    **{f"Input({s!r})": lambda s=s: block.Input(s)
       for s in ({"threshold": 0.1}, (0,), (-3,), (2.5,), ("a",), 3, None, (1, 2), ())},
    "levels of 1.5": lambda: block.Input((2,), 1.5),
    "a gain that is infinite": lambda: block.Input((2,), gain=float("inf")),
    "signed that is 1": lambda: block.Input((2,), signed=1),
    "a flatten of 0": lambda: block.Flatten((0, 2, 2)),
    "a flatten of text": lambda: block.Flatten("abc"),
    "dense inputs of 2.5": lambda: block.Dense(P, 2.5, 3),
    "dense outputs of 0": lambda: block.Dense(P, 2, 0),
    "dense inputs of text": lambda: block.Dense(P, "2", 3),
    "negative outputs": lambda: block.Output(3, -1),
    "conv features of 1.5": lambda: block.Conv(P, 1.5, 2, 3, input_size=5),
    "a kernel of 2.5": lambda: block.Conv(P, 1, 2, 2.5, input_size=5),
    "a stride of text": lambda: block.Conv(P, 1, 2, 3, "2", input_size=5),
    "three paddings": lambda: block.Conv(P, 1, 2, 3, padding=(1, 1, 1), input_size=5),
    "groups of 0": lambda: block.Conv(P, 1, 2, 3, groups=0, input_size=5),
    "a pool of a flat input": lambda: block.Pool(P, (4,), 2, payload_max=4),
    "a residual of text": lambda: block.Residual(P, "abc", 4, payload_max=4),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_BLOCKS)
def test_a_block_of_an_impossible_shape_is_refused_when_it_is_made(name):
    with pytest.raises(ConfigError) as caught:
        WRONG_BLOCKS[name]()
    assert "\n" not in str(caught.value)


# -- data -------------------------------------------------------------------------


def samples(made, seed=0):
    low, high = made.input.payload
    return np.random.default_rng(seed).integers(low, high + 1, (5, *made.input.shape))


@settings(max_examples=15, deadline=None)
@given(made=network_specs(), seed=st.integers(0, 99))
def test_the_same_samples_in_any_form_give_the_same_integers(made, seed):
    x = samples(made, seed)
    runner = IntegerRunner(made)
    wanted = runner.run(x).output
    forms = [
        x.tolist(), torch.from_numpy(x), x[::-1][::-1], np.asfortranarray(x), x.astype(">i4"),
        x.astype(np.float32), torch.from_numpy(x).float().requires_grad_(),
        np.flip(np.flip(x, -1).copy(), -1),
    ]  # fmt: skip
    for form in forms:
        np.testing.assert_array_equal(runner.run(form).output, wanted)
    x = x / made.input.gain
    right = encode(made, x)
    for form in (x.tolist(), torch.from_numpy(x), np.asfortranarray(x), x[::-1][::-1]):
        np.testing.assert_array_equal(encode(made, form), right)


NOT_DATA = {
    "ragged lists": [[1], [1, 2]],
    "text": "abc",
    "None": None,
    "a number": 3,
    "objects": np.array([[None, 1]]),
    "complex numbers": np.ones((1, 2)) * 1j,
    "dates": np.zeros((1, 2), "datetime64[s]"),
    "a tensor without values": torch.empty(1, 2, device="meta"),
    "a sparse tensor": torch.ones(1, 2).to_sparse(),
    "NaN": np.full((1, 2), np.nan),
    "infinity": np.full((1, 2), -np.inf),
    "a masked array": np.ma.array([[1, 2]], mask=[[1, 0]]),
    "a generator": (i for i in range(2)),
    "another shape": np.ones((1, 3)),
}


@pytest.mark.parametrize("name", NOT_DATA)
def test_what_are_no_samples_is_refused_everywhere(name):
    made = spec()
    runner = IntegerRunner(made)
    calls = [lambda d: encode(made, d), runner.run, runner.trace, runner.profile,
             lambda d: list(runner.iter_traces(d))]  # fmt: skip
    for call in calls:
        with pytest.raises(DataError):
            call(NOT_DATA[name])


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2", None])
def test_a_batch_size_that_is_none_is_refused(size):
    with pytest.raises(ConfigError, match="batch_size must"):
        IntegerRunner(spec()).run(np.ones((1, 2)), batch_size=size)


def test_more_samples_than_are_encoded_at_a_time(monkeypatch):
    from netx_export.spec import encode as module

    x = np.random.default_rng(0).random((50, 2)) * 4
    whole = encode(spec(), x)
    monkeypatch.setattr(module, "AT_A_TIME", 6)
    np.testing.assert_array_equal(encode(spec(), x), whole)


def test_what_cannot_fit_the_memory_is_a_sentence():
    image = Input((4, 1 << 11, 1 << 11), 1)
    arm = Identity(0, np.ones(4, int))
    made = NetworkSpec(
        (image, Population("o", image.shape, (arm,), Readout())), limits.MAX_TIMESTEPS
    )
    with pytest.raises(RangeError, match=r"layer 1 \(o\): one sample of T = 65536 .* GiB"):
        IntegerRunner(made)
    from netx_export.spec.encode import check_payload

    with pytest.raises(DataError, match=r"1 samples of T = 65536 .* GiB"):
        check_payload(made, np.zeros((1, *image.shape), np.int8))


def test_a_long_row_of_flattens_is_followed_without_recursion():

    rows = [Input((2,), 3), *(Flatten(k, (2,), f"f{k}") for k in range(3000))]
    last = len(rows) - 1
    rows.append(Population("o", (1,), (Dense(last, [[1, 2]]),), Readout()))
    assert NetworkSpec(tuple(rows)).sent_bits(last) == 8


@pytest.mark.parametrize("value", NOT_A_T, ids=repr)
def test_an_export_takes_no_t_that_is_none(value):
    from lava_mlsnn.export import to_spec

    model = torch.nn.Sequential(block.Input((2,), 3), block.Output(2, 1)).eval()
    says = "timesteps must be a whole number" if value is not None else "give timesteps=T"
    with pytest.raises(ConfigError, match=says):  # None means: the model's own
        to_spec(model, value)


def test_a_product_beyond_float64_saturates():
    made = NetworkSpec(
        (Input((2,), 7, True, 1e300), Population("o", (1,), (Dense(0, [[1, 2]]),), Readout()))
    )
    assert encode(made, [[1e300, -1e300], [0, 1e-300]]).tolist() == [[7, -7], [0, 1]]
