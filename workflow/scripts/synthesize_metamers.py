"""Synthesize the metamers of one condition for one shard of the images."""

from pathlib import Path

from metamers import snakemake_script
from metamers.config import integrity
from metamers.config.plan import Condition
from metamers.evaluation import accuracy
from metamers.execution import checkpoints, runner
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.images import references
from metamers.models.weights.cache import cache_folder
from metamers.storage import metamers, raw_tables, tables

job = integrity.begin(snakemake, gate=("answers", "manifest"))
snakemake_script.prepare_torch(snakemake.threads)

plan, decides = job.plan, job.decided_by
accuracy.require(
    accuracy.check(
        tables.read(raw_tables.REFERENCE_PREDICTIONS, snakemake.input.answers),
        tables.read(raw_tables.REFERENCES, snakemake.input.manifest),
        plan.used_rows,
        plan.config["accuracy_gate"],
    )
)
spec = SynthesisSpec(
    condition=Condition.of(snakemake.wildcards),
    models=plan.members(snakemake.wildcards),
    depth=decides["depth"],
    bound=decides["bound"],
    recipe=decides["recipe"],
    seed=decides["seed"],
    shard=snakemake.wildcards.shard,
    revision=decides["revision"],
)
checkpoint = Path(snakemake.params.checkpoint)
outputs = runner.run(
    spec,
    ExecutionSettings(**plan.config["engine"]),
    *references.load(snakemake.input.references),
    cache_folder(plan.config["weights_cache"]),
    checkpoint,
)
metamers.save(snakemake.output.metamers, outputs.metamers)
tables.write(raw_tables.TRACES, outputs.trace, snakemake.output.trace)
tables.write(raw_tables.GRADIENT_AGREEMENT, outputs.agreement, snakemake.output.agreement)
job.finish()
checkpoints.remove(checkpoint)
