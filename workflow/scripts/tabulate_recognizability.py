"""Judge the evaluators' answers, and write the tables on recognizability."""

from metamers import job, provenance, tables, tabulation

job.begin(snakemake)

found = tabulation.recognizability(
    tables.read(tables.PREDICTIONS, snakemake.input.predictions),
    tables.read(tables.REFERENCE_PREDICTIONS, snakemake.input.reference_predictions),
    tables.read(tables.REFERENCES, snakemake.input.references),
    snakemake.params.config,
    snakemake.params.zoo,
)
tabulation.write_all(found, snakemake.output, provenance.stamp(snakemake.params.config))
