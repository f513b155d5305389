"""Files inside installed packages, and inside source packages of the Python package index."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

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


def fetch_member(weights: WeightsRow, part: Path, cache: Path) -> None:
    """Complete ``part`` with one file of a pinned source package, which the cache keeps.

    Nothing of the package is installed or imported, and no other file of it is unpacked here. pip
    compares the sha256 first; then, to learn the package's name and version, it lets setuptools
    read its ``setup.py``, which is therefore exactly the one that was pinned.

    Raises
    ------
    DownloadError
        If pip cannot fetch the package, or it has another hash.
    TruncatedFileError
        If the package has no such file.
    """
    name = f"{weights.package.replace('==', '-')}.tar.gz"
    archive = cache / "packages" / name
    if not archive.is_file():
        _download(weights, archive)
    pinned = WeightsRow(source="sdist", file=name, package=weights.package)
    with setting_aside(archive, cache):
        verification.check(archive, pinned, weights.package_sha256, cache / "verified")
        _extract(archive, weights.path, part)


def _extract(archive: Path, member: str, part: Path) -> None:
    try:
        with tarfile.open(archive) as package:
            content = package.extractfile(member)
            if content is None:
                raise KeyError(f"{member!r} is no regular file")
            with part.open("wb") as file:
                shutil.copyfileobj(content, file)
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise TruncatedFileError(f"{str(archive)!r} has no file {member!r}: {error}") from error


def _download(weights: WeightsRow, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        requirement = Path(folder) / "requirements.txt"
        requirement.write_text(f"{weights.package} --hash=sha256:{weights.package_sha256}\n")
        # --no-build-isolation: setuptools is in the lock and need not be fetched again.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--no-build-isolation", "--disable-pip-version-check", "--require-hashes",
                   "--no-binary", ":all:", "--dest", folder, "-r", str(requirement)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DownloadError(
                f"pip could not fetch {weights.package!r} (which holds {weights.file!r}): "
                f"{done.stderr.strip()[-2000:]}. See docs/weights.md, section 'Without a network'"
            )
        next(Path(folder).glob("*.tar.gz")).replace(archive)
