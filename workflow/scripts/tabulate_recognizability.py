"""Judge the evaluators' answers, and write the tables on recognizability and success."""

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.storage import provenance, tables

snakemake_script.start_logging(snakemake)

raw = {
    name: tables.read(tables.TABLES[name], snakemake.input[name])
    for name in (*tabulate.RAW, "likeness", "image_metrics")
}
found = tabulate.recognizability(raw, snakemake.params.config, snakemake.params.zoo)
tabulate.write_all(found, snakemake.output, provenance.stamp(snakemake.params.config))
