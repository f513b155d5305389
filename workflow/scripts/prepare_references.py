"""Draw the reference images of one draw, crop them, and write them with their manifest."""

from dataclasses import asdict

from metamers import snakemake_script
from metamers.images import references
from metamers.storage import tables

snakemake_script.start_logging(snakemake)

rows, pixels = references.prepare(
    snakemake.params.data,
    snakemake.params.preprocessing,
    snakemake.wildcards.references,
    snakemake.params.draw,
    snakemake.params.seed,
)
references.save(snakemake.output.images, [row.image_id for row in rows], pixels)
tables.write(tables.REFERENCES, map(asdict, rows), snakemake.output.manifest)
