"""Measure the metamers of a batch of conditions against their references."""

from pathlib import Path

from metamers import devices, image_measurements, job, tables
from metamers.evaluation import subjects
from metamers.store import Store

job.begin(snakemake)
job.prepare_torch(snakemake.threads)

with devices.held(snakemake.config["engine"]["device"]) as device:
    rows = image_measurements.measure(
        subjects(
            snakemake.params.conditions,
            snakemake.input.metamers,
            dict(zip(snakemake.params.references, snakemake.input.references, strict=True)),
            {},
            len(snakemake.params.shards),
        ),
        snakemake.params.networks,
        Store(Path(snakemake.params.store)),
        job.cache_folder(snakemake.params.cache),
        device,
        snakemake.params.revision,
    )
tables.write(tables.IMAGE_METRICS, rows, snakemake.output[0])
