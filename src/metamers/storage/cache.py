"""Results that are kept by what made them, so that nothing is computed twice."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metamers.files import sha256_of, sync, write_atomically

_CONTENTS = "contents.json"


@dataclass(frozen=True)
class ResultCache:
    """A folder of small tables, named by digests of all that they depend on.

    An entry is a folder of Parquet files with the sha256 of each in ``contents.json``.
    """

    folder: Path

    def has(self, key: str) -> bool:
        """Return whether there are results of this key; damaged ones are removed."""
        entry = self.folder / key
        if not entry.exists():
            return False
        if _is_whole(entry):
            return True
        logging.warning("%s is damaged, and is computed again", entry)
        shutil.rmtree(entry, ignore_errors=True)
        return False

    def get(self, key: str) -> dict[str, pd.DataFrame]:
        """Return the tables of a key."""
        entry = self.folder / key
        return {path.stem: pd.read_parquet(path) for path in sorted(entry.glob("*.parquet"))}

    def put(self, key: str, frames: Mapping[str, pd.DataFrame]) -> None:
        """Keep the tables of a key: all of them or, if the job is killed, none.

        Of two processes that put one key, the first one's tables stay: they are the same.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{key}.", suffix=".tmp", dir=self.folder, ignore_cleanup_errors=True
        ) as name:
            draft = Path(name) / key
            draft.mkdir()
            for table, frame in frames.items():
                frame.to_parquet(draft / f"{table}.parquet", index=False)
                sync(draft / f"{table}.parquet")
            contents = {path.name: sha256_of(path) for path in sorted(draft.iterdir())}
            write_atomically(draft / _CONTENTS, json.dumps(contents, indent=1).encode())
            try:
                draft.rename(self.folder / key)
            except OSError:
                if not _is_whole(self.folder / key):
                    raise
        sync(self.folder)


def _is_whole(entry: Path) -> bool:
    """Return whether an entry has the files that it lists, each with its sha256."""
    try:
        contents: dict[str, str] = json.loads((entry / _CONTENTS).read_bytes())
        found = {path.name for path in entry.iterdir()} - {_CONTENTS}
        return found == set(contents) and all(
            sha256_of(entry / name) == digest for name, digest in contents.items()
        )
    except (OSError, ValueError):
        return False
