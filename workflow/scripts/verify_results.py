"""Compare every file of the run with what its configuration makes."""

import json
import logging
from pathlib import Path

from metamers.config import integrity, run_verification

# Beginning a job compares its inputs, which are all files of the run.
job = integrity.begin(snakemake)

folder = integrity.RESULTS / job.plan.run
for path in run_verification.other_verifications(job.plan, folder):
    path.unlink()
run_verification.sweep_run(folder)
logging.info("%d files answer to the configuration", len(snakemake.input))
Path(snakemake.output[0]).write_text(json.dumps({"verified": len(snakemake.input)}))
job.finish()
