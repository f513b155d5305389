"""Find, fetch and verify the files that the zoo's rows name. No torch here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from tabulate import tabulate

from metamers.models.weights import lock, packages, verification
from metamers.models.weights.errors import (
    MissingWeightsError,
    WebPageError,
    WeightsError,
    WrongHashError,
)
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.row import WeightsRow
from metamers.models.weights.sources import FETCHERS

PROJECT_LOCK = Path("config/weights.lock")


def default_cache() -> Path:
    """Return the folder for weights: ``METAMERS_CACHE``, or ``~/.cache/metamers``."""
    return Path(os.environ.get("METAMERS_CACHE") or "~/.cache/metamers").expanduser()


def cache_folder(configured: str | Path | None) -> Path:
    """Return the folder for weights: the configured one, or the default."""
    return Path(configured).expanduser() if configured else default_cache()


def lock_path(cache: Path) -> Path:
    """Return the lock: ``METAMERS_LOCK``, else the project's, else, outside a project, the cache's.

    The project's is ``config/weights.lock`` in the working directory.
    """
    if os.environ.get("METAMERS_LOCK"):
        return Path(os.environ["METAMERS_LOCK"])
    return PROJECT_LOCK if PROJECT_LOCK.is_file() else cache / "weights.lock"


def target(weights: WeightsRow, cache: Path) -> Path:
    """Return where a row's file is, or will be once it is fetched.

    Raises
    ------
    MissingWeightsError
        If it belongs to a package that is not installed.
    WeightsError
        If the row's source is unknown or has no file, or the file's name is none.
    """
    if weights.source == "package":
        return packages.installed_file(weights)
    if weights.source == "local":
        return Path(weights.path).expanduser()
    if weights.source not in FETCHERS:
        raise WeightsError(
            f"weights of source {weights.source!r} have no file; sources with files are 'package', "
            f"'local', {', '.join(map(repr, FETCHERS))}"
        )
    if Path(weights.file).name != weights.file or not weights.file:
        raise WeightsError(
            f"weights file {weights.file!r} is not a valid name of a file in the cache"
        )
    return cache / weights.file


def fetch(weights: WeightsRow, cache: Path, options: DownloadOptions | None = None) -> Path:
    """Return the path of a row's verified file, which is fetched first if it is not there.

    Parameters
    ----------
    weights
        The row's weights.
    cache
        Folder of fetched files.
    options
        Mirror, offline mode, patience; by default from the environment.

    Raises
    ------
    MissingWeightsError
        If the file is not there and may not be fetched.
    WeightsError
        If it is not what the row means; the subclass says in which way. A file of the cache is
        set aside then, and the next call fetches it anew.
    """
    path = target(weights, cache)
    if weights.source in FETCHERS and not path.is_file():
        with FileLock(_made(cache / "locks") / f"{weights.file}.lock"):
            if not path.is_file():
                _fetch(weights, path, cache, options or DownloadOptions.from_environment())
    return locate(weights, cache)


def locate(weights: WeightsRow, cache: Path, rehash: bool = False) -> Path:
    """Return the path of a row's verified file; nothing is fetched.

    A file of the cache that is not the row's is set aside. One for which neither row nor lock has
    a whole hash is recorded in the lock, unless it is the user's own (source ``local``).

    Parameters
    ----------
    weights, cache
        The row's weights, and the folder of fetched files.
    rehash
        Read the whole file even if it was verified before.

    Raises
    ------
    MissingWeightsError
        If it is not there.
    WeightsError
        If it is not what the row means; the subclass says in which way.
    """
    path = target(weights, cache)
    if not path.is_file():
        raise MissingWeightsError(missing_table({"": weights}, cache))
    expected = lock.expected_hash(weights, lock_path(cache))
    stamps = cache / "verified"
    if rehash:
        verification.forget(path, stamps)
    with verification.setting_aside(path, cache):
        digest = verification.check(path, weights, expected, stamps)
    if weights.source in FETCHERS and len(expected) < 64:
        _record(weights, path, digest, "", cache)
    return path


@contextmanager
def rejecting(weights: WeightsRow, path: Path, cache: Path) -> Iterator[None]:
    """Set a file of the cache aside if the block, which loads it, finds that it is wrong.

    A hash that the lock holds only because this file was the first to come is withdrawn, so that
    the right file is not refused later.

    Raises
    ------
    WeightsError
        What the block raised, with the file's new place added.
    """
    try:
        with verification.setting_aside(path, cache):
            yield
    except WeightsError:
        lock.remove_unverified(lock_path(cache), weights.file, cache / "locks")
        raise


def missing_table(rows: Mapping[str, WeightsRow], cache: Path) -> str:
    """Return one table of files to get: model, file, source, size, and where to put it."""
    lines = [
        (
            model,
            weights.file,
            size_text(weights),
            verification.origin(weights),
            _place(weights, cache),
        )
        for model, weights in rows.items()
    ]
    table = tabulate(lines, ("model", "file", "size", "source", "path"), disable_numparse=True)
    return (
        f"weights are missing, {len(lines)} in all:\n{table}\n"
        "Fetch them where there is a network ('metamers weights fetch'), or put the files there."
    )


def _fetch(weights: WeightsRow, path: Path, cache: Path, options: DownloadOptions) -> None:
    if options.offline:
        raise MissingWeightsError(missing_table({"": weights}, cache))
    part = _made(cache / "partial") / f"{weights.file}.part"
    try:
        stated = FETCHERS[weights.source](weights, part, cache, options)
    except WebPageError as error:
        if error.page is None:
            raise
        aside = verification.set_aside(error.page, str(error), cache)
        raise WebPageError(f"{error}. The page was set aside as {str(aside)!r}") from error
    expected = lock.expected_hash(weights, lock_path(cache)) or stated
    with verification.setting_aside(part, cache):
        digest = verification.check(part, weights, expected)
        if not digest.startswith(stated):
            raise WrongHashError(f"{str(part)!r} has the sha256 {digest}; the server says {stated}")
    _replace_safely(part, path)
    verification.remember(path, digest, cache / "verified")
    _record(weights, path, digest, stated, cache)


def _record(weights: WeightsRow, path: Path, digest: str, stated: str, cache: Path) -> None:
    who = lock.hash_source(weights, stated)
    pin = lock.Pin(digest, path.stat().st_size, verification.origin(weights), who)
    lock.record(lock_path(cache), weights.file, pin, cache / "locks")


def _place(weights: WeightsRow, cache: Path) -> str:
    return str(target(weights, cache)) if weights.source != "package" else "(installed package)"


def size_text(weights: WeightsRow) -> str:
    """Return a file's size in MB (10^6 bytes), with ``~`` before an approximate one."""
    size = weights.size or weights.size_about
    return f"{'' if weights.size else '~'}{size / 1e6:.1f} MB" if size else "unknown"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _replace_safely(part: Path, path: Path) -> None:
    """Give a whole file its name, once its bytes are on the disk and not only in memory."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
