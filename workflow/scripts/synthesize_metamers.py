"""Synthesize the metamers of one condition for one shard of the images."""

from pathlib import Path

from metamers import checkpoints, engine, images, job, metamer_files, tables
from metamers.plan import Condition

job.begin(snakemake)
job.prepare_torch(snakemake.threads)

work = engine.Work(
    condition=Condition.of(snakemake.wildcards),
    models=snakemake.params.models,
    depth=snakemake.params.depth,
    bound=snakemake.params.bound,
    recipe=snakemake.params.recipe,
    seed=snakemake.params.seed,
    shard=snakemake.wildcards.shard,
    revision=snakemake.params.revision,
)
checkpoint = Path(snakemake.params.checkpoint)
delivery = engine.run(
    work,
    engine.Engine(**snakemake.config["engine"]),
    *images.load(snakemake.input.references),
    job.cache_folder(snakemake.params.cache),
    checkpoint,
)
metamer_files.save(snakemake.output.metamers, delivery.metamers)
tables.write(tables.TRACES, delivery.trace, snakemake.output.trace)
tables.write(tables.GRADIENT_AGREEMENT, delivery.agreement, snakemake.output.agreement)
checkpoints.remove(checkpoint)
