"""Lava Process: sums without spikes."""
