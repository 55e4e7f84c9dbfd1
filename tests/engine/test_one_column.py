"""A convolution of one channel to one column is whole: torch 2.3 leaves parts of it unwritten."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lava_mlsnn import IntegerRunner, check_parity
from lava_mlsnn.slayer import block
from netx_export import to_spec
from netx_export.exact_settings import written_whole
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)

# height and width of the map, kernel, stride: all to one column
SHAPES = [((3, 3), (2, 2), (1, 2)), ((2, 3), (1, 2), (1, 2)), ((5, 4), (3, 3), (1, 2)),
          ((6, 3), (1, 3), (2, 2)), ((7, 4), (3, 2), (1, 3)), ((4, 2), (2, 2), (1, 1))]  # fmt: skip


def litter():
    """Freed memory of all small sizes, in which an output that nobody wrote would be seen."""
    kept = [torch.full((size,), 9.0) for size in range(1, 65) for _ in range(4)]
    del kept


@pytest.mark.parametrize("timesteps", [1, 2])
@pytest.mark.parametrize(("size", "kernel", "stride"), SHAPES)
def test_every_form_of_the_runner(size, kernel, stride, timesteps):
    rng = np.random.default_rng(0)
    conv = Conv(0, rng.integers(-3, 9, (2, 1, *kernel)), stride=stride)
    shape = conv.output_shape((1, *size))
    assert shape[2] == 1
    flat = int(np.prod(shape))
    spec = NetworkSpec(
        (
            Input((1, *size), 15),
            Population("a", shape, (conv,), MultiLevel(15, np.array([1]), np.array([0]))),
            Flatten(1, (flat,)),
            Population("o", (1,), (Dense(2, np.ones((1, flat), int)),), Readout()),
        ),
        timesteps,
    )
    x = rng.integers(0, 3, (6, 1, *size))
    wanted = IntegerRunner(spec, kind="reference", threads=1).trace(x).layers
    for kind in ("general", "auto"):
        for batch in (1, 3, 6):
            litter()
            runner = IntegerRunner(spec, kind=kind, threads=1)
            forms = {type(form).__name__ for form in runner._engine.layers.values()}
            assert "Reference" not in forms, "a form was given up"
            litter()
            found = runner.trace(x, batch_size=batch).layers
            for name, values in wanted.items():
                np.testing.assert_array_equal(found[name], values, name)


@pytest.mark.parametrize(("size", "kernel", "stride"), SHAPES)
def test_training_and_pools(size, kernel, stride):
    torch.manual_seed(0)
    first = block.Pool({"levels": 4}, (1, *size), kernel, stride, payload_max=15)
    layers = [first, block.Conv({"levels": 4}, 1, 1, kernel, stride, input_size=size, norm=False)]
    for layer in layers:
        model = torch.nn.Sequential(
            block.Input((1, *size), 15, 15.0), layer, block.Flatten(layer.shape, 4),
            block.Output(int(np.prod(layer.shape)), 2),
        ).eval()  # fmt: skip
        data = np.random.default_rng(1).random((6, 1, *size)).astype(np.float32)
        spec = to_spec(model, timesteps=2)
        for _ in range(3):
            litter()
            assert check_parity(spec, data, model=model).count == 0


def test_only_the_strides_are_others():
    x = torch.empty_strided((2, 1, 3, 4), (12, 1, 4, 1)).normal_()
    weight = torch.empty_strided((3, 1, 2, 2), (4, 1, 2, 1)).normal_()
    y, w = written_whole(x, weight, 1)
    assert torch.equal(x, y) and y.data_ptr() == x.data_ptr() and y.stride() == (12, 12, 4, 1)
    assert torch.equal(weight, w) and w.stride() == (4, 4, 2, 1)
    assert written_whole(x, weight, 2)[0] is x
    two = torch.zeros(2, 2, 3, 4)
    assert written_whole(two, weight, 1)[0] is two
