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
        decided_by=decided.param(plan, "prepare_references"),
    script:
        "../scripts/prepare_references.py"
