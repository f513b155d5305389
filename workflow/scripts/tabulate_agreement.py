"""Gather how far the gradients of each set's models agreed."""

from metamers import snakemake_script
from metamers.storage import provenance, tables

snakemake_script.start_logging(snakemake)

found = tables.read(tables.GRADIENT_AGREEMENT, snakemake.input, categories=True)
stamp = provenance.stamp(snakemake.params.config)
tables.write(tables.GRADIENT_AGREEMENT, found, snakemake.output[0], stamp)
