"""Draw the figures of a run: in one job, since a start of Python costs more than a figure."""

from pathlib import Path

from metamers.config import integrity
from metamers.figures import registry
from metamers.figures.inputs import FigureInputs

job = integrity.begin(snakemake)

inputs = FigureInputs.read(
    snakemake.input.tables,
    snakemake.input.metamers,
    snakemake.input.references,
    job.plan.config,
    job.plan.used_rows,
)
job.finish(registry.save_all([Path(svg).with_suffix("") for svg in snakemake.output.svg], inputs))
