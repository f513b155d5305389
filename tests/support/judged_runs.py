"""Results of a small run whose shares of recognition are given, for tests of claims."""

from __future__ import annotations

from judged import recognition

from metamers.analysis.run_results import RunResults
from metamers.config.plan import Plan
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec

SETS = {
    "single": ["c1"],
    "cnn": ["c1", "c2"],
    "robust": ["r1", "r2"],
    "transformers": ["t1", "t2"],
}
MODELS = ("c1", "c2", "r1", "r2", "t1", "t2", "e1", "e2", "e3")
SMALLEST = {"recognizability": 0, "loss": 0.1, "clip_iqa": 0, "divergence": 0.05, "correlation": 0}
SMALLEST |= {"spectral_slope": 0.1, "checkerboard": 3}
EMBEDDED = {"single": ["c1"], "cnn": ["c1", "c2"]}


def spec(name):
    family = {"t": "transformer"}.get(name[0], "cnn")
    training = "robust" if name[0] == "r" else "standard"
    weights = WeightsRow("random")
    return ModelSpec(name, name, family, training, "own:none", 0, (), None, weights)


def plan(sets, radius="8/255"):
    bounds = {
        "unbounded": {"norm": "linf", "center": "initial", "radius": 10000},
        "small": {"norm": "linf", "center": "initial", "radius": radius},
    }
    axes = {"references": "photographs", "recipes": ["main"]}
    main = axes | {
        "kind": "model_sets",
        "model_sets": list(sets),
        "stages": ["early", "late"],
        "bounds": ["unbounded"],
    }
    few = {"model_sets": ["cnn"], "stages": ["late"], "bounds": list(bounds)}
    config = {
        "seed": 0,
        "random_weights": False,
        "stages": {"early": 0.2, "late": 0.8},
        "bounds": bounds,
        "evaluators": list(MODELS),
        "evaluation": {},
        "smallest_effects": SMALLEST,
        "experiments": {"main": main, "bounds": axes | few | {"kind": "bounds"}},
    }
    drawn = {m: {"training": "random"} for models in sets.values() for m in models if m[0] == "x"}
    return Plan(config, drawn, {name: tuple(models) for name, models in sets.items()}, {})


def evidence(shares, sets=SETS, n_images=40, **found):
    """Return what a run with these shares by set, stage and bound, alike for all models, says."""
    made = plan(sets)
    by_condition = {
        c: dict.fromkeys(MODELS, shares[c.model_set, c.stage, c.bound]) for c in made.conditions
    }
    judged = recognition(by_condition, sets, n_images)
    zoo = {name: spec(name) for name in MODELS}
    return RunResults.of(made, zoo, {"recognition": judged} | found)


SHARES = {
    ("single", "early", "unbounded"): 0.3,
    ("single", "late", "unbounded"): 0.1,
    ("cnn", "early", "unbounded"): 0.7,
    ("cnn", "late", "unbounded"): 0.9,
    ("robust", "early", "unbounded"): 0.5,
    ("robust", "late", "unbounded"): 0.9,
    ("transformers", "early", "unbounded"): 0.4,
    ("transformers", "late", "unbounded"): 0.2,
    ("cnn", "late", "small"): 0.1,
}
