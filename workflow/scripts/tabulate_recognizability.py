"""Judge the evaluators' answers, and write the tables on recognizability."""

from metamers.analysis import tabulate
from metamers.config import integrity
from metamers.storage import provenance, tables

job = integrity.begin(snakemake)

found = tabulate.recognizability(
    tables.read(tables.PREDICTIONS, snakemake.input.predictions),
    tables.read(tables.REFERENCE_PREDICTIONS, snakemake.input.reference_predictions),
    tables.read(tables.REFERENCES, snakemake.input.references),
    job.plan.config,
    job.plan.used_rows,
)
tabulate.write_all(found, snakemake.output, provenance.stamp(job.plan.config))
job.finish()
