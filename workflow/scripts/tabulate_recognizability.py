"""Judge the evaluators' answers, and write the tables on recognizability and success."""

from metamers.analysis import tabulate
from metamers.config import integrity
from metamers.storage import provenance, tables

job = integrity.begin(snakemake)

raw = {
    name: tables.read(tables.TABLES[name], snakemake.input[name])
    for name in (*tabulate.RAW, "likeness", "image_metrics", "optimisation")
    if snakemake.input[name]  # optimisation is read where an experiment compares at equal loss
}
found = tabulate.recognizability(raw, job.plan.config, job.plan.used_rows)
tabulate.write_all(found, snakemake.output, provenance.stamp(job.plan.config))
job.finish()
