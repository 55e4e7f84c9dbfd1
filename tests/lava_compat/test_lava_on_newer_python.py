"""What Lava needs of newer Pythons: on a stand-in for its two files, and on Lava itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from netx_export import lava_available

NEWER = sys.version_info >= (3, 11)
# The lines that newer Pythons and NumPys refuse, as they stand in Lava.
VAR_MODEL = """
from dataclasses import dataclass
@dataclass
class ByteEncoder:
    base: int = 0
@dataclass
class CoreEncoder:
    x: ByteEncoder = ByteEncoder()
"""
PORTS = """
import functools
import numpy
class ReshapePort:
    shape, old_shape = (2, 3), (6,)
    def get_transform_func_fwd(self):
        return functools.partial(numpy.reshape, newshape=self.shape)
    def get_transform_func_bwd(self):
        return functools.partial(numpy.reshape, newshape=self.old_shape)
"""
OPT_IN = {
    "import": ("import lava_mlsnn.lava_compat\n", {}),
    "variable": ("import lava_mlsnn\n", {"LAVA_MLSNN_COMPAT": "1"}),
}


@pytest.fixture
def standin(tmp_path: Path) -> Path:
    for name, text in {"compiler/var_model": VAR_MODEL, "core/process/ports/ports": PORTS}.items():
        file = tmp_path / "lava" / "magma" / f"{name}.py"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path


def python(code: str, folder: Path, **variables: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k != "LAVA_MLSNN_COMPAT"}
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean | {"PYTHONPATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not NEWER, reason="Lava needs no help on Python 3.10")
@pytest.mark.parametrize("way", OPT_IN)
def test_both_files_work_after_either_way_to_ask_for_it(standin: Path, way: str) -> None:
    first, variables = OPT_IN[way]
    code = f"""
{first}
import dataclasses, numpy
before = dataclasses.dataclass
from lava.magma.compiler.var_model import ByteEncoder, CoreEncoder
assert CoreEncoder().x == ByteEncoder() and hash(ByteEncoder(1)) == hash(ByteEncoder(1))
from lava.magma.core.process.ports.ports import ReshapePort
x = numpy.arange(6)
there = ReshapePort().get_transform_func_fwd()(x)
assert there.shape == (2, 3) and (ReshapePort().get_transform_func_bwd()(there) == x).all()
assert dataclasses.dataclass is before
from lava_mlsnn.checks import lava_needs
assert lava_needs() == ""
"""
    python(code, standin, **variables)
    assert (standin / "lava/magma/compiler/var_model.py").read_text() == VAR_MODEL


@pytest.mark.skipif(not NEWER, reason="Lava needs no help on Python 3.10")
@pytest.mark.parametrize("variables", [{}, {"LAVA_MLSNN_COMPAT": "0"}, {"LAVA_MLSNN_COMPAT": ""}])
def test_without_asking_it_is_one_sentence_and_nothing_is_mended(
    standin: Path, variables: dict[str, str]
) -> None:
    code = """
from lava_mlsnn import MLSNNError
from netx_export import lava_available
assert not lava_available()
try: from lava_mlsnn.proc import Dense
except MLSNNError as error: print(error)
try: import lava.magma.compiler.var_model
except ValueError as error: print(error)
"""
    says, left = python(code, standin, **variables).splitlines()
    assert says.startswith("the Process Dense needs 'import lava_mlsnn.lava_compat' before it, or")
    assert "mutable default" in left


@pytest.mark.skipif(not NEWER, reason="Lava needs no help on Python 3.10")
def test_ports_of_an_import_that_failed_before_are_mended_too(standin: Path) -> None:
    code = """
import lava.magma.core.process.ports.ports as ports
try: import lava.magma.compiler.var_model
except ValueError: pass
import lava_mlsnn.lava_compat, lava.magma.compiler.var_model, numpy
assert ports.ReshapePort().get_transform_func_fwd()(numpy.arange(6)).shape == (2, 3)
"""
    python(code, standin)


def test_a_file_that_fails_leaves_dataclasses_as_they_were(standin: Path) -> None:
    (standin / "lava/magma/compiler/var_model.py").write_text("raise OSError('no')")
    code = """
import dataclasses
before = dataclasses.dataclass
import lava_mlsnn.lava_compat
try: import lava.magma.compiler.var_model
except OSError: print(dataclasses.dataclass is before)
"""
    assert python(code, standin) == "True\n"


@pytest.mark.skipif(NEWER, reason="a newer Python")
def test_on_python_3_10_it_does_nothing(standin: Path) -> None:
    code = (
        "import sys; n = [*sys.meta_path]; import lava_mlsnn.lava_compat; print(n == sys.meta_path)"
    )
    assert python(code, standin, LAVA_MLSNN_COMPAT="1") == "True\n"


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="needs Lava")
def test_a_reshaped_port_carries_its_integers_through_lava() -> None:
    from lava.magma.core.run_configs import Loihi2SimCfg

    from lava_mlsnn.lava.session import LavaSession
    from lava_mlsnn.proc import Record, Stream

    data = np.arange(12, dtype=np.int32).reshape(2, 6)
    source, sink = (
        Stream(data=data),
        Record(shape=(2, 3), steps=2, start=0, dtype=np.dtype(np.int32)),
    )
    source.s_out.reshape((2, 3)).connect(sink.a_in)
    with LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt")) as session:
        session.run(3, done=lambda: sink.done)
    assert np.array_equal(sink.data, data.reshape(2, 2, 3))
