"""Weights: fetched where there is a network, verified, and noted for the jobs that need them."""

from metamers.config import decided


rule fetch_weights:
    output:
        f"{RUN}/weights/{{model}}.json",
    log:
        f"{LOGS}/fetch_weights/{{model}}.log",
    # Compute nodes often have no network.
    localrule: True
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "fetch_weights", f"{RUN}/weights/{{model}}.json"),
    script:
        "../scripts/fetch_weights.py"
