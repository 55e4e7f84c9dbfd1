"""Which code is mutated, and the tests that are there to see it, the quickest first."""

from __future__ import annotations

__all__ = ["TARGETS", "WHY"]

NEURON = ("tests/neuron/test_step_laws.py", "tests/netx_export/test_worst_case_over_time.py",
          "tests/netx_export/test_spec_arguments.py", "tests/runner/test_integer_runner.py",
          "tests/netx_export/test_file_roundtrip.py")  # fmt: skip
FOLDING = ("tests/population/test_quantise.py", "tests/population/test_extreme_channels.py",
           "tests/models/test_exact_export.py", "tests/export/test_own_blocks.py",
           "tests/golden/test_golden_files.py")  # fmt: skip
RANGES = ("tests/netx_export/test_worst_case.py", "tests/netx_export/test_worst_case_over_time.py",
          "tests/spec/test_conv_transpose.py", "tests/netx_export/test_spec_arguments.py",
          "tests/engine/test_engine_forms.py")  # fmt: skip
GRAPH = ("tests/netx_export/test_spec_arguments.py", "tests/netx_export/test_refused_files.py",
         "tests/engine/test_stream.py", "tests/netx_export/test_file_roundtrip.py")  # fmt: skip
FILE = ("tests/netx_export/test_refused_files.py", "tests/netx_export/test_file_roundtrip.py",
        "tests/netx_export/test_hostile_files.py", "tests/netx_export/test_stock_format.py",
        "tests/golden/test_golden_files.py", "tests/netx_export/test_input_bits.py",
        "tests/export/test_timesteps_in_files.py", "tests/spec/test_conv_transpose.py")  # fmt: skip
# file: tests
TARGETS: dict[str, tuple[str, ...]] = {
    "netx_export/spec/neurons/step.py": NEURON[:1],
    "netx_export/spec/neurons/multilevel.py": NEURON,
    "netx_export/spec/neurons/readout.py": NEURON,
    "netx_export/spec/neurons/state_bounds.py": NEURON,
    "lava_mlsnn/population/quantise.py": FOLDING,
    "lava_mlsnn/population/scaling.py": FOLDING,
    "netx_export/spec/ranges.py": RANGES,
    "netx_export/spec/intervals.py": RANGES,
    "netx_export/spec/widths.py": RANGES,
    "netx_export/spec/graph.py": GRAPH,
    "netx_export/spec/timing.py": GRAPH,
    "netx_export/file/reader.py": FILE,
    "netx_export/file/fields.py": FILE,
    "netx_export/file/chunks.py": FILE,
    "netx_export/file/heap.py": FILE,
    "netx_export/file/writer.py": FILE,
    "netx_export/file/synapses.py": FILE,
    "netx_export/file/neurons.py": FILE,
    "netx_export/file/layers.py": FILE,
}
# a mutant's name: why no test can see it, or why none has to
_VTH = "(vth > STATE_MAX).any() -> (vth > STATE_MAX).all()"
_FALLS = "(h_low - top) // falls + 1 -> (h_low - top) // falls - 1"
WHY: dict[str, str] = {
    f"lava_mlsnn/population/quantise.py: {_VTH}": "only a fixed scale, one for all, takes it there",
    f"netx_export/spec/neurons/state_bounds.py: {_FALLS}": "shorter steps give the same bounds",
}
