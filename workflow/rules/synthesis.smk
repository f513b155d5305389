"""Metamers: one file per condition and shard of the reference images."""

from metamers.config import decided


rule synthesize_metamers:
    input:
        references=f"{RUN}/references/{{references}}.safetensors",
        weights=plan.of_members(f"{RUN}/weights/{{model}}.json"),
        # The accuracy gate: of the set's own members, on the images to be synthesized.
        manifest=f"{RUN}/references/{{references}}.parquet",
        answers=plan.of_members(
            f"{RUN}/predictions/references/{{references}}/{{model}}.parquet"
        ),
    output:
        metamers=f"{RUN}/metamers/{CONDITION}/{{shard}}.safetensors",
        trace=f"{RUN}/traces/{CONDITION}/{{shard}}.parquet",
        agreement=f"{RUN}/gradient_agreement/{CONDITION}/{{shard}}.parquet",
    log:
        f"{LOGS}/synthesize_metamers/{CONDITION}/{{shard}}.log",
    benchmark:
        f"{LOGS}/synthesize_metamers/{CONDITION}/{{shard}}.tsv"
    conda:
        "../../envs/metamers.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        decided_by=decided.param(plan, "synthesize_metamers"),
        # Outside the outputs: Snakemake deletes those of a job that fails.
        checkpoint=f"{RUN}/checkpoints/{CONDITION}/{{shard}}.safetensors",
    script:
        "../scripts/synthesize_metamers.py"
