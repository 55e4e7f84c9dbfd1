"""A plugin of pytest: coverage learns which test runs, its fixtures included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import coverage
import pytest

__all__: list[str] = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: Any, nextitem: Any) -> Iterator[None]:
    """The name of a test is the context of its lines."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.switch_context(item.nodeid)
    yield
    if measured is not None:
        measured.switch_context("")
