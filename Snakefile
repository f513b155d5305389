"""Ensemble metamers: from reference images to the paper's tables and figures."""

from pathlib import Path

from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake.utils import min_version

from metamers import snakemake_script
from metamers.config import validation
from metamers.config.plan import Condition
from metamers.preflight import clocks, cluster, inputs, networks

min_version("9.27")


# Of this file, though another may include it or use it as a module.
BASE = workflow.current_basedir.get_path_or_uri(secret_free=True)


configfile: f"{BASE}/config/config.yaml"


report: "workflow/report/workflow.rst"


# Jobs read this file, too, after the networks have been looked at.
plan = validation.plan_of(
    config,
    BASE,
    workflow.configfiles,
    networks.problems if workflow.is_main_process else None,
)
if plan.sets_without_judge:
    logger.warning(
        f"These sets hold all evaluators with a head, so that nobody held out judges them: {plan.sets_without_judge}"
    )
if set(workflow.output_settings.quiet or ()) & {Quietness.PROGRESS, Quietness.ALL}:
    snakemake_script.hide_progress()
if plan.headless:
    logger.info(f"Without a head, so that recognition leaves them out: {plan.headless}")
CONDITION = Condition.pattern()
RUN = f"results/{plan.run}"
LOGS = f"logs/{plan.run}"
if workflow.is_main_process and not workflow.dryrun:
    late = clocks.settle(Path(RUN))
    if late:
        logger.warning(
            f"{late} files in {RUN} are dated in the future; they are dated to now."
        )


wildcard_constraints:
    references="|".join(plan.reference_sets),
    recipe="|".join(config["recipes"]),
    model_set="|".join(plan.model_sets),
    stage="|".join(config["stages"]),
    bound="|".join(config["bounds"]),
    shard=r"\d{3}-of-\d{3}",
    batch=r"\d{3}-of-\d{3}",
    evaluators=r"\d{2}-of-\d{2}",
    models=r"\d{2}-of-\d{2}",
    model="|".join(plan.zoo),


onstart:
    cluster.require(
        workflow.executor_plugin.name,
        getattr(workflow.executor_settings, "status_command", None),
        Path(workflow.workdir_init),
    )
    inputs.require(config, plan.used_rows)


include: "workflow/rules/references.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/synthesis.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/figures.smk"


RESULTS = [
    expand(f"{RUN}/tables/{{table}}.parquet", table=plan.tables),
    f"{RUN}/tables/accuracy.parquet",
    f"{RUN}/tables/paper_comparison.parquet",
    expand(f"{RUN}/figures/{{figure}}.svg", figure=plan.figures),
    f"{RUN}/gallery/index.html",
]


include: "workflow/rules/verification.smk"


rule all:
    default_target: True
    input:
        RESULTS,
        rules.verify_results.output,
