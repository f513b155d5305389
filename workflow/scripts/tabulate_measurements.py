"""Gather image metrics, similarity, likeness, losses and traces of all conditions."""

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.storage import provenance, tables, traces

snakemake_script.start_logging(snakemake)

stamp = provenance.stamp(snakemake.params.config)
found = {
    name: tables.read(tables.TABLES[name], snakemake.input[name], categories=True)
    for name in ("image_metrics", "similarity", "likeness", "power")
}
found["success"] = tabulate.success(found["likeness"])
found |= tabulate.further_similarities(dict(snakemake.input.items()), snakemake.params.config)
found["optimisation"] = tabulate.losses(snakemake.input.metamers)
tabulate.write_all(found, snakemake.output, stamp)
tables.write_parts(
    tables.TRACES,
    traces.gathered(snakemake.input.traces),
    snakemake.output.traces,
    apart=(*tables.CONDITION_KEY, "image_id"),
    provenance=stamp,
)
