"""Ask one model what it sees in the reference images of one draw."""

from metamers import snakemake_script
from metamers.config import integrity
from metamers.evaluation import reference_answers
from metamers.execution import devices
from metamers.images import references
from metamers.models.weights.cache import cache_folder
from metamers.storage import raw_tables, tables

job = integrity.begin(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

with devices.acquire_device(job.plan.config["engine"]["device"]) as device:
    answers = reference_answers.predict_references(
        [job.plan.row(snakemake.wildcards)],
        {snakemake.wildcards.references: references.load(snakemake.input.images)},
        job.plan.depths,
        cache_folder(job.plan.config["weights_cache"]),
        device,
        job.plan.config["evaluation"]["batch_size"],
        job.decided_by["chunk_size"],
    )
tables.write(raw_tables.REFERENCE_PREDICTIONS, answers, snakemake.output[0])
job.finish()
