"""Makes this folder importable: ``from strategies import network_specs``."""
