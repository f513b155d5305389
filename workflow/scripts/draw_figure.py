"""Draw one figure from the tables of a run."""

from pathlib import Path

from metamers import job, pictures
from metamers.figures import save

job.begin(snakemake)

material = pictures.Material.read(
    snakemake.input.tables,
    snakemake.input.metamers,
    snakemake.input.references,
    snakemake.params.config,
    snakemake.params.zoo,
)
save(
    pictures.draw(snakemake.wildcards.figure, material), Path(snakemake.output.svg).with_suffix("")
)
