"""Lava Process: convolution."""
