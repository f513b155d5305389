"""Ask a group of evaluators what they see in the reference images."""

from metamers import engine, evaluation, images, job, tables

job.begin(snakemake)
job.prepare_torch(snakemake.threads)

answers = evaluation.predict_references(
    snakemake.params.models,
    dict(zip(snakemake.params.references, map(images.load, snakemake.input.images), strict=True)),
    job.cache_folder(snakemake.params.cache),
    engine.device_of(snakemake.params.device),
    snakemake.params.batch_size,
)
tables.write(tables.REFERENCE_PREDICTIONS, answers, snakemake.output[0])
