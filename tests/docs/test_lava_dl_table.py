"""docs/from_lava_dl.md has a row for every name of the installed lava-dl, and the rows are true."""

from __future__ import annotations

import inspect
import pkgutil
import re
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("lava.lib.dl.slayer")
pytest.importorskip("lava.lib.dl.netx.hdf5")

from lava.lib.dl.netx import hdf5
from lava.lib.dl.slayer import block as theirs
from lava.lib.dl.slayer.neuron import cuba, sigma_delta
from lava.lib.dl.slayer.synapse.layer import GenericLayer

from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.lava.network import Network
from lava_mlsnn.slayer import lava_dl
from lava_mlsnn.slayer.block.neuron_params import LAVA_DL_KEYS, NEURON_KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "from_lava_dl.md").read_text()


def rows(title):
    """What a table says of every name of its first column."""
    section = PAGE.partition(f"{title}\n")[2].partition("\n#")[0]
    table = re.findall(r"^\| (`.*?) \| (.*) \|$", section, re.M)
    return {name: says for names, says in table for name in re.findall(r"`([^`]+)`", names)}


BLOCKS = rows("## Every name of `slayer.block`")
ARGUMENTS = rows("### Arguments of the blocks")
KEYS = rows("### Keys of `neuron_params`")
MEMBERS = rows("### Of a block and its synapse")
NETWORK = rows("## Every argument of `netx.hdf5.Network`")


def modules():
    return [m.name for m in pkgutil.iter_modules(theirs.__path__)]


def classes(family):
    module = import_module(f"{theirs.__name__}.{family}")
    return {
        name: kind
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and name[0] != "_"
        if not (name.startswith("Abstract") and family != "base")
    }


def parameters(call):
    found = inspect.signature(call).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in found if p.kind in plain and p.name != "self"]


def of_lava_dl(kind):
    """Arguments of a block: those of its abstract class, where it only passes them on."""
    for base in kind.__mro__:
        names = parameters(base.__init__) if "__init__" in vars(base) else []
        if names:
            return names
    return []


def test_every_block_of_every_family_has_a_row():
    families = modules()
    assert {"cuba", "sigma_delta", "rf", "base"} <= set(families)
    there = {f"{f}.{name}" for f in families if f not in BLOCKS for name in classes(f)}
    there |= {f for f in families if f in BLOCKS}
    assert set(BLOCKS) == there


@pytest.mark.parametrize("name", BLOCKS)
def test_a_row_says_what_is_there(name):
    says = BLOCKS[name]
    if says.startswith("refused: "):
        with pytest.raises(UnsupportedLayerError) as caught:
            found = lava_dl.block
            for part in name.split("."):
                found = getattr(found, part)
        assert str(caught.value).endswith(says.removeprefix("refused: "))
        return
    family, _, kind = name.partition(".")
    ours = parameters(getattr(getattr(lava_dl.block, family), kind))
    if says.startswith("the same"):
        wanted = of_lava_dl(classes(family)[kind])
        assert wanted and ours[: len(wanted)] == wanted
    else:
        assert ours == re.findall(r"\w+", says.partition("(")[2].partition(")")[0])


def test_every_argument_of_a_block_has_a_row():
    kinds = [kind for family in modules() for kind in classes(family).values()]
    there = {name for kind in kinds for name in of_lava_dl(kind)}
    assert set(ARGUMENTS) == there


def test_every_key_of_a_neuron_has_a_row():
    there = {*parameters(cuba.Neuron.__init__), *parameters(sigma_delta.Neuron.__init__)}
    assert set(KEYS) == there
    for key, says in KEYS.items():
        if says.startswith("the same"):
            assert key in NEURON_KEYS
            continue
        values, instead = LAVA_DL_KEYS[key]
        assert says == (f"{values[0]}; {instead}" if values else f"refused: {instead}")
    assert set(LAVA_DL_KEYS) < set(KEYS)


def test_every_member_of_a_synapse_has_a_row():
    there = {name for name in vars(GenericLayer) if name[0] != "_"}
    there |= {name for name in vars(GenericLayer()) if name[0] != "_"} - set(
        vars(lava_dl.own.Dense({}, 1, 1).synapse)
    )
    assert there <= set(MEMBERS)
    made = lava_dl.block.cuba.Dense({}, 6, 4)
    for name, says in MEMBERS.items():
        has = hasattr(made, name) or hasattr(made.synapse, name)
        assert has is not says.startswith("not there"), name


def test_every_argument_and_member_of_their_loader_has_a_row():
    wanted = parameters(hdf5.Network.__init__)
    ours = parameters(Network.__init__)
    assert ours[: len(wanted)] == ["spec", *wanted[1:]]
    public = {n for n in vars(hdf5.Network) if n[0] != "_"}
    for name in {*wanted, *public, "inp", "out", "layers", "in_layer", "out_layer", "len()"}:
        assert any(fnmatch(name, row) for row in NETWORK), name
    for name, says in NETWORK.items():
        if says.startswith("not there"):
            assert not any(fnmatch(own, name) for own in vars(Network)), name
