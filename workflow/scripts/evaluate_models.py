"""Ask a group of evaluators what they see in the metamers of a batch of conditions."""

from pathlib import Path

import pandas as pd

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.config import integrity
from metamers.evaluation import evaluators
from metamers.evaluation.similarity.densities import Convention
from metamers.execution import devices
from metamers.models.weights import survey
from metamers.models.weights.cache import cache_folder
from metamers.storage import provenance
from metamers.storage.cache import ResultCache

job = integrity.begin(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

plan, decides = job.plan, job.decided_by
draws = plan.batch_references(snakemake.wildcards)
with devices.acquire_device(plan.config["engine"]["device"]) as device:
    found = evaluators.evaluate(
        evaluators.subjects(
            decides["conditions"],
            snakemake.input.metamers,
            dict(zip(draws, snakemake.input.references, strict=True)),
            decides["stages"],
            len(plan.shards),
            decides["with_power"],
            plan.similarities,
            Convention(**plan.divergence),
        ),
        plan.evaluators(snakemake.wildcards),
        survey.contents(decides["models"], snakemake.input.weights),
        ResultCache(Path(snakemake.params.store)),
        cache_folder(plan.config["weights_cache"]),
        device,
        plan.config["evaluation"]["batch_size"],
        decides["chunk_size"],
        decides["revision"],
        decides["seed"],
        decides.get("members_only", ()),
    )
# A group of models without heads predicts nothing; members alone judge nothing but their success.
nothing = {name: pd.DataFrame() for name in snakemake.output.keys()}  # noqa: SIM118
tabulate.write_all(nothing | found, snakemake.output, provenance.versions())
job.finish()
