"""Measure the metamers of a batch of conditions against their references."""

from pathlib import Path

from metamers import snakemake_script
from metamers.evaluation import image_metrics
from metamers.evaluation.evaluators import subjects
from metamers.execution import devices
from metamers.models.weights.cache import cache_folder
from metamers.storage import tables
from metamers.storage.cache import ResultCache

snakemake_script.start_logging(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

with devices.acquire_device(snakemake.config["engine"]["device"]) as device:
    rows = image_metrics.measure(
        subjects(
            snakemake.params.conditions,
            snakemake.input.metamers,
            dict(zip(snakemake.params.references, snakemake.input.references, strict=True)),
            {},
            len(snakemake.params.shards),
        ),
        snakemake.params.networks,
        ResultCache(Path(snakemake.params.store)),
        cache_folder(snakemake.config["weights_cache"]),
        device,
        snakemake.params.revision,
    )
tables.write(tables.IMAGE_METRICS, rows, snakemake.output[0])
