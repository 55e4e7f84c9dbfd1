"""The energy counter: packages alone, counters that begin again, and machines without one."""

from __future__ import annotations

import pytest

from benchmarks.errors import SideError
from benchmarks.sides.energy import Counter
from benchmarks.words import amount


def zone(folder, name, value, largest=1_000_000):
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(f"{value}\n")
    (place / "max_energy_range_uj").write_text(f"{largest}\n")


def test_the_packages_are_added_up_without_their_parts(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 100)
    counter = Counter(tmp_path)
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 500_100)
    assert counter.joules() == pytest.approx(1.0)
    assert counter.joules() == 0.0


def test_a_counter_that_began_again(tmp_path):
    zone(tmp_path, "intel-rapl:0", 900_000)
    counter = Counter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 100_000)
    assert counter.joules() == pytest.approx(0.2)


def test_a_machine_that_does_not_tell(tmp_path):
    with pytest.raises(SideError, match="does not tell its energy"):
        Counter(tmp_path)


def test_energy_in_words():
    assert amount(0.0123, "J") == "12.3 mJ"
