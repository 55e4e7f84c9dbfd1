"""What the ProcessModels that compute share."""

from typing import Any

from lava.magma.core.model.py.model import PyLoihiProcessModel

from netx_export.exact_settings import keep_exact_settings

__all__ = ["ExactProcessModel"]


class ExactProcessModel(PyLoihiProcessModel):
    """Computes under its own settings: a process inherits those of the script that forked it."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        keep_exact_settings()
