"""Synthesize the metamers of one condition for one shard of the images."""

from pathlib import Path

from metamers import snakemake_script
from metamers.config import validation
from metamers.config.plan import Condition
from metamers.evaluation import accuracy
from metamers.execution import checkpoints, runner
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.images import references
from metamers.models.weights.cache import cache_folder
from metamers.storage import metamers, tables

snakemake_script.start_logging(snakemake)
snakemake_script.prepare_torch(snakemake.threads)

plan = validation.plan_of(snakemake.config, Path(snakemake.scriptdir).resolve().parents[1])
accuracy.require(
    accuracy.check(
        tables.read(tables.REFERENCE_PREDICTIONS, snakemake.input.answers),
        tables.read(tables.REFERENCES, snakemake.input.manifest),
        plan.used_rows,
        snakemake.config["accuracy_gate"],
    )
)
spec = SynthesisSpec(
    condition=Condition.of(snakemake.wildcards),
    models=snakemake.params.models,
    depth=snakemake.params.depth,
    bound=snakemake.params.bound,
    recipe=snakemake.params.recipe,
    seed=snakemake.params.seed,
    shard=snakemake.wildcards.shard,
    revision=snakemake.params.revision,
)
checkpoint = Path(snakemake.params.checkpoint)
outputs = runner.run(
    spec,
    ExecutionSettings(**snakemake.config["engine"]),
    *references.load(snakemake.input.references),
    cache_folder(snakemake.config["weights_cache"]),
    checkpoint,
)
metamers.save(snakemake.output.metamers, outputs.metamers)
tables.write(tables.TRACES, outputs.trace, snakemake.output.trace)
tables.write(tables.GRADIENT_AGREEMENT, outputs.agreement, snakemake.output.agreement)
checkpoints.remove(checkpoint)
