"""The tables that readers use, from what the evaluators said and what was measured."""

from metamers.config import decided
from metamers.config.sections import PAPER


rule tabulate_recognizability:
    input:
        references=expand(
            f"{RUN}/references/{{references}}.parquet", references=plan.reference_sets
        ),
        reference_predictions=expand(
            f"{RUN}/predictions/references/{{references}}/{{model}}.parquet",
            references=plan.reference_sets,
            model=plan.models,
        ),
        predictions=expand(
            f"{RUN}/predictions/metamers/{{batch}}/{{evaluators}}.parquet",
            batch=plan.batches,
            evaluators=plan.evaluator_groups,
        ),
        likeness=expand(
            f"{RUN}/measurements/likeness/{{batch}}/{{evaluators}}.parquet",
            batch=plan.batches,
            evaluators=plan.evaluator_groups,
        ),
        image_metrics=expand(
            f"{RUN}/measurements/image_metrics/{{batch}}.parquet", batch=plan.batches
        ),
        null_distribution=expand(
            f"{RUN}/measurements/null_distribution/{{models}}.parquet",
            models=plan.model_groups,
        ),
        ceiling=expand(
            f"{RUN}/measurements/ceiling/{{models}}.parquet", models=plan.model_groups
        ),
        optimisation=(
            f"{RUN}/tables/optimisation.parquet" if plan.of_kind("equal_loss") else []
        ),
    output:
        **{name: f"{RUN}/tables/{name}.parquet" for name in plan.recognition_tables},
    log:
        f"{LOGS}/tabulate_recognizability.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "tabulate_recognizability"),
    script:
        "../scripts/tabulate_recognizability.py"


rule tabulate_measurements:
    input:
        **{
            name: expand(
                f"{RUN}/measurements/{name}/{{batch}}/{{evaluators}}.parquet",
                batch=plan.batches,
                evaluators=plan.evaluator_groups,
            )
            for name in plan.similarity_files
        },
        image_metrics=expand(
            f"{RUN}/measurements/image_metrics/{{batch}}.parquet", batch=plan.batches
        ),
        similarity=expand(
            f"{RUN}/measurements/similarity/{{batch}}/{{evaluators}}.parquet",
            batch=plan.batches,
            evaluators=plan.evaluator_groups,
        ),
        likeness=expand(
            f"{RUN}/measurements/likeness/{{batch}}/{{evaluators}}.parquet",
            batch=plan.batches,
            evaluators=plan.evaluator_groups,
        ),
        power=expand(
            f"{RUN}/measurements/power/{{batch}}/{{evaluators}}.parquet",
            batch=plan.batches,
            evaluators=plan.evaluator_groups,
        ),
        metamers=plan.of_all(f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"),
        traces=plan.of_all(f"{RUN}/traces/{{condition}}/{{shard}}.parquet"),
    output:
        **{name: f"{RUN}/tables/{name}.parquet" for name in plan.similarities},
        image_metrics=f"{RUN}/tables/image_metrics.parquet",
        similarity=f"{RUN}/tables/similarity.parquet",
        likeness=f"{RUN}/tables/likeness.parquet",
        power=f"{RUN}/tables/power.parquet",
        optimisation=f"{RUN}/tables/optimisation.parquet",
        traces=f"{RUN}/tables/traces.parquet",
    log:
        f"{LOGS}/tabulate_measurements.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "tabulate_measurements"),
    script:
        "../scripts/tabulate_measurements.py"


rule tabulate_agreement:
    input:
        plan.of_all(f"{RUN}/gradient_agreement/{{condition}}/{{shard}}.parquet"),
    output:
        f"{RUN}/tables/gradient_agreement.parquet",
    log:
        f"{LOGS}/tabulate_agreement.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "tabulate_agreement"),
    script:
        "../scripts/tabulate_agreement.py"


rule compare_with_paper:
    input:
        tables=expand(f"{RUN}/tables/{{table}}.parquet", table=plan.tables),
        success=f"{RUN}/tables/success.parquet",
        by_set=f"{RUN}/tables/recognizability_by_set.parquet",
    output:
        paper_comparison=f"{RUN}/tables/paper_comparison.parquet",
        claims=f"{RUN}/tables/claims.parquet",
        claims_multiverse=f"{RUN}/tables/claims_multiverse.parquet",
        numbers=report(
            f"{RUN}/paper_comparison.html",
            caption="../report/paper_comparison.rst",
            category=PAPER,
            labels={"page": "numbers"},
        ),
        page=report(
            f"{RUN}/claims.html",
            caption="../report/claims.rst",
            category=PAPER,
            labels={"page": "claims"},
        ),
        text=f"{RUN}/claims.md",
    log:
        f"{LOGS}/compare_with_paper.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    params:
        decided_by=decided.param(plan, "compare_with_paper"),
    script:
        "../scripts/compare_with_paper.py"
