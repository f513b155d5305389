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
