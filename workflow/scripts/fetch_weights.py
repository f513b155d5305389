"""Fetch and verify the weights of one model."""

import json
from pathlib import Path

from metamers import job, weight_survey

job.begin(snakemake)

note = weight_survey.note(snakemake.params.row, job.cache_folder(snakemake.params.cache))
Path(snakemake.output[0]).write_text(json.dumps(note, indent=2))
