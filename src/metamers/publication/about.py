"""What is said of published files: by whom, under which licence, and what each is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from metamers import __version__
from metamers.publication.contents import CONFIG, METADATA
from metamers.storage import provenance, tables

PAPER = "https://arxiv.org/abs/2504.01739"
README, CROISSANT, CRATE = "README.md", "croissant.json", "ro-crate-metadata.json"


@dataclass(frozen=True)
class Publication:
    """What people have to say of what they publish.

    Attributes
    ----------
    licence
        Address of the licence of all files but photographs.
    photographs_licence
        The same of photographs; ``None`` if there are none.
    """

    name: str
    creator: str
    licence: str
    photographs_licence: str | None

    @property
    def licences(self) -> list[str]:
        """Return all licences."""
        return [self.licence, *([self.photographs_licence] if self.photographs_licence else [])]

    @property
    def description(self) -> str:
        """Return two sentences on the data."""
        left_out = "" if self.photographs_licence else " Photographs are not among the files."
        return (
            "Images to which networks respond as to a photograph (model metamers), with what "
            f"classifiers answer to them.{left_out} Made by metamers {__version__} "
            f"({provenance.commit()}) after {PAPER}."
        )


def readme(images: pd.DataFrame, about: Publication) -> str:
    """Return the page for people, a data set's card at Hugging Face."""
    licences = "\n".join(f"- {url}" for url in about.licences)
    return f"""---
pretty_name: {json.dumps(about.name)}
tags: [metamers, vision]
---

# {about.name}

{about.description}

{len(images)} images; `metadata.csv` has a row for each, `tables/` what was measured, `answers/`
what each classifier answers (as model-vs-human reads it), `config.yaml` and the `Snakefile` what
made them.

Licences (the second, if there is one, is that of the photographs):

{licences}
"""


def meaning(name: str) -> str:
    """Return what a published file is."""
    said = {
        README: "What this is, for people",
        CROISSANT: "Croissant description of the data",
        METADATA: "A row for each image",
        CONFIG: "Configuration of the run",
    }
    return said.get(name) or tables.TABLES[Path(name).stem].description


def today() -> str:
    """Return the date, in UTC."""
    return datetime.now(UTC).date().isoformat()
