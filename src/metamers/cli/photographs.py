"""The command ``metamers photographs``: photographs that come inside packages, as a folder."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from metamers.files import sha256_of, write_atomically
from metamers.images import sources

PACKAGE = "ai-benchmark==0.1.2"
SHA256 = "e97fd54be8e62227a10bf4fad48ba3bf7d116604e11767f0c6307680760dff98"
MEMBERS = "ai_benchmark/data/classification/{}.jpg"
COUNT = 100

app = typer.Typer()


@app.command()
def photographs(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it is data.path of a run.")],
    wheel: Annotated[
        Path | None, typer.Option(help="The package's file, where there is no network.")
    ] = None,
) -> None:
    """Make a folder of 120 photographs: foolbox's 20, and 100 of the package ai-benchmark 0.1.2.

    The package is fetched by pip, compared with its sha256, and neither installed nor imported.
    Its photographs have no labels; whose they are it does not say, so that they are for use here
    and not for passing on.
    """
    with tempfile.TemporaryDirectory() as place:
        path = wheel or _download(Path(place))
        if (met := sha256_of(path)) != SHA256:
            raise typer.BadParameter(
                f"{str(path)!r} has the sha256 {met}; that of {PACKAGE} is {SHA256}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        labels = _embedded(folder) | _unpacked(path, folder)
    table = io.StringIO()
    csv.writer(table).writerows([("file", "label"), *sorted(labels.items())])
    write_atomically(folder / "labels.csv", table.getvalue().encode())
    typer.echo(f"{len(labels)} photographs in {folder}")


def _embedded(folder: Path) -> dict[str, str]:
    """Copy foolbox's photographs, and return their labels by file."""
    labels = {}
    for image in sources.candidates({"source": "embedded"}):
        shutil.copyfile(image.path, folder / image.path.name)
        labels[image.path.name] = str(image.label)
    return labels


def _unpacked(wheel: Path, folder: Path) -> dict[str, str]:
    """Unpack the package's photographs; return an empty label for each file."""
    with zipfile.ZipFile(wheel) as package:
        names = {f"ai_benchmark_{k:02d}.jpg": MEMBERS.format(k) for k in range(COUNT)}
        for name, member in names.items():
            write_atomically(folder / name, package.read(member))
    return dict.fromkeys(names, "")


def _download(place: Path) -> Path:
    requirement = place / "requirements.txt"
    requirement.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
               "--only-binary", ":all:", "--dest", str(place), "-r", str(requirement)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise typer.BadParameter(
            f"pip could not fetch {PACKAGE}: {done.stderr.strip()[-1000:]}. Fetch it elsewhere, "
            "and name the file: --wheel"
        )
    return next(place.glob("*.whl"))
