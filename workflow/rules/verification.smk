"""The end of a run: every file of it is compared with what the configuration makes."""

from metamers.config import decided, run_verification


rule verify_results:
    input:
        RESULTS,
        rules.tabulate_recognizability.input,
        rules.tabulate_measurements.input,
        rules.compare_with_paper.output,
        rules.prepare_null_pool.output,
        expand(f"{RUN}/weights/{{model}}.json", model=plan.models),
        expand(
            f"{RUN}/references/{{references}}.safetensors",
            references=plan.reference_sets,
        ),
        rules.draw_gallery.output,
        plan.of_all(f"{RUN}/gradient_agreement/{{condition}}/{{shard}}.parquet"),
        expand(
            f"{RUN}/figures/{{figure}}.{{form}}",
            figure=plan.figures,
            form=["png", "html"],
        ),
    output:
        f"{RUN}/{run_verification.verification(plan)}",
    log:
        f"{LOGS}/verify_results.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "verify_results"),
    script:
        "../scripts/verify_results.py"
