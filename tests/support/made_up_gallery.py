"""A gallery of any size, all made up: 400 photographs and 24 conditions give 9,600 metamers.

``python tests/support/made_up_gallery.py FOLDER`` writes one, and measures it in Chromium.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import chromium
import numpy as np
import pandas as pd
from PIL import Image

from metamers.config.plan import Condition
from metamers.gallery import folder as gallery_folder
from metamers.gallery.run_tables import RunTables
from metamers.storage.columns import CONDITION_KEY

EVALUATORS = ("alpha", "beta", "gamma", "delta")
MEMBERS = {
    "single": ["alpha"],
    "pair": ["alpha", "beta"],
    "three": EVALUATORS[:3],
    "none": ["delta"],
}
STAGES = {"early": 0.2, "middle": 0.5, "late": 0.8}
BOUNDS = ("unbounded", "near")
SETTINGS = {"optimizer": "sgd", "budget": {"total_steps": 200, "steps_per_turn": 10}}


def run_of(photographs=400, *, name="made up", ids=None, labels=None):
    """The tables of a made-up run; ``ids`` and ``labels`` may be any text."""
    rng = np.random.default_rng(0)
    ids = ids or [f"image_{k:03d}" for k in range(photographs)]
    cells = itertools.product(["draw"], ["main"], MEMBERS, STAGES, BOUNDS)
    conditions = [Condition(*cell) for cell in cells]
    return RunTables(
        _tables(rng, ids, conditions),
        {condition: _notes(condition) for condition in conditions},
        {
            "run": name,
            "random_weights": False,
            "evaluators": list(EVALUATORS),
            "stages": STAGES,
            "preprocessing": {"size": 224},
            "model_sets": MEMBERS,
            "bounds": dict.fromkeys(BOUNDS),
            "recipes": {"main": {}},
        },
        labels or {},
    )


def _tables(rng, ids, conditions):
    keys = [dict(c.columns()) | {"image_id": i} for c, i in itertools.product(conditions, ids)]
    metamers = pd.DataFrame(keys)
    judged = metamers.merge(pd.DataFrame({"evaluator": EVALUATORS}), how="cross")
    member = [
        judge in MEMBERS[own]
        for judge, own in zip(judged["evaluator"], judged["model_set"], strict=True)
    ]
    members = pd.DataFrame(
        [{"model_set": own, "model": m} for own, all_ in MEMBERS.items() for m in all_]
    )
    losses = metamers.merge(members)
    answers = pd.DataFrame({"references": "draw", "image_id": ids}).merge(
        pd.DataFrame({"evaluator": EVALUATORS}), how="cross"
    )
    return {
        "references": pd.DataFrame(
            {"references": "draw", "image_id": ids, "label": np.arange(len(ids)) % 1000,
             "category": None}
        ),
        "predictions": _answered(rng, judged),
        "reference_predictions": _answered(rng, answers),
        "recognition": judged.assign(
            member=member, same_weights=False, rule="self", label_space="1000",
            recognised=rng.random(len(judged)) < 0.5,
        ),
        "optimisation": losses.assign(
            loss_before=1.0, loss_stored=rng.lognormal(-2, 0.5, len(losses)), reached=None
        ),
        "image_success": losses.assign(
            success=~((losses["bound"] == "near") & (losses["stage"] == "late"))
        ),
        "image_metrics": pd.concat(
            metamers.assign(measure=name, value=rng.random(len(metamers)), status="computed")
            for name in ("ssim", "psnr", "vif")
        ),
        "traces": pd.concat(
            losses[[*CONDITION_KEY, "image_id", "model"]].assign(step=10 * k, loss=0.8**k)
            for k in range(5)
        ),
    }  # fmt: skip


def _answered(rng, rows):
    best = rng.integers(0, 1000, len(rows))
    return rows.assign(
        predicted=best,
        top5=[[(int(one) + k) % 1000 for k in range(5)] for one in best],
        top5_probability=[[0.5, 0.2, 0.1, 0.05, 0.01]] * len(rows),
    )


def _notes(condition):
    made = {"version": "0", "commit": "none", "torch": "0", "device": "cpu"}
    bound = {"norm": "linf", "center": "initial", "radius": 1}
    return {
        "depth": STAGES[condition.stage],
        "bound": bound,
        "settings": SETTINGS,
        "seed": 0,
    } | made


def write(folder, run):
    """Write the page and its data, and pictures: a few, under the names of all."""
    gallery_folder.write_page(folder, run)
    rng = np.random.default_rng(1)
    few = folder / "few"
    few.mkdir()
    for k in range(8):
        noise = Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8))
        noise.save(few / f"{k}.png")
        noise.resize((112, 112)).save(few / f"{k}.webp")
    names = ["reference", *range(len(run.conditions))]
    for photograph in range(len(run.photographs)):
        for kind, suffix in (("images", "png"), ("thumbnails", "webp")):
            own = folder / kind / str(photograph)
            own.mkdir(parents=True)
            for place, name in enumerate(names):
                (own / f"{name}.{suffix}").hardlink_to(few / f"{(photograph + place) % 8}.{suffix}")


PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
CARDS = "document.querySelectorAll('.card').length"
TIMED = (
    "(async () => {{ const begun = performance.now(); {act};"
    "await new Promise(r => requestAnimationFrame(() => setTimeout(r)));"
    "return performance.now() - begun; }})()"
)
ACTS = {
    "filter": "document.querySelector('fieldset.stage input').click()",
    "search": "part('search').value = 'shark'; part('search').oninput()",
    "sort": "part('sort').value = '0'; part('sort').onchange()",
    "all": "part('reset').click()",
}


def measured(page, folder):
    """Milliseconds to the first paint, to the first metamers, and until acts are drawn."""
    page.open((folder / "index.html").as_uri())
    found = {"first paint": page.wait(PAINT), "first metamers": page.wait("gallery.firstCards")}
    page.wait("rows.photograph.length === run.photographs.length * run.conditions.length")
    return found | {name: page.run(TIMED.format(act=act)) for name, act in ACTS.items()}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write(target / "gallery", run_of())
    with chromium.page(target) as shown:
        for _ in range(3):
            print({k: round(v) for k, v in measured(shown, target / "gallery").items()})
