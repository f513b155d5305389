"""Compare each model's clean accuracy with its row's; one that is far below stops the run."""

from metamers.config import integrity
from metamers.evaluation import accuracy
from metamers.storage import raw_tables, tables

job = integrity.begin(snakemake)

found = accuracy.check(
    tables.read(raw_tables.REFERENCE_PREDICTIONS, snakemake.input.answers),
    tables.read(raw_tables.REFERENCES, snakemake.input.references),
    job.plan.used_rows,
    job.plan.config["accuracy_gate"],
)
accuracy.require(found)
tables.write(raw_tables.ACCURACY, found, snakemake.output[0])
job.finish()
