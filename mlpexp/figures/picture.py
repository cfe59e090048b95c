"""A figure that is not drawn yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, ParamSpec

from mlpexp.figures.formats import Format
from mlpexp.figures.style import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")


class Picture(Generic[P]):
    """A function of this package that draws a figure, and what it is to draw: arrays, numbers and texts.

    It can be pickled, for another process to draw it.
    """

    def __init__(self, draw: Callable[P, Figure], *args: P.args, **kwargs: P.kwargs) -> None:
        self._draw, self._args, self._kwargs = draw, args, kwargs

    def figure(self) -> Figure:
        return self._draw(*self._args, **self._kwargs)

    def drawn(self, format: Format = "png") -> bytes:
        """The figure as a file."""
        return drawn(self.figure(), format)
