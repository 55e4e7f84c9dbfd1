"""Long runs of whole networks, commands and simulations; see :mod:`trust.soak.command`."""
