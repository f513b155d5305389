"""What people look at: the paper's figures, from the tables, and all metamers."""

from metamers.config import revisions
from metamers.config.plan import GALLERY_TABLES


rule draw_figures:
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
        svg=[
            report(
                f"{RUN}/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"figure": figure},
            )
            for figure in plan.figures
        ],
        png=expand(f"{RUN}/figures/{{figure}}.png", figure=plan.figures),
        html=expand(f"{RUN}/figures/{{figure}}.html", figure=plan.figures),
    log:
        f"{LOGS}/draw_figures.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        revision=revisions.FIGURES,
        config=config,
        zoo=plan.used_rows,
    script:
        "../scripts/draw_figures.py"


rule build_gallery:
    input:
        tables=expand(f"{RUN}/tables/{{table}}.parquet", table=GALLERY_TABLES),
        metamers=plan.of_named_sets(f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"),
        references=expand(
            f"{RUN}/references/{{references}}.safetensors",
            references=plan.reference_sets,
        ),
    output:
        directory(f"{RUN}/gallery"),
    log:
        f"{LOGS}/build_gallery.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        revision=revisions.GALLERY,
        config=config,
        zoo=plan.used_rows,
    script:
        "../scripts/build_gallery.py"
