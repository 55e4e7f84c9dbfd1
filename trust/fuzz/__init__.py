"""Damaged files, made and read by the hundred thousand; see :mod:`trust.fuzz.pool`."""
