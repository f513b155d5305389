"""Compare each model's clean accuracy with its row's; one that is far below stops the run."""

from metamers import snakemake_script
from metamers.evaluation import accuracy
from metamers.storage import tables

snakemake_script.start_logging(snakemake)

found = accuracy.check(
    tables.read(tables.REFERENCE_PREDICTIONS, snakemake.input.answers),
    tables.read(tables.REFERENCES, snakemake.input.references),
    snakemake.params.models,
    snakemake.params.gate,
)
accuracy.require(found)
tables.write(tables.ACCURACY, found, snakemake.output[0])
