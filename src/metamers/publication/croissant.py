"""The Croissant 1.0 description of a published folder."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from metamers import __version__
from metamers.files import sha256_of
from metamers.publication.about import PAPER, Publication, meaning, today
from metamers.publication.contents import METADATA

_TYPES = {"float64": "sc:Float", "int64": "sc:Integer", "Int64": "sc:Integer"}


def croissant(folder: Path, images: pd.DataFrame, about: Publication) -> dict[str, Any]:
    """Return the Croissant description of a published folder.

    Parameters
    ----------
    images
        The list of images, ``metadata.csv``.
    """
    context = resources.files("metamers").joinpath("data", "croissant_context.json").read_text()
    return {
        "@context": json.loads(context),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.name,
        "description": about.description,
        "license": about.licences,
        "creator": {"@type": "sc:Organization", "name": about.creator},
        "datePublished": today(),
        "version": __version__,
        "url": PAPER,
        "citeAs": f"Boehm et al. (2025), {PAPER}",
        "distribution": [
            _file_object(folder, METADATA, "text/csv"),
            *(
                _file_object(
                    folder, str(path.relative_to(folder)), "application/vnd.apache.parquet"
                )
                for path in sorted((folder / "tables").glob("*.parquet"))
            ),
            {
                "@type": "cr:FileSet",
                "@id": "images",
                "name": "images",
                "encodingFormat": "image/png",
                "includes": [f"{kind}/**/*.png" for kind in ("metamers", "photographs")],
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "list",
                "name": "list",
                "description": "A row for each image.",
                "field": [_field(str(name), images[name]) for name in images],
            }
        ],
    }


def _file_object(folder: Path, name: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": meaning(name),
        "contentUrl": name,
        "encodingFormat": kind,
        "contentSize": f"{(folder / name).stat().st_size} B",
        "sha256": sha256_of(folder / name),
    }


def _field(name: str, values: pd.Series) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"list/{name}",
        "name": name,
        "description": name.replace("_", " "),
        "dataType": _TYPES.get(str(values.dtype), "sc:Text"),
        "source": {"fileObject": {"@id": METADATA}, "extract": {"column": name}},
    }
