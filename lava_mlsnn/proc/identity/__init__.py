"""Lava Process: one-to-one connection with a gain per channel."""
