"""Files inside installed packages, and inside packages of the Python package index."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from metamers.models.weights import verification
from metamers.models.weights.errors import DownloadError, MissingWeightsError, TruncatedFileError
from metamers.models.weights.row import WeightsRow
from metamers.models.weights.verification import setting_aside


def installed_file(weights: WeightsRow) -> Path:
    """Return the path of a file of an installed package, which is not imported.

    Raises
    ------
    MissingWeightsError
        If the package is not installed, or has no such file.
    """
    spec = find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingWeightsError(
            f"the Python package {weights.package!r}, which holds {weights.file!r}, is not "
            "installed; it is in requirements.lock, so run 'make' or install from that file"
        )
    path = Path(spec.submodule_search_locations[0]) / weights.path
    if not path.is_file():
        raise MissingWeightsError(
            f"the Python package {weights.package!r} has no file {weights.path!r}; "
            "is its version that of requirements.lock?"
        )
    return path


@dataclass(frozen=True)
class Form:
    """A form of packages: the ending of its files, and the option by which pip takes it alone."""

    ending: str
    option: str


FORMS = {"sdist": Form(".tar.gz", "--no-binary"), "wheel": Form(".whl", "--only-binary")}


def fetch_member(weights: WeightsRow, part: Path, cache: Path) -> None:
    """Complete ``part`` with one file of a pinned package, which the cache keeps.

    Nothing of the package is installed or imported, and no other file of it is unpacked here. pip
    compares the sha256 first; then, to learn a source package's name and version, it lets
    setuptools read its ``setup.py``, which is therefore exactly the one that was pinned.

    Raises
    ------
    DownloadError
        If pip cannot fetch the package, or it has another hash.
    TruncatedFileError
        If the package has no such file.
    """
    form = FORMS[weights.source]
    name = f"{weights.package.replace('==', '-')}{form.ending}"
    archive = cache / "packages" / name
    if not archive.is_file():
        _download(weights, archive, form)
    pinned = WeightsRow(source=weights.source, file=name, package=weights.package)
    with setting_aside(archive, cache):
        verification.check(archive, pinned, weights.package_sha256, cache / "verified")
        _extract(archive, weights.path, part)


def _extract(archive: Path, member: str, part: Path) -> None:
    try:
        with _opened(archive, member) as content, part.open("wb") as file:
            shutil.copyfileobj(content, file)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise TruncatedFileError(f"{str(archive)!r} has no file {member!r}: {error}") from error


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Yield a member of a tar or zip file.

    Raises
    ------
    KeyError
        If there is no such file in it.
    """
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as content:
            yield content
        return
    with tarfile.open(archive) as package:
        found = package.extractfile(member)
        if found is None:
            raise KeyError(f"{member!r} is not a regular file")
        yield found


def _download(weights: WeightsRow, archive: Path, form: Form) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        requirement = Path(folder) / "requirements.txt"
        requirement.write_text(f"{weights.package} --hash=sha256:{weights.package_sha256}\n")
        # --no-build-isolation: setuptools is in the lock and need not be fetched again.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--no-build-isolation", "--disable-pip-version-check", "--require-hashes",
                   form.option, ":all:", "--dest", folder, "-r", str(requirement)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DownloadError(
                f"pip could not fetch {weights.package!r} (which holds {weights.file!r}): "
                f"{done.stderr.strip()[-2000:]}. See docs/weights.md, section 'Without a network'"
            )
        next(Path(folder).glob(f"*{form.ending}")).replace(archive)
