"""What can be wrong with a file of weights; each has its section in docs/weights.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WeightsError(ValueError):
    """Weights cannot be used; the message says what was met and what to do."""


class MissingWeightsError(WeightsError):
    """A file is not there, and may not or cannot be fetched."""


class DownloadError(WeightsError):
    """A source did not answer as it should, after all retries."""


class WebPageError(WeightsError):
    """A web page came, or was saved, in place of the weights; ``page`` is where a page is kept."""

    def __init__(self, message: str, page: Path | None = None) -> None:
        super().__init__(message)
        self.page = page


class TruncatedFileError(WeightsError):
    """A file ends before its stated size, or its archive has no end."""


class WrongHashError(WeightsError):
    """A file's sha256 is not the pinned one."""


class UnsafePickleError(WeightsError):
    """A checkpoint asks for code or classes that are not plain data; nothing was run."""


class UnreadableFileError(WeightsError):
    """A file has none of the formats that can be read."""


class RenamedKeysError(WeightsError):
    """The names in a checkpoint are not the architecture's, even with the row's layout applied."""


class OtherArchitectureError(WeightsError):
    """The shapes in a checkpoint are those of another architecture."""


@contextmanager
def of_model(name: str) -> Iterator[None]:
    """Put the model's name before what the block says of its weights.

    Raises
    ------
    WeightsError
        What the block raised, with the name.
    """
    try:
        yield
    except WeightsError as error:
        raise type(error)(f"model {name!r}: {error}") from error
