"""Draw the unrelated images that metamers must be closer than, and write them."""

from dataclasses import asdict

from metamers.config import integrity
from metamers.images import null_pool, references
from metamers.storage import raw_tables, tables

job = integrity.begin(snakemake)

rows, pixels = null_pool.prepare(job.plan.config)
references.save(snakemake.output.images, [row.image_id for row in rows], pixels)
tables.write(raw_tables.REFERENCES, map(asdict, rows), snakemake.output.manifest)
job.finish()
