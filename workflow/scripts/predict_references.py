"""Ask a group of evaluators what they see in the reference images."""

from metamers import devices, evaluation, images, job, tables

job.begin(snakemake)
job.prepare_torch(snakemake.threads)

draws = zip(snakemake.params.references, map(images.load, snakemake.input.images), strict=True)
with devices.held(snakemake.config["engine"]["device"]) as device:
    answers = evaluation.predict_references(
        snakemake.params.models,
        dict(draws),
        job.cache_folder(snakemake.params.cache),
        device,
        snakemake.params.batch_size,
    )
tables.write(tables.REFERENCE_PREDICTIONS, answers, snakemake.output[0])
