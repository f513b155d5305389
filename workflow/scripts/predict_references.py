"""Ask one model what it sees in the reference images of one draw."""

from metamers import snakemake_script
from metamers.evaluation import evaluators
from metamers.execution import devices
from metamers.images import references
from metamers.models.weights.cache import cache_folder
from metamers.storage import tables

snakemake_script.start_logging(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

with devices.acquire_device(snakemake.config["engine"]["device"]) as device:
    answers = evaluators.predict_references(
        [snakemake.params.model],
        {snakemake.wildcards.references: references.load(snakemake.input.images)},
        cache_folder(snakemake.config["weights_cache"]),
        device,
        snakemake.config["evaluation"]["batch_size"],
        snakemake.params.chunk_size,
    )
tables.write(tables.REFERENCE_PREDICTIONS, answers, snakemake.output[0])
