"""What keeps a row of the table without a number."""

from __future__ import annotations

__all__ = ["SideError"]


class SideError(Exception):
    """A side could not be measured; the text is one sentence that says why."""
