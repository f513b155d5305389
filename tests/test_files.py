"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from metamers.files import sha256_of, write_atomically


def test_a_file_and_its_folder_are_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b.bin", b"new")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"new"


def test_a_function_may_write_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_atomically(path, lambda draft: save_file({"x": np.arange(3)}, draft))
    assert load_file(path)["x"].tolist() == [0, 1, 2]


def test_the_old_file_stays_and_no_draft_remains_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(draft: Path) -> None:
        draft.write_bytes(b"ha")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("writes_by_function", [False, True])
def test_permissions_are_those_of_the_umask(tmp_path: Path, writes_by_function: bool) -> None:
    def save(draft: Path) -> None:
        save_file({"x": np.zeros(1)}, draft)

    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", save if writes_by_function else b"content")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    original = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda file: (
            synced.append((os.readlink(f"/proc/self/fd/{file}"), (tmp_path / "a").exists())),
            original(file),
        ),
    )
    write_atomically(tmp_path / "a", b"content")
    (draft, named_before), (folder, named) = synced
    assert Path(draft).parent == tmp_path
    assert not named_before
    assert (folder, named) == (str(tmp_path), True)


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("n" * 255), b"content")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"content"


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()
