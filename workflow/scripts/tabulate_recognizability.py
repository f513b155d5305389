"""Judge the evaluators' answers, and write the tables on recognizability."""

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.storage import provenance, tables

snakemake_script.start_logging(snakemake)

optimisation = snakemake.input.get("optimisation")
found = tabulate.recognizability(
    tables.read(tables.PREDICTIONS, snakemake.input.predictions),
    tables.read(tables.REFERENCE_PREDICTIONS, snakemake.input.reference_predictions),
    tables.read(tables.REFERENCES, snakemake.input.references),
    snakemake.params.config,
    snakemake.params.zoo,
    tables.read(tables.OPTIMISATION, optimisation) if optimisation else None,
)
tabulate.write_all(found, snakemake.output, provenance.stamp(snakemake.params.config))
