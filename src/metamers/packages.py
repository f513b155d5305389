"""Files inside source packages of the Python package index."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from metamers import integrity
from metamers.weight_errors import DownloadError, TruncatedFileError
from metamers.zoo import Weights


def fetch_member(weights: Weights, target: Path, folder: Path) -> None:
    """Write one file of a pinned source package to ``target``; the package stays in ``folder``.

    Nothing of the package is installed or imported, and no other file of it is unpacked here. pip
    compares the sha256 first; then, to learn the package's name and version, it lets setuptools
    read its ``setup.py``, which is therefore exactly the one that was pinned.
    """
    name = f"{weights.package.replace('==', '-')}.tar.gz"
    archive = folder / name
    if not archive.is_file():
        _download(weights, archive)
    integrity.check(
        archive,
        Weights(source="sdist", file=name, package=weights.package),
        weights.package_sha256,
        target.parent / "verified",
    )
    try:
        with (
            tarfile.open(archive) as package,
            tempfile.NamedTemporaryFile(
                dir=target.parent, prefix=f".{target.name}.", delete=False
            ) as part,
        ):
            member = package.extractfile(weights.path)
            if member is None:
                raise KeyError(weights.path)
            shutil.copyfileobj(member, part)
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise TruncatedFileError(
            f"{str(archive)!r} holds no file {weights.path!r}: {error}"
        ) from error
    Path(part.name).replace(target)


def _download(weights: Weights, archive: Path) -> None:
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
                f"pip could not download {weights.package!r} (which holds {weights.file!r}):\n"
                f"{done.stderr.strip()[-2000:]}\nSee docs/weights.md, 'Behind a mirror or offline'"
            )
        next(Path(folder).glob("*.tar.gz")).replace(archive)
