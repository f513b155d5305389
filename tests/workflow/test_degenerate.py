"""Runs that have nothing for some tables and figures end well, with panels that say why."""

import re

import pytest
import tiny_runs
import warm_workflow

pytestmark = pytest.mark.workflow

AXES = {"references": "photographs", "stages": ["late"], "bounds": ["unbounded"]}
EXPERIMENTS = {
    # All evaluators are members, of a set of one, too: nobody is held out, no gain, no agreement.
    "tiny": AXES | {"kind": "model_sets", "recipes": ["still"], "model_sets": ["all"]},
    "alone": AXES | {"kind": "model_sets", "recipes": ["still"], "model_sets": ["one"]},
    "drawn": AXES
    | {"kind": "mixed_sets", "recipes": ["still"], "draw": {"count": 1, "sizes": [2, 2]}},
    # Fewer images than a subset has.
    "few": AXES | {"kind": "power", "recipes": ["still"], "model_sets": ["one"]},
    "compared": AXES | {"kind": "recipes", "recipes": ["still"], "model_sets": ["all"]},
    "listed": AXES | {"kind": "tables", "recipes": ["still"], "model_sets": ["one"]},
}


# Single sets alone: no gradients to compare, and one image fewer than intervals like.
SINGLE = {"tiny": EXPERIMENTS["alone"]}


@pytest.mark.parametrize(
    ("experiments", "empty"),
    [
        (EXPERIMENTS, ("ensemble_gain-alone", "ensemble_gain-tiny", "mixed_sets", "power")),
        (SINGLE, ("gradient_agreement", "ensemble_gain")),
    ],
    ids=["nobody is held out", "single sets alone"],
)
def test_a_run_that_has_nothing_for_a_figure_ends_well(tmp_path, experiments, empty):
    """The synthesis begins at the reference, too: its loss is 0 from the start."""
    budget = {"total_steps": 4, "steps_per_turn": 2}
    still = {"preset": "paper", "gradient": "l2_normalised", "budget": budget}
    still |= {"initializer": {"kind": "reference"}, "agreement_every": 1}
    config = tiny_runs.config(
        recipes={"still": still},
        model_sets={"one": ["a"], "all": ["a", "b"]},
        evaluators=["a", "b"],
        experiments=tiny_runs.NOTHING | experiments,
        set_labels={},
    )
    with warm_workflow.serving(tmp_path) as server:
        tiny_runs.run(server, tmp_path / "run", config, tiny_runs.zoo())
    figures = tmp_path / "run/results/tiny/figures"
    said = {path.stem: shown(path) for path in figures.glob("*.svg")}
    assert not [name for name, text in said.items() if "Not drawn" in text]
    for name in empty:
        assert re.search("has no rows|No ensemble stands beside a single model", said[name])


def shown(path):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", path.read_text()))
