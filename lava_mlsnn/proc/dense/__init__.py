"""Lava Process: all-to-all connection."""
