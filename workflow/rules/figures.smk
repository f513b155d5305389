"""The paper's figures, from the tables."""

from metamers.config import captions, decided


rule draw_figure:
    input:
        tables=expand(f"{RUN}/tables/{{table}}.parquet", table=plan.tables),
        metamers=plan.of_experiment(
            "main", f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"
        ),
        references=expand(
            f"{RUN}/references/{{references}}.safetensors",
            references=plan.reference_sets,
        ),
    output:
        svg=report(
            f"{RUN}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        png=f"{RUN}/figures/{{figure}}.png",
        html=f"{RUN}/figures/{{figure}}.html",
    log:
        f"{LOGS}/draw_figure/{{figure}}.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "draw_figure"),
        caption=captions.of(f"{workflow.basedir}/workflow/report"),
    script:
        "../scripts/draw_figure.py"
