"""Draw the reference images of one draw, crop them, and write them with their manifest."""

from dataclasses import asdict

from metamers import images, job, tables

job.begin(snakemake)

rows, pixels = images.prepare(
    snakemake.params.data,
    snakemake.params.preprocessing,
    snakemake.wildcards.references,
    snakemake.params.draw,
    snakemake.params.seed,
)
images.save(snakemake.output.images, [row.image_id for row in rows], pixels)
tables.write(tables.REFERENCES, map(asdict, rows), snakemake.output.manifest)
