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
metamers, trace = engine.run(
    work,
    engine.Engine(**snakemake.params.engine),
    *images.load(snakemake.input.references),
    job.cache_folder(snakemake.params.cache),
    checkpoint,
)
metamer_files.save(snakemake.output.metamers, metamers)
tables.write(tables.TRACES, trace, snakemake.output.trace)
checkpoints.remove(checkpoint)
