"""Stand-in: its presence is how Lava sees that the extension is installed."""
