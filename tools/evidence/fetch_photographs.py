"""Lay out the photographs of config/evidence.yaml: foolbox's 20, and 100 of a pinned package.

python tools/evidence/fetch_photographs.py data/evidence

The package ai-benchmark (Apache-2.0) does not say where its photographs come from or what licence
they have, so they are fetched, checked and unpacked here and are never part of this repository.
Nothing of it is installed or imported.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from metamers.images import sources

PACKAGE = "ai-benchmark==0.1.2"
SHA256 = "e97fd54be8e62227a10bf4fad48ba3bf7d116604e11767f0c6307680760dff98"  # of its wheel, on PyPI
MEMBERS = "ai_benchmark/data/classification/"


def fetch(folder: Path) -> Path:
    """Return the package's wheel, which pip has compared with the hash.

    Raises
    ------
    subprocess.CalledProcessError
        If pip cannot fetch it, or it has another hash; pip says which.
    """
    requirement = folder / "requirements.txt"
    requirement.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
               "--only-binary", ":all:", "--dest", str(folder), "-r", str(requirement)]  # fmt: skip
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def lay_out(wheel: Path, output: Path) -> int:
    """Write all photographs into a folder, and return how many there are."""
    output.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as package:
        names = [n for n in package.namelist() if n.startswith(MEMBERS) and n.endswith(".jpg")]
        for name in names:
            number = int(Path(name).stem)
            (output / f"ai_benchmark_{number:03d}.jpg").write_bytes(package.read(name))
    embedded = sources.candidates({"source": "embedded"})
    for image in embedded:
        (output / f"foolbox_{image.path.name}").write_bytes(image.path.read_bytes())
    return len(names) + len(embedded)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = lay_out(fetch(Path(temporary)), asked.output)
    print(f"{found} photographs in {asked.output}")
