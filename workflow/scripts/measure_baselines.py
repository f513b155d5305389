"""Measure what a group of models makes of unrelated images and of references mildly changed."""

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.evaluation import baselines
from metamers.execution import devices
from metamers.images import references
from metamers.models.weights.cache import cache_folder

snakemake_script.start_logging(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

draws = zip(snakemake.params.draws, snakemake.input.references, strict=True)
with devices.acquire_device(snakemake.config["engine"]["device"]) as device:
    found = baselines.measure(
        snakemake.params.models,
        references.load(snakemake.input.pool),
        {name: references.load(path) for name, path in draws},
        snakemake.params.depths,
        cache_folder(snakemake.config["weights_cache"]),
        device,
        snakemake.config["evaluation"]["batch_size"],
        snakemake.params.chunk_size,
    )
tabulate.write_all(found, snakemake.output)
