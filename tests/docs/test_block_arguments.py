"""docs/networks.md names the arguments that the blocks have."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from lava_mlsnn.slayer import block
from lava_mlsnn.slayer.block.neuron_params import NEURON_KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
SECTION = PAGE.partition("## Arguments\n")[2].partition("\n## ")[0]


def test_the_table_of_arguments_is_that_of_the_blocks():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*?) \|$", SECTION, re.M)
    assert len(rows) == 11
    for name, must, may in rows:
        has = inspect.signature(getattr(block, name)).parameters.values()
        for names, optional in ((must, False), (may, True)):
            wanted = [p.name for p in has if (p.default is not p.empty) == optional]
            assert re.findall(r"`(\w+)`", names) == wanted, name


def test_the_keys_of_a_neuron_are_named():
    said = SECTION.partition("`neuron_params` may hold")[2].partition(";")[0]
    assert tuple(re.findall(r"`(\w+)`", said)) == NEURON_KEYS
