"""Draw one figure from the tables of a run."""

from pathlib import Path

from metamers import snakemake_script
from metamers.figures import registry, style

snakemake_script.start_logging(snakemake)

material = registry.FigureInputs.read(
    snakemake.input.tables,
    snakemake.input.metamers,
    snakemake.input.references,
    snakemake.params.config,
    snakemake.params.zoo,
)
chart = registry.draw(*snakemake.params.drawn, material)
style.save(chart, Path(snakemake.output.svg).with_suffix(""))
