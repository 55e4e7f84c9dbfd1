"""Run as a script, with ``standin`` on the path: which models Lava selects for which target."""

from __future__ import annotations

import sys

from chip import allocate
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs, find_processes
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

from netx_export import Network, read


def selected(network, config):
    pairs = ProcGroupDiGraphs._map_proc_to_model(find_processes(network), config, [])
    return sorted({f"{type(p).__name__}:{m.__name__}" for p, m in pairs.items()})


def main(file: str, folder: str) -> None:
    spec = read(file)
    both = {"select_tag": "fixed_pt", "select_sub_proc_model": True}
    print("hardware", *selected(Network(spec, target="loihi2", ucode=folder), Loihi2HwCfg(**both)))
    print("per layer", *selected(Network(spec), Loihi2SimCfg(**both)))
    print("leaf", *selected(Network(spec), Loihi2SimCfg(select_tag="fixed_pt")))
    try:
        allocate(Network(spec, target="loihi2"))
    except Exception as error:
        print("no folder", type(error).__name__, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
