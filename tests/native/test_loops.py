"""The loops of C: the payloads of torch's operators, their gradients, any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.native import compiled, kernels
from lava_mlsnn.neuron import loops
from lava_mlsnn.neuron.payloads import bytes_of
from lava_mlsnn.neuron.surrogate import spikes_over_time
from lava_mlsnn.population.affine import _Normalised, _Shifted
from lava_mlsnn.slayer import block

needs_compiler = pytest.mark.skipif(compiled.library() is None, reason="no C compiler (cc)")


def forget():
    compiled.library.cache_clear()
    kernels._loops_for.cache_clear()


@pytest.fixture
def anew():
    """The library as found, before and behind a test."""
    forget()
    yield
    forget()


def operators():
    return mock.patch.object(loops, "layout_of", lambda *_: None)


@st.composite
def neurons(draw):
    """What goes into some neurons, and what they are like."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    t, n, c = draw(st.integers(1, 4)), draw(st.integers(2, 5)), draw(st.integers(1, 37))
    maps = draw(st.booleans())
    shape = (t, n, draw(st.integers(1, 5)), draw(st.integers(1, 20)), c) if maps else (t, n, c)
    dtype = draw(st.sampled_from(kernels.WORDS))
    parts, affines = [], []
    for kind in draw(st.lists(st.sampled_from(["norm", "bias", "none"]), min_size=1, max_size=3)):
        x = torch.randn(shape).mul_(3).to(dtype)
        parts.append(x.permute(0, 1, 4, 2, 3) if maps else x)
        if kind == "norm":
            norm = (torch.nn.BatchNorm2d if maps else torch.nn.BatchNorm1d)(c)
            torch.nn.init.normal_(norm.weight)
            torch.nn.init.normal_(norm.bias)
            affines.append(norm)
        else:
            affines.append(torch.nn.Parameter(torch.randn(c)) if kind == "bias" else None)
    vth = torch.tensor(draw(st.sampled_from([1.0, 0.7, 2.0])))
    return {
        "parts": parts,
        "made": affines,
        "vth": vth,
        "start": draw(st.sampled_from([None, vth / 2])),
        "levels": draw(st.sampled_from([1, 4, 15, 127])),
        "surrogate": draw(st.sampled_from(["ste", "ste_shifted", "ste_wide"])),
        "detach_reset": draw(st.booleans()),
    }


def trained(case):
    """Payloads, bytes and gradients of the parts and of what scales them."""
    case = dict(case)
    made = case.pop("made")
    parts = [p.detach().clone().requires_grad_() for p in case.pop("parts")]
    affines = []
    for x in made:
        kinds = {torch.nn.Parameter: lambda x: _Shifted(x.reshape(-1)), type(None): lambda x: None}
        affines.append(kinds.get(type(x), _Normalised)(x))
    z = spikes_over_time(parts, affines=affines, **case)
    generator = torch.Generator().manual_seed(0)
    upstream = torch.randn(z.shape, generator=generator).to(z.dtype)
    inputs = [*parts, *(p for a in affines if a for p in a.parameters)]
    return z, bytes_of(z), torch.autograd.grad(z, inputs, upstream)


@needs_compiler
@given(neurons())
@settings(max_examples=80, deadline=None)
def test_payloads_are_those_of_the_operators_and_gradients_differ_by_rounding(case):
    with operators():
        z_right, code_right, grads_right = trained(case)
    with mock.patch.object(loops, "fire", wraps=loops.fire) as used:
        z, code, grads = trained(case)
    assert used.call_count == 1
    assert torch.equal(z, z_right) and z.dtype == z_right.dtype
    assert torch.equal(code, code_right)
    words = 1e-5 if z.dtype == torch.float32 else 0.03
    for grad, right in zip(grads, grads_right, strict=True):
        assert grad.dtype == right.dtype and grad.shape == right.shape
        norm = float(right.float().norm())
        assert float((grad - right).float().norm()) <= words * norm + 1e-4


@needs_compiler
@given(neurons(), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_results_do_not_depend_on_the_number_of_threads(case, threads):
    z, code, grads = trained(case)
    with mock.patch.object(kernels.Layout, "threads", threads):
        z_more, code_more, grads_more = trained(case)
    assert torch.equal(z, z_more) and torch.equal(code, code_more)
    assert all(map(torch.equal, grads, grads_more))


@needs_compiler
@pytest.mark.parametrize("dtype", kernels.WORDS)
def test_bytes_are_decoded_and_what_is_not_finite_stays_so(dtype):
    x = torch.randn(1, 4, 3, dtype=dtype).mul_(4).requires_grad_()
    z = spikes_over_time([x], torch.tensor(1.0), None, 127)
    code, decoded = bytes_of(z), torch.empty_like(z)
    layout = kernels.layout_of([code, decoded])
    kernels.decode(layout, code, decoded)
    assert torch.equal(decoded, z)
    upstream = torch.full_like(z, torch.nan)
    upstream[0, 0] = torch.inf
    (grad,) = torch.autograd.grad(z, x, upstream)
    inside = (x >= 0) & (x <= 127)
    assert torch.equal(grad.isnan(), upstream.isnan() & inside)
    assert torch.equal(grad.isinf(), upstream.isinf() & inside)
    lost = torch.full((1, 4, 3), torch.nan, dtype=dtype).requires_grad_()
    assert spikes_over_time([lost], torch.tensor(1.0), None, 4).isnan().all()


@needs_compiler
@pytest.mark.parametrize("shape", [(1, 2, 40000), (2, 2, 5000)])
def test_currents_that_meet_a_step_are_rounded_as_by_the_operators(shape):
    """Normalised pairs are 1 and -1 but for rounding, and the threshold is 1."""
    torch.manual_seed(0)
    case = {"parts": [torch.randn(shape)], "made": [torch.nn.BatchNorm1d(shape[2], eps=1e-12)]}
    case |= {"vth": torch.tensor(1.0), "start": None, "levels": 4}
    z, code, _ = trained(case)
    with operators():
        right, code_right, _ = trained(case)
    assert z.sum() > 0 and torch.equal(z, right) and torch.equal(code, code_right)


@needs_compiler
@given(neurons())
@settings(max_examples=20, deadline=None)
def test_what_hooks_make_of_saved_tensors_is_read_as_it_is(case):
    _, _, right = trained(case)

    def packed(t):
        return t.double().contiguous(), t.dtype

    with torch.autograd.graph.saved_tensors_hooks(packed, lambda both: both[0].to(both[1])):
        _, _, grads = trained(case)
    assert all(map(torch.equal, grads, right))


@needs_compiler
def test_a_default_device_and_lazy_negatives_change_nothing():
    made = [torch.nn.BatchNorm2d(3)]
    parts = [torch.randn(1, 4, 3, 5, 5).contiguous(memory_format=torch.channels_last_3d)]
    case = {"parts": parts, "made": made, "vth": torch.tensor(1.0), "start": None, "levels": 4}
    z, _, grads = trained(case)
    loops._are_right.cache_clear()
    with torch.device("meta"):
        x = parts[0].detach().requires_grad_()
        sent = spikes_over_time([x], torch.tensor(1.0, device="cpu"), None, 4)
        sent.backward(torch.ones_like(sent))
    assert sent.device.type == "cpu" and torch.equal(x.grad, ((x >= 0) & (x <= 4)).float())
    again, _, grads_again = trained(case)
    assert torch.equal(z, again) and all(map(torch.equal, grads, grads_again))
    negative = torch._neg_view(torch.full((1, 4, 3), -2.0)).requires_grad_()
    assert float(spikes_over_time([negative], torch.tensor(1.0), None, 4).sum()) == 24


def step(seed=0):
    """Payloads and a gradient of a block."""
    torch.manual_seed(seed)
    made = block.Conv({"levels": 4}, 2, 4, 3, padding=1, input_size=6).train()
    z = made(torch.randint(0, 5, (3, 2, 6, 6, 2)).float())
    z.sum().backward()
    return z.detach(), made.synapse.weight.grad


@pytest.mark.parametrize("fault", ["declined", "no compiler", "does not compile", "wrong loops"])
def test_without_the_loops_the_operators_do_the_same_work(fault, anew, monkeypatch, tmp_path):
    z, grad = step()
    forget()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if fault == "declined":
        monkeypatch.setenv(compiled.VARIABLE, "no")
    elif fault == "no compiler":
        monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    elif fault == "does not compile":
        monkeypatch.setattr(compiled, "FLAGS", (*compiled.FLAGS, "--no-such-option"))
    else:
        monkeypatch.setattr(loops, "_are_right", lambda: False)
    if fault != "wrong loops":
        assert compiled.library() is None
        assert ("install a C compiler" in compiled.missing()) == (fault != "declined")
    z_other, grad_other = step()
    assert torch.equal(z, z_other)
    assert torch.allclose(grad, grad_other, rtol=1e-4, atol=1e-5)
    assert not list(tmp_path.glob("**/*.so")) or fault == "wrong loops"


@needs_compiler
def test_the_library_is_kept_and_one_that_does_not_load_is_made_anew(anew, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled.library() is not None and compiled.missing() == ""
    (kept,) = tmp_path.glob("lava-mlsnn/*")
    before = kept.stat().st_mtime_ns
    forget()
    assert compiled.library() is not None and kept.stat().st_mtime_ns == before
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(other))
    (other / "lava-mlsnn").mkdir()
    (other / "lava-mlsnn" / kept.name).write_bytes(b"cut off")
    forget()
    assert compiled.library() is not None


NOBODY = """
import pathlib
def home(cls): raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = classmethod(home)
"""


@needs_compiler
@pytest.mark.timeout(60)
@pytest.mark.parametrize("home", ["cannot be written", "is not there"])
def test_without_a_home_of_its_own_nothing_is_kept_or_left_behind(home, tmp_path):
    file, temporary = tmp_path / "file", tmp_path / "temporary"
    file.touch()
    temporary.mkdir()
    code = "from lava_mlsnn.native.compiled import library; print(library() is not None)"
    environment = {**os.environ, "XDG_CACHE_HOME": str(file), "TMPDIR": str(temporary)}
    if home == "is not there":
        code = NOBODY + code
        del environment["XDG_CACHE_HOME"]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True" and done.stderr == ""
    assert not list(temporary.iterdir())
