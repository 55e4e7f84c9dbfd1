"""Run as a script, with ``standin`` on the path: the whole way of ``run_loihi2``, on CPU models."""

from __future__ import annotations

import sys

import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.lava.chip import run_loihi2
from netx_export import read


def main(file: str, samples: str, out: str) -> None:
    config = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)
    result = run_loihi2(read(file), np.load(samples)["x"], run_cfg=config, timeout=100)
    np.savez(out, output=result.output, delay=result.delay, different=result.different)


if __name__ == "__main__":
    main(*sys.argv[1:])
