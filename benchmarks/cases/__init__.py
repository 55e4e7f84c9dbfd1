"""One module per group of rows; each has ``NAME`` and ``run(bench) -> list of Row``."""
