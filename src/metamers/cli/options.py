"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option(help="Laid over the default configuration, as Snakemake does; repeatable."),
]
DefaultConfig = Annotated[Path, typer.Option(help="The default configuration.")]
DEFAULT_CONFIG = Path("config/config.yaml")
