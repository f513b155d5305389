"""The tables of docs/performance.md and docs/engine.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean, mean
from typing import Any

COLUMNS = {
    "limit": "bare limit",
    "plain_limit": "plain limit",
    "limit_plain_loops": "loops alone",
    "predecessor": "predecessor, batch",
    "predecessor_batch_1": "predecessor, one by one",
    "plenoptic": "plenoptic",
    "plenoptic_prepared": "plenoptic, our network",
}


def tables(results: Mapping[str, Any]) -> str:
    """Return all that is shown of the results, as Markdown."""
    return "\n\n".join(
        [_origin(results), _ratios(results["cases"]), _times(results["cases"]), _growth(results)]
    )


def sets_table(results: Mapping[str, Any]) -> str:
    """Return the speed of the model sets, as Markdown."""
    rows = [
        [
            row["set"],
            f"{row['steps_per_second']:.2f}",
            f"{row['image_steps_per_second']:.1f}",
            f"{row['tflops']:.3g}",
            f"{row['share_of_peak']:.0%}" if row["share_of_peak"] is not None else "unknown",
        ]
        for row in results["sets"]
    ]
    origin = (
        f"{results['machine']['device']}, {results['precision']}, {results['stage']} stage, "
        f"{results['images']} images of {results['side']} pixels in "
        f"chunks of {results['chunk_size']}, random weights."
    )
    head = ["set", "steps/s", "image-steps/s", "TFLOP/s", "share of peak"]
    return f"{origin}\n\n{table(head, rows)}"


def convergence_table(results: Mapping[str, Any]) -> str:
    """Return the gradient evaluations that solvers need to a loss, as Markdown."""
    origin = (
        f"Measured on {results['date']}: {results['machine']['device']}, "
        f"{results['images']} photographs of {results['side']} pixels."
    )
    head = ["set", "stage", "loss (of)", "paper", "quickstart", "fast"]
    head += ["fast, time per evaluation", "held-out share, change [95 %]"]
    parts = [origin, table(head, [_to_a_loss(row) for row in results["cases"]])]
    if results["candidates"]:
        head = ["solver", "starts", "stages", "paper's evaluations over its own, least (mean)"]
        head += ["quickstart's", "not reached", "held-out share, mean change"]
        parts.append(table(head, _candidates(results)))
    return "\n\n".join(parts)


def _to_a_loss(row: Mapping[str, Any]) -> list[str]:
    return [
        "+".join(row["models"]),
        row["stage"],
        f"{row['target']:.3f} ({row['reached_by']})",
        *(
            "not reached" if row[f"{name}_evaluations"] is None else f"{row[f'{name}_evaluations']}"
            for name in ("paper", "default", "fast")
        ),
        f"{row['fast_seconds_per_evaluation_ratio']:.2f}",
        "not reached"
        if row["held_out"] is None
        else "{:.2f} {:+.2f} [{:+.2f}, {:+.2f}]".format(
            *(row[f"held_out{end}"] for end in ("", "_change", "_low", "_high"))
        ),
    ]


def _group(row: Mapping[str, Any]) -> tuple[str, int, bool]:
    return row["solver"], row["starts"], row["stage"] == "late"


def _candidates(results: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each solver: its gain over all cases, and how its metamers fare."""
    rows = [*results["cases"], *results["candidates"]]
    found = []
    for solver, starts, late in dict.fromkeys(map(_group, rows)):
        own = [row for row in rows if _group(row) == (solver, starts, late)]
        reached = [row for row in own if row["fast_evaluations"] is not None]
        cells = [solver, f"{starts}", "late" if late else "others"]
        for rule in ("paper", "default"):
            gains = [
                row[f"{rule}_evaluations"] / row["fast_evaluations"]
                for row in reached
                if row["reached_by"] == rule
            ]
            cells.append(f"{min(gains):.1f} ({geometric_mean(gains):.1f})" if gains else "")
        cells.append(f"{len(own) - len(reached)} of {len(own)}")
        cells.append(f"{mean(r['held_out_change'] for r in reached):+.3f}" if reached else "")
        found.append(cells)
    return found


def effects_table(results: Mapping[str, Any]) -> str:
    """Return what settings of the engine change, as Markdown."""
    rows = [
        [
            row["model"],
            row["stage"],
            row["setting"],
            f"{row['activation']['median']:.1e} ({row['activation']['largest']:.1e})",
            f"{row['gradient']['median']:.1e} ({row['gradient']['largest']:.1e})",
            f"{row['loss']:.4f} ({row['loss_of_reference']:.4f})",
            "{:+.3f} [{:+.3f}, {:+.3f}]".format(*row["change"]),
            f"{row['recognised']:.2f}",
            "{:.1%} [{:.1%}, {:.1%}]".format(*row["answers_that_differ"]),
        ]
        for row in results["rows"]
    ]
    origin = (
        f"Measured on {results['date']} at {results['commit']}: {results['machine']['processor']}, "
        f"device {results['machine']['device']}; {results['images']} photographs of "
        f"{results['side']} pixels, {results['recipe']['budget']['total_steps']} steps of the "
        f"quickstart's recipe, judged by {len(results['evaluators'])} models "
        f"({', '.join(results['evaluators'])}) as they are published."
    )
    head = [
        "model",
        "stage",
        "setting",
        "activations off, median (largest)",
        "gradients off",
        "mean loss (reference's)",
        "change of recognizability, 95 % interval",
        "recognizability",
        "answers that differ",
    ]
    return f"{origin}\n\n{table(head, rows)}"


# TFLOP/s that the cards are stated for, without sparsity, and the share of it that is reckoned
# with: convolutions and small matrices reach it in float32 rather than on tensor cores.
CARDS = {
    "A100, float32": (19.5, 0.6),
    "A100, TF32": (156, 0.3),
    "H100 SXM, float32": (67, 0.6),
    "H100 SXM, TF32": (494, 0.3),
}


def plan_table(found: Mapping[str, Any]) -> str:
    """Return what the whole paper takes, as Markdown."""
    rows = [
        [name, f"{row['conditions']}", *_work(row), *_hours(row["flops"])]
        for name, row in found["experiments"].items()
    ]
    rules = {rule["rule"]: rule for rule in found["rules"]}
    evaluation = {"jobs": rules["evaluate_models"]["jobs"] + rules["predict_references"]["jobs"]}
    for key in ("flops", "disk_bytes"):
        parts = [rules[name][key] or 0 for name in ("evaluate_models", "predict_references")]
        evaluation[key] = sum(parts)
    total = found["total"]
    rows.append(["evaluation", "", *_work(evaluation), *_hours(evaluation["flops"])])
    rows.append(["image metrics", "", f"{rules['measure_images']['jobs']}", "", ""] + [""] * 4)
    rows.append(["everything", "", *_work(total), *_hours(total["flops"])])
    cards = [f"{name} at {share:.0%}" for name, (_, share) in CARDS.items()]
    head = ["experiment", "conditions", "jobs", "FLOP", "disk", *(f"h, {card}" for card in cards)]
    memory = total["memory_bytes"] / 1e9
    return (
        f"{table(head, rows)}\n\nDisk of everything includes the weights. The largest job has "
        f"{memory:.1f} GB of tensors on its device."
    )


def _work(row: Mapping[str, Any]) -> list[str]:
    return [f"{row['jobs']}", f"{row['flops']:.2g}", f"{row['disk_bytes'] / 1e9:.2g} GB"]


def _hours(flops: float) -> list[str]:
    return [f"{flops / (peak * share * 1e12) / 3600:.3g}" for peak, share in CARDS.values()]


def update(path: Path, name: str, text: str) -> None:
    """Put a text between the marks of this name in a page.

    Raises
    ------
    ValueError
        If the page has no such marks.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    page = path.read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{path} must have the marks {begin!r} and {end!r}, each once")
    before, rest = page.split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _origin(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    first = results["cases"][0]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Measured on {results['date']} at {results['commit']}: {machine['processor']}, "
        f"{machine['cores']} cores, device {machine['device']}, {first['threads']} thread, "
        f"load of the machine beforehand {machine['load_average'][0]}; {packages}. "
        f"{first['images']} photographs of {first['side']} pixels, {first['precision']}, turns of "
        f"10 steps, {first['rounds']} rounds, process time."
    )


def _ratios(cases: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [case["model"], case["stage"]]
        + [
            f"{case[f'ratio_to_{name}']:.2f} ({'–'.join(f'{q:.2f}' for q in spread)})"
            for name, spread in ((name, case["quartiles"][name]) for name in COLUMNS)
        ]
        for case in cases
    ]
    return table(["model", "stage", *COLUMNS.values()], rows)


def _times(cases: Sequence[Mapping[str, Any]]) -> str:
    names = list(cases[0]["ms_per_image_step"])
    rows = [
        [case["model"], case["stage"]]
        + [f"{case['ms_per_image_step'][name]:.2f}" for name in names]
        for case in cases
    ]
    head = ["ms per image-step", "stage", *(name.replace("_", " ") for name in names)]
    return table(head, rows)


def _growth(results: Mapping[str, Any]) -> str:
    growth = results["growth"]
    steps, images = growth["seconds_by_steps"], growth["seconds_per_step_by_images"]
    memory = [
        f"{int(size) / 1e6:.0f} MB with {count} steps"
        for count, size in growth["peak_bytes_by_steps"].items()
    ]
    return "\n".join(
        [
            f"Growth ({growth['model']}, {growth['stage']}, {growth['side']} pixels):",
            "",
            f"- time by steps, {steps['sizes'][0]} to {steps['sizes'][-1]}: "
            f"{1000 * steps['slope']:.2f} ms per step, R² {steps['r_squared']:.4f};",
            f"- time of a step by images, {images['sizes'][0]} to {images['sizes'][-1]}: "
            f"{1000 * images['slope']:.2f} ms per image and {1000 * images['intercept']:.2f} ms "
            f"beside, R² {images['r_squared']:.4f};",
            f"- peak resident memory of the process: {', '.join(memory)}.",
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
