"""Draw one figure from the tables of a run."""

from pathlib import Path

from metamers.config import integrity
from metamers.figures import registry, style

job = integrity.begin(snakemake)

material = registry.FigureInputs.read(
    snakemake.input.tables,
    snakemake.input.metamers,
    snakemake.input.references,
    job.plan.config,
    job.plan.used_rows,
)
style.save(
    registry.draw(snakemake.wildcards.figure, material), Path(snakemake.output.svg).with_suffix("")
)
job.finish()
