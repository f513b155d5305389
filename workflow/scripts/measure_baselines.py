"""Measure what a group of models makes of unrelated images and of references mildly changed."""

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.config import integrity
from metamers.evaluation import baselines
from metamers.execution import devices
from metamers.images import references
from metamers.models.weights.cache import cache_folder

job = integrity.begin(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

plan = job.plan
draws = zip(plan.reference_sets, snakemake.input.references, strict=True)
with devices.acquire_device(plan.config["engine"]["device"]) as device:
    found = baselines.measure(
        plan.measured(snakemake.wildcards),
        references.load(snakemake.input.pool),
        {name: references.load(path) for name, path in draws},
        job.decided_by["depths"],
        cache_folder(plan.config["weights_cache"]),
        device,
        plan.config["evaluation"]["batch_size"],
        job.decided_by["chunk_size"],
    )
tabulate.write_all(found, snakemake.output)
job.finish()
