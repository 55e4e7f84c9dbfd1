"""Lava Process: numbers into and out of a Lava network, through shared memory."""
