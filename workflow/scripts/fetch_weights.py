"""Fetch and verify the weights of one model."""

import json
from pathlib import Path

from metamers.config import integrity
from metamers.models.weights import contents, survey
from metamers.models.weights.cache import cache_folder
from metamers.models.zoo import ModelSpec

job = integrity.begin(snakemake)

row = job.plan.row(snakemake.wildcards)
spec, cache = ModelSpec.of(row), cache_folder(job.plan.config["weights_cache"])
note = survey.fetch_one(spec.name, spec.weights, cache) | contents.hashes_of(row, cache)
Path(snakemake.output[0]).write_text(json.dumps(note, indent=2))
job.finish()
