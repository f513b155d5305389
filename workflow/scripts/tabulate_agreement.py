"""Gather how far the gradients of each set's models agreed."""

from metamers.config import integrity
from metamers.storage import provenance, tables

job = integrity.begin(snakemake)

found = tables.read(tables.GRADIENT_AGREEMENT, snakemake.input, categories=True)
stamp = provenance.stamp(job.plan.config)
tables.write(tables.GRADIENT_AGREEMENT, found, snakemake.output[0], stamp)
job.finish()
