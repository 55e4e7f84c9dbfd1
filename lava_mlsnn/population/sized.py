"""Source and target shape of a layer, which the first source may decide."""

from __future__ import annotations

from lava_mlsnn.errors import ConfigError
from netx_export.spec.checks import Shape, check_shape

__all__ = ["Sized"]


class Sized:
    """What stands between two shapes, (C, H, W) or (F,), without samples and T.

    A subclass says the :meth:`target` of a source, and calls :meth:`take` in its
    constructor where the source is known, and with every source that comes.
    """

    _shapes: tuple[Shape, Shape] | None = None

    @property
    def in_shape(self) -> Shape:
        """Shape of the source; ConfigError while it is not known."""
        return self._known()[0]

    @property
    def shape(self) -> Shape:
        """Shape of the target; ConfigError while it is not known."""
        return self._known()[1]

    def _known(self) -> tuple[Shape, Shape]:
        if self._shapes is None:
            raise ConfigError(
                "the size of what the block gets is not known before its first forward; run one, "
                "or say it when you build the block (input_size or input_shape)"
            )
        return self._shapes

    def take(self, in_shape: Shape) -> None:
        """Compare with the shape of what comes in, or learn it; ConfigError if it does not fit."""
        if self._shapes is None:
            in_shape = check_shape(in_shape, ConfigError)
            self._shapes = in_shape, check_shape(self.target(in_shape), ConfigError)
        elif in_shape != self._shapes[0]:
            wanted = ", ".join(map(str, self._shapes[0]))
            raise ConfigError(
                f"the block takes (N, {wanted}, T), got (N, {', '.join(map(str, in_shape))}, T)"
            )

    def target(self, in_shape: Shape) -> Shape:
        """The target's shape for a source; ConfigError if the source does not fit."""
        raise NotImplementedError
