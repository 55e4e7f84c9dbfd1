"""What importing costs and needs: nothing large, and the reading half needs no torch, no Lava."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import lava_mlsnn.proc

pytestmark = pytest.mark.timeout(120)

BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked by a test")
sys.meta_path.insert(0, Blocker())
"""


def python(code: str, blocked: tuple[str, ...] = ()) -> str:
    """Standard output of a fresh interpreter in which some packages cannot be imported."""
    if blocked:
        code = f"BLOCKED = {blocked!r}\n{BLOCK}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = (
    "import sys\n"
    "print(sorted({m.split('.')[0] for m in sys.modules} & "
    "{'torch', 'lava', 'h5py', 'scipy', 'sklearn', 'matplotlib', 'PIL', 'typer', 'rich', "
    "'onnx', 'onnxruntime'}))"
)


def test_importing_the_packages_loads_nothing_large():
    assert python(f"import lava_mlsnn, netx_export\n{LOADED}").strip() == "[]"


def test_every_name_that_is_offered_exists():
    code = (
        "import lava_mlsnn, netx_export, lava_mlsnn.neuron, lava_mlsnn.models\n"
        "for module in (lava_mlsnn, netx_export, lava_mlsnn.neuron, lava_mlsnn.models):\n"
        "    for name in module.__all__:\n"
        "        if name not in ('MultiLevelIF', 'Network'):\n"  # these two are Lava's
        "            assert getattr(module, name) is not None\n"
        "    assert set(module.__all__) <= set(dir(module)) or module.__name__.count('.')\n"
        "    try: module.no_such_name\n"
        "    except AttributeError as error: assert 'no_such_name' in str(error)\n"
        "    else: raise SystemExit('no error')\n"
    )
    python(code, ("lava",))


@pytest.mark.parametrize("module", ["lava_mlsnn", "netx_export"])
def test_lava_s_processes_import_without_torch(module):
    pytest.importorskip("lava.magma")
    name = {"lava_mlsnn": "MultiLevelIF", "netx_export": "Network"}[module]
    python(f"from {module} import {name}", ("torch",))


def test_training_imports_without_lava():
    code = (
        "from lava_mlsnn import ModelConfig, MultiLevelNeuron, build_model, check_parity\n"
        "from lava_mlsnn.slayer import block\n"
        "from lava_mlsnn.training.loop import train\n"
        "from netx_export import export_model\n"
        "build_model(ModelConfig(width=2))\n"
    )
    python(code, ("lava",))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A file and samples, and what the runner makes of them here."""
    from lava_mlsnn.runner import IntegerRunner
    from netx_export import write
    from netx_export.spec import Conv, Flatten, Input, MultiLevel, NetworkSpec, Population, Readout
    from netx_export.spec import Dense as DenseSynapse

    rng = np.random.default_rng(0)
    spec = NetworkSpec(
        (
            Input((1, 4, 4), 15, gain=15.0),
            Population(
                "conv",
                (2, 4, 4),
                (Conv(0, rng.integers(-9, 9, (2, 1, 3, 3)), padding=(1, 1)),),
                MultiLevel(4, [20], [10]),
            ),
            Flatten(1, (32,)),
            Population("out", (3,), (DenseSynapse(2, rng.integers(-9, 9, (3, 32))),), Readout()),
        ),
        timesteps=2,
    )
    folder = tmp_path_factory.mktemp("network")
    write(spec, folder / "a.net")
    x = rng.integers(0, 16, (5, 1, 4, 4))
    np.save(folder / "x.npy", x)
    return folder, IntegerRunner(spec).run(x).output


def test_reading_a_file_needs_neither_torch_nor_lava_and_running_it_no_lava(network):
    folder, wanted = network
    read = (
        "import numpy as np\n"
        "from netx_export import check_ranges, latency, read\n"
        "from lava_mlsnn import IntegerRunner, encode\n"
        f"spec = read({str(folder / 'a.net')!r})\n"
        f"x = np.load({str(folder / 'x.npy')!r})\n"
        "assert np.array_equal(encode(spec, x / 15), x)\n"
        "check_ranges(spec); assert latency(spec) == 2\n"
    )
    python(read, ("torch", "lava", "sklearn", "matplotlib"))
    run = f"{read}print(IntegerRunner(spec).run(x).output.tolist())\n"
    assert eval(python(run, ("lava", "sklearn", "matplotlib"))) == wanted.tolist()


def test_looking_at_a_file_from_the_command_line_needs_no_torch(network):
    folder, _ = network
    code = (
        "import sys\n"
        f"sys.argv = ['mlsnn', 'info', {str(folder / 'a.net')!r}]\n"
        "from lava_mlsnn.cli import main\n"
        "main()"
    )
    assert "conv" in python(code, ("torch", "lava"))


NO_LAVA = (
    "import importlib.util as u\n"
    "real = u.find_spec\n"
    "u.find_spec = lambda name, *a: None if name.split('.')[0] == 'lava' else real(name, *a)\n"
)


@pytest.mark.parametrize(
    "name",
    [
        "netx_export.Network",
        "lava_mlsnn.MultiLevelIF",
        "lava_mlsnn.lava.network.Network",
        *(f"lava_mlsnn.proc.{name}" for name in sorted(lava_mlsnn.proc.__all__)),
    ],
)
def test_a_name_that_needs_lava_is_an_import_error_of_one_sentence(name):
    module, _, name = name.rpartition(".")
    code = (
        f"{NO_LAVA}"
        "from lava_mlsnn import MLSNNError\n"
        f"try: from {module} import {name}\n"
        "except ImportError as error:\n"
        "    assert isinstance(error, MLSNNError) and error.name == 'lava'\n"
        "    print(error)\n"
    )
    says = python(code, ("lava",))
    assert f"{name} needs Python 3.10 with lava-nc 0.10.0 installed, and this is Python" in says


def test_what_needs_lava_says_so_when_it_is_missing(network):
    folder, _ = network
    code = (
        f"{NO_LAVA}"
        "import numpy as np\n"
        "from netx_export import lava_available, read, run_lava\n"
        "from lava_mlsnn import MLSNNError\n"
        "assert not lava_available()\n"
        f"spec = read({str(folder / 'a.net')!r})\n"
        "try: run_lava(spec, np.zeros((1, 1, 4, 4), int))\n"
        "except MLSNNError as error: print(error)\n"
    )
    assert "lava-nc" in python(code, ("lava",))
