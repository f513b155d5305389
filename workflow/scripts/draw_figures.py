"""Draw the figures of a run: in one job, since a start of Python costs more than a figure."""

from pathlib import Path

from metamers import snakemake_script
from metamers.figures import registry

snakemake_script.start_logging(snakemake)

inputs = registry.FigureInputs.read(
    snakemake.input.tables,
    snakemake.input.metamers,
    snakemake.input.references,
    snakemake.params.config,
    snakemake.params.zoo,
)
registry.save_all([Path(svg).with_suffix("") for svg in snakemake.output.svg], inputs)
