"""Gather image metrics, similarity, likeness, losses and traces of all conditions."""

from metamers import job, provenance, tables, tabulation

job.begin(snakemake)

found = {
    name: tables.read(tables.TABLES[name], snakemake.input[name], categories=True)
    for name in ("image_metrics", "similarity", "likeness", "power", "traces")
}
found["success"] = tabulation.success(found["likeness"])
found["optimisation"] = tabulation.losses(snakemake.input.metamers)
tabulation.write_all(found, snakemake.output, provenance.stamp(snakemake.params.config))
