"""What a published run consists of: images, their list, tables, answers, and the workflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from metamers.config.finished_run import FinishedRun
from metamers.config.plan import Condition
from metamers.images import png
from metamers.storage.columns import CONDITION_KEY

METADATA = "metadata.csv"
CONFIG = "config.yaml"
SNAKEFILE = "Snakefile"


def write(folder: Path, run: FinishedRun, project: Path, with_photographs: bool) -> pd.DataFrame:
    """Write all files but the two descriptions; return the list of images.

    Parameters
    ----------
    folder
        Gets ``metamers/<condition>/<image>.png``, ``photographs/<draw>/<image>.png`` if wanted,
        ``metadata.csv``, ``tables/``, ``answers/``, ``config.yaml`` and the workflow.
    project
        Folder of the Snakefile.

    Raises
    ------
    FileNotFoundError
        If there is no Snakefile.
    """
    if not (project / SNAKEFILE).exists():
        raise FileNotFoundError(f"{project} has no {SNAKEFILE}, which is published with its run")
    images = pd.DataFrame(list(_images(folder, run, with_photographs)))
    images.to_csv(folder / METADATA, index=False)
    for path in sorted((run.folder / "tables").glob("*.parquet")):
        _copy(path, folder / "tables" / path.name)
    for name, answers in judges_answers(run):
        path = folder / f"answers/{name}.csv"
        path.parent.mkdir(exist_ok=True)
        answers.to_csv(path, index=False)
    (folder / CONFIG).write_text(yaml.safe_dump(dict(run.config), sort_keys=False))
    for path in [project / SNAKEFILE, *sorted((project / "workflow").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            _copy(path, folder / path.relative_to(project))
    return images


def judges_answers(run: FinishedRun) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each evaluator's answers to the metamers whose photograph has one of 16 categories.

    Columns as in model-vs-human; the answer is the category of largest mean probability, and
    ``rt`` is not defined.
    """
    images = run.table("references")[["references", "image_id", "category"]].dropna()
    answers = run.table("predictions").merge(images, on=["references", "image_id"])
    for name, rows in answers.groupby("evaluator", observed=True):
        conditions = [
            str(Condition(*map(str, key)))
            for key in rows[list(CONDITION_KEY)].itertuples(index=False)
        ]
        yield (
            str(name),
            pd.DataFrame(
                {
                    "subj": name,
                    "Session": 1,
                    "trial": range(1, len(rows) + 1),
                    "rt": "NaN",
                    "object_response": rows["category_mean"],
                    "category": rows["category"],
                    "condition": conditions,
                    "imagename": [png.file_name(image_id) for image_id in rows["image_id"]],
                }
            ),
        )


def _images(folder: Path, run: FinishedRun, with_photographs: bool) -> Iterator[Mapping[str, Any]]:
    """Write the images, and yield a row of ``metadata.csv`` for each."""
    known = run.table("references").set_index(["references", "image_id"])
    if with_photographs:
        for draw in run.plan.reference_sets:
            ids, pixels = run.references(draw)
            images = zip(ids, pixels.numpy(), strict=True)
            for image_id, path in png.save(folder / "photographs" / draw, images):
                yield _row(folder, path, "photograph", {"references": draw}, image_id, known)
    for condition in run.plan.conditions:
        made = run.metamers(condition)
        worst = dict(zip(made.image_ids, made.losses_stored.max(axis=1).tolist(), strict=True))
        images = zip(made.image_ids, made.pixels.numpy(), strict=True)
        for image_id, path in png.save(folder / "metamers" / str(condition), images):
            own = {"models": " ".join(made.models), "largest_loss": worst[image_id]}
            row = _row(folder, path, "metamer", condition.columns(), image_id, known)
            yield row | own


def _row(
    folder: Path,
    path: Path,
    kind: str,
    columns: Mapping[str, str],
    image_id: str,
    known: pd.DataFrame,
) -> dict[str, Any]:
    draw = columns["references"]
    condition = dict.fromkeys(CONDITION_KEY) | dict(columns)
    return {
        "file_name": str(path.relative_to(folder)),
        "kind": kind,
        "image_id": image_id,
        **condition,
        "models": None,
        "largest_loss": None,
        **{name: known.at[(draw, image_id), name] for name in ("label", "wnid", "category")},
    }


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
