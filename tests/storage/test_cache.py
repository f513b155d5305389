"""Kept results: whole or absent."""

import pandas as pd
import pytest

from metamers.storage.cache import ResultCache


def test_frames_come_back(tmp_path):
    store = ResultCache(tmp_path / "s")
    frame = pd.DataFrame({"a": [1, 2]})
    assert not store.has("k")
    store.put("k", {"one": frame, "two": frame})
    assert store.has("k")
    pd.testing.assert_frame_equal(store.get("k")["two"], frame)


def test_nothing_is_kept_of_results_that_were_not_finished(tmp_path, monkeypatch):
    store = ResultCache(tmp_path)
    frame = pd.DataFrame({"a": [1]})

    def killed(*arguments, **keys):
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_parquet", killed)
    with pytest.raises(KeyboardInterrupt):
        store.put("k", {"one": frame})
    monkeypatch.undo()
    assert not store.has("k")
    store.put("k", {"one": frame})
    assert store.has("k")


def test_second_process_that_puts_a_key_changes_nothing(tmp_path):
    first, second = ResultCache(tmp_path), ResultCache(tmp_path)
    frame = pd.DataFrame({"a": [1]})
    first.put("k", {"one": frame})
    second.put("k", {"one": frame})
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "empty"])
def test_damaged_entry_is_no_entry_and_can_be_put_again(tmp_path, damage):
    store = ResultCache(tmp_path)
    frame = pd.DataFrame({"a": range(100)})
    store.put("k", {"one": frame, "two": frame})
    path = tmp_path / "k" / "one.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    match damage:
        case "flipped":
            path.write_bytes(content)
        case "truncated":
            path.write_bytes(path.read_bytes()[:-1])
        case "missing":
            path.unlink()
        case "empty":
            for file in (tmp_path / "k").iterdir():
                file.unlink()
    assert not store.has("k")
    store.put("k", {"one": frame})
    pd.testing.assert_frame_equal(store.get("k")["one"], frame)
