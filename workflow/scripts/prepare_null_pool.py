"""Draw the unrelated images that metamers must be closer than, and write them."""

from dataclasses import asdict

from metamers import snakemake_script
from metamers.images import null_pool, references
from metamers.storage import tables

snakemake_script.start_logging(snakemake)

rows, pixels = null_pool.prepare(snakemake.params.sections)
references.save(snakemake.output.images, [row.image_id for row in rows], pixels)
tables.write(tables.REFERENCES, map(asdict, rows), snakemake.output.manifest)
