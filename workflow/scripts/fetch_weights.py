"""Fetch and verify the weights of one model."""

import json
from pathlib import Path

from metamers import snakemake_script
from metamers.models.weights import survey
from metamers.models.weights.cache import cache_folder
from metamers.models.zoo import ModelSpec

snakemake_script.start_logging(snakemake)

spec = ModelSpec.of(snakemake.params.row)
note = survey.fetch_one(spec.name, spec.weights, cache_folder(snakemake.config["weights_cache"]))
Path(snakemake.output[0]).write_text(json.dumps(note, indent=2))
