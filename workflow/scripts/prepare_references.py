"""Draw the reference images of one draw, crop them, and write them with their manifest."""

from dataclasses import asdict

from metamers.config import integrity
from metamers.images import references
from metamers.storage import raw_tables, tables

job = integrity.begin(snakemake)

rows, pixels = references.prepare(
    job.plan.config["data"],
    job.decided_by["preprocessing"],
    snakemake.wildcards.references,
    job.decided_by["draw"],
    job.decided_by["seed"],
)
references.save(snakemake.output.images, [row.image_id for row in rows], pixels)
tables.write(raw_tables.REFERENCES, map(asdict, rows), snakemake.output.manifest)
job.finish()
