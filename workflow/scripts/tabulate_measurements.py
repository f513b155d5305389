"""Gather image metrics, similarity, likeness, losses and traces of all conditions."""

from metamers.analysis import tabulate
from metamers.config import integrity
from metamers.storage import provenance, raw_tables, tables, traces
from metamers.storage.columns import CONDITION_KEY

job = integrity.begin(snakemake)

stamp = provenance.stamp(job.plan.config)
found = {
    name: tables.read(tables.TABLES[name], snakemake.input[name], categories=True)
    for name in ("image_metrics", "similarity", "likeness", "power")
}
found |= tabulate.further_similarities(dict(snakemake.input.items()), job.plan)
found["optimisation"] = tabulate.losses(snakemake.input.metamers)
tabulate.write_all(found, snakemake.output, stamp)
tables.write_parts(
    raw_tables.TRACES,
    traces.gathered(snakemake.input.traces),
    snakemake.output.traces,
    apart=(*CONDITION_KEY, "image_id"),
    provenance=stamp,
)
job.finish()
