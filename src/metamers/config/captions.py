"""Captions of the report: Snakemake takes one file for a rule, figures have one each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


def of(folder: str | Path) -> Callable[[Mapping[str, str]], str]:
    """Return a params function: the text of ``<folder>/<figure>.rst``, of any experiment."""

    def caption(wildcards: Mapping[str, str]) -> str:
        return (Path(folder) / f"{wildcards['figure'].partition('-')[0]}.rst").read_text()

    return caption
