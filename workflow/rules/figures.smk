"""The paper's figures, from the tables."""

from metamers.config import captions, revisions


rule draw_figure:
    input:
        tables=expand(f"{RUN}/tables/{{table}}.parquet", table=plan.tables),
        metamers=plan.of_figure(f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"),
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
        revision=revisions.FIGURES,
        drawn=lambda wildcards: list(plan.figures[wildcards.figure]),
        caption=captions.of(f"{workflow.basedir}/workflow/report"),
        config=config,
        zoo=plan.used_rows,
    script:
        "../scripts/draw_figure.py"
