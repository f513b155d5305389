"""What people look at: the paper's figures, from the tables, and all metamers."""

from metamers.config import decided, listings
from metamers.config.plan import GALLERY_TABLES
from metamers.config.sections import section_of


rule draw_figures:
    input:
        tables=expand(f"{RUN}/tables/{{table}}.parquet", table=plan.tables),
        metamers=plan.of_shown(f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"),
        references=expand(
            f"{RUN}/references/{{references}}.safetensors",
            references=plan.reference_sets,
        ),
    output:
        svg=[
            report(
                f"{RUN}/figures/{name}.svg",
                caption=f"../report/{shown}.rst",
                category=section_of(shown),
                labels={"figure": name},
            )
            for name, (shown, _) in plan.figures.items()
        ],
        png=expand(f"{RUN}/figures/{{figure}}.png", figure=plan.figures),
        html=expand(f"{RUN}/figures/{{figure}}.html", figure=plan.figures),
    log:
        f"{LOGS}/draw_figures.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "draw_figures"),
    script:
        "../scripts/draw_figures.py"


rule draw_gallery:
    input:
        tables=expand(f"{RUN}/tables/{{table}}.parquet", table=GALLERY_TABLES),
        metamers=plan.of_named_sets(
            f"{RUN}/metamers/{{condition}}/{{shard}}.safetensors"
        ),
        references=expand(
            f"{RUN}/references/{{references}}.safetensors",
            references=plan.reference_sets,
        ),
    output:
        f"{RUN}/gallery/index.html",
        f"{RUN}/gallery/{listings.NAME}",
    log:
        f"{LOGS}/draw_gallery.log",
    conda:
        "../../envs/metamers.yaml"
    params:
        decided_by=decided.param(plan, "draw_gallery"),
    script:
        "../scripts/draw_gallery.py"
