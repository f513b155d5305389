"""Measure the metamers of a batch of conditions against their references."""

from pathlib import Path

from metamers import snakemake_script
from metamers.config import integrity
from metamers.evaluation import image_metrics
from metamers.evaluation.evaluators import subjects
from metamers.execution import devices
from metamers.models.weights import survey
from metamers.models.weights.cache import cache_folder
from metamers.storage import provenance, raw_tables, tables
from metamers.storage.cache import ResultCache

job = integrity.begin(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

plan, decides = job.plan, job.decided_by
draws = plan.batch_references(snakemake.wildcards)
with devices.acquire_device(plan.config["engine"]["device"]) as device:
    rows = image_metrics.measure(
        subjects(
            decides["conditions"],
            snakemake.input.metamers,
            dict(zip(draws, snakemake.input.references, strict=True)),
            {},
            len(plan.shards),
        ),
        plan.rows(plan.feature_networks),
        survey.contents(decides["networks"], snakemake.input.weights),
        ResultCache(Path(snakemake.params.store)),
        cache_folder(plan.config["weights_cache"]),
        device,
        decides["revision"],
        plan.further_metrics,
    )
tables.write(raw_tables.IMAGE_METRICS, rows, snakemake.output[0], provenance.versions())
job.finish()
