"""Ask a group of evaluators what they see in the reference images."""

from metamers import snakemake_script
from metamers.evaluation import evaluators
from metamers.execution import devices
from metamers.images import references
from metamers.storage import tables

snakemake_script.start_logging(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

draws = zip(snakemake.params.references, map(references.load, snakemake.input.images), strict=True)
with devices.acquire_device(snakemake.config["engine"]["device"]) as device:
    answers = evaluators.predict_references(
        snakemake.params.models,
        dict(draws),
        snakemake_script.cache_folder(snakemake.params.cache),
        device,
        snakemake.params.batch_size,
        snakemake.params.chunk_size,
    )
tables.write(tables.REFERENCE_PREDICTIONS, answers, snakemake.output[0])
