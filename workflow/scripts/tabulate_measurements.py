"""Gather image metrics, similarity, likeness, losses and traces of all conditions."""

from metamers import job, provenance, tables, tabulation, trace_tables

job.begin(snakemake)

stamp = provenance.stamp(snakemake.params.config)
found = {
    name: tables.read(tables.TABLES[name], snakemake.input[name], categories=True)
    for name in ("image_metrics", "similarity", "likeness", "power")
}
found["success"] = tabulation.success(found["likeness"])
found["optimisation"] = tabulation.losses(snakemake.input.metamers)
tabulation.write_all(found, [snakemake.output[name] for name in found], stamp)
tables.write_parts(
    tables.TRACES,
    trace_tables.gathered(snakemake.input.traces),
    snakemake.output.traces,
    apart=(*tables.CONDITION_KEY, "image_id"),
    provenance=stamp,
)
