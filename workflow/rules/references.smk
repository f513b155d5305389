"""Reference images: drawn, cropped, and written with their manifest."""

from metamers.config import decided


rule prepare_references:
    output:
        images=f"{RUN}/references/{{references}}.safetensors",
        manifest=f"{RUN}/references/{{references}}.parquet",
    log:
        f"{LOGS}/prepare_references/{{references}}.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(
            plan, "prepare_references", f"{RUN}/references/{{references}}.safetensors"
        ),
    script:
        "../scripts/prepare_references.py"


rule prepare_null_pool:
    output:
        images=f"{RUN}/null_pool/images.safetensors",
        manifest=f"{RUN}/null_pool/images.parquet",
    log:
        f"{LOGS}/prepare_null_pool.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "prepare_null_pool"),
    script:
        "../scripts/prepare_null_pool.py"
