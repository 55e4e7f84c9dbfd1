"""Weight normalisation and the norm of gradients, under SLAYER's names."""

from __future__ import annotations

import torch
from torch.nn.utils import parametrizations, parametrize

__all__ = ["NormedWeight"]

MAGNITUDE = "parametrizations.weight.original0"  # g; original1 is the direction


class NormedWeight(torch.nn.Module):
    """A module whose ``weight`` may be trained as magnitude and direction.

    ``w = g v / |v|`` with one g and one norm for each index of the first axis, as
    ``torch.nn.utils.weight_norm`` and lava-dl's ``weight_norm=True`` have it. What is
    exported is w: nothing of this is left in a file.
    """

    def enable_weight_norm(self) -> None:
        """Train g and v from now on; w stays what it is."""
        parametrizations.weight_norm(self, "weight")

    def disable_weight_norm(self) -> None:
        """Train w itself again; it stays what it is."""
        parametrize.remove_parametrizations(self, "weight")

    @property
    def weight_norm_enabled(self) -> bool:
        """Whether g and v are trained."""
        return MAGNITUDE in dict(self.named_parameters())

    @property
    def grad_norm(self) -> float:
        """``|dL/dw|`` (under a weight norm ``|dL/dg|``) over the number of elements.

        0 without a gradient. To watch how gradients flow, as lava-dl's scripts do.
        """
        parameters = dict(self.named_parameters(recurse=True))
        names = (MAGNITUDE, "weight", "weight_g", "weight_orig")  # plain, and of torch's hooks
        held = next((parameters[name] for name in names if name in parameters), None)
        grad = None if held is None else held.grad
        return 0.0 if grad is None else float(torch.linalg.vector_norm(grad)) / grad.numel()
