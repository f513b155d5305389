"""Gather how far the gradients of each set's models agreed."""

from metamers.config import integrity
from metamers.storage import provenance, raw_tables, tables

job = integrity.begin(snakemake)

found = tables.read(raw_tables.GRADIENT_AGREEMENT, snakemake.input, categories=True)
stamp = provenance.stamp(job.plan.config)
tables.write(raw_tables.GRADIENT_AGREEMENT, found, snakemake.output[0], stamp)
job.finish()
