"""Ask a group of evaluators what they see in the metamers of a batch of conditions."""

from pathlib import Path

from metamers import devices, evaluation, job, tabulation
from metamers.store import Store

job.begin(snakemake)
job.prepare_torch(snakemake.threads)

with devices.held(snakemake.config["engine"]["device"]) as device:
    found = evaluation.evaluate(
        evaluation.subjects(
            snakemake.params.conditions,
            snakemake.input.metamers,
            dict(zip(snakemake.params.references, snakemake.input.references, strict=True)),
            snakemake.params.stages,
            len(snakemake.params.shards),
            snakemake.params.with_power,
        ),
        snakemake.params.models,
        Store(Path(snakemake.params.store)),
        job.cache_folder(snakemake.params.cache),
        device,
        snakemake.params.batch_size,
        snakemake.params.revision,
        snakemake.params.seed,
    )
tabulation.write_all(found, snakemake.output)
