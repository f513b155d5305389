"""Ask a group of evaluators what they see in the metamers of a batch of conditions."""

from pathlib import Path

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.evaluation import evaluators
from metamers.execution import devices
from metamers.models.weights.cache import cache_folder
from metamers.storage.cache import ResultCache

snakemake_script.start_logging(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

with devices.acquire_device(snakemake.config["engine"]["device"]) as device:
    found = evaluators.evaluate(
        evaluators.subjects(
            snakemake.params.conditions,
            snakemake.input.metamers,
            dict(zip(snakemake.params.references, snakemake.input.references, strict=True)),
            snakemake.params.stages,
            len(snakemake.params.shards),
            snakemake.params.with_power,
            snakemake.params.similarities,
        ),
        snakemake.params.models,
        ResultCache(Path(snakemake.params.store)),
        cache_folder(snakemake.config["weights_cache"]),
        device,
        snakemake.config["evaluation"]["batch_size"],
        snakemake.params.chunk_size,
        snakemake.params.revision,
        snakemake.params.seed,
    )
tabulate.write_all(found, snakemake.output)
