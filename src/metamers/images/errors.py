"""The one error for reference images: everything that is wrong with them, in one list."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 50


class UnreadableImageError(ValueError):
    """A file cannot be used as an image; the message names it and says why."""


class ImagesError(ValueError):
    """Reference images cannot be prepared as the configuration says.

    Attributes
    ----------
    problems
        One sentence for each thing that is wrong; the message shows the first 50.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - SHOWN
        tail = [f"... and {more} more"] if more > 0 else []
        super().__init__("\n".join([*self.problems[:SHOWN], *tail]))
