"""Answers of the evaluators, distances of activations, and image metrics.

A job takes many conditions and evaluators, since imports and the loading of models cost
more than small networks do; what it computed is kept, so that an added condition or
evaluator costs only itself.
"""

from metamers.config import decided


rule predict_references:
    input:
        images=f"{RUN}/references/{{references}}.safetensors",
        weights=f"{RUN}/weights/{{model}}.json",
    output:
        f"{RUN}/predictions/references/{{references}}/{{model}}.parquet",
    log:
        f"{LOGS}/predict_references/{{references}}/{{model}}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        decided_by=decided.param(plan, "predict_references"),
    script:
        "../scripts/predict_references.py"


rule check_accuracy:
    input:
        answers=expand(
            f"{RUN}/predictions/references/{{references}}/{{model}}.parquet",
            references=plan.reference_sets,
            model=plan.models,
        ),
        references=expand(
            f"{RUN}/references/{{references}}.parquet", references=plan.reference_sets
        ),
    output:
        f"{RUN}/tables/accuracy.parquet",
    log:
        f"{LOGS}/check_accuracy.log",
    localrule: True
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "check_accuracy"),
    script:
        "../scripts/check_accuracy.py"


rule measure_baselines:
    input:
        pool=f"{RUN}/null_pool/images.safetensors",
        references=expand(
            f"{RUN}/references/{{references}}.safetensors",
            references=plan.reference_sets,
        ),
        weights=plan.of_group(f"{RUN}/weights/{{model}}.json"),
    output:
        null_distribution=f"{RUN}/measurements/null_distribution/{{models}}.parquet",
        ceiling=f"{RUN}/measurements/ceiling/{{models}}.parquet",
    log:
        f"{LOGS}/measure_baselines/{{models}}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        decided_by=decided.param(plan, "measure_baselines"),
    script:
        "../scripts/measure_baselines.py"


rule evaluate_models:
    input:
        metamers=plan.of_batch(f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"),
        references=plan.of_batch_references(
            f"{RUN}/references/{{references}}.safetensors"
        ),
        weights=lambda wildcards: expand(
            f"{RUN}/weights/{{model}}.json",
            model=plan.evaluator_groups[wildcards.evaluators],
        ),
    output:
        **{
            name: f"{RUN}/measurements/{name}/{{batch}}/{{evaluators}}.parquet"
            for name in plan.similarity_files
        },
        predictions=f"{RUN}/predictions/metamers/{{batch}}/{{evaluators}}.parquet",
        similarity=f"{RUN}/measurements/similarity/{{batch}}/{{evaluators}}.parquet",
        likeness=f"{RUN}/measurements/likeness/{{batch}}/{{evaluators}}.parquet",
        power=f"{RUN}/measurements/power/{{batch}}/{{evaluators}}.parquet",
    log:
        f"{LOGS}/evaluate_models/{{batch}}/{{evaluators}}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        decided_by=decided.param(plan, "evaluate_models"),
        store=f"{RUN}/store/evaluations",
    script:
        "../scripts/evaluate_models.py"


rule measure_images:
    input:
        metamers=plan.of_batch(f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"),
        references=plan.of_batch_references(
            f"{RUN}/references/{{references}}.safetensors"
        ),
        weights=expand(f"{RUN}/weights/{{model}}.json", model=plan.feature_networks),
    output:
        f"{RUN}/measurements/image_metrics/{{batch}}.parquet",
    log:
        f"{LOGS}/measure_images/{{batch}}.log",
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    params:
        decided_by=decided.param(plan, "measure_images"),
        store=f"{RUN}/store/image_metrics",
    script:
        "../scripts/measure_images.py"
