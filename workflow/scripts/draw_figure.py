"""Draw one figure from the tables of a run."""

from pathlib import Path

from metamers import snakemake_script
from metamers.figures import registry, save

snakemake_script.begin(snakemake)

material = registry.Material.read(
    snakemake.input.tables,
    snakemake.input.metamers,
    snakemake.input.references,
    snakemake.params.config,
    snakemake.params.zoo,
)
save(
    registry.draw(snakemake.wildcards.figure, material), Path(snakemake.output.svg).with_suffix("")
)
