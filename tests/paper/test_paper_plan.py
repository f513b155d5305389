"""Tables 2 and 3 as the paper's configuration has them."""

import yaml
from fixtures import ROOT

from metamers.config.plan import Plan
from metamers.config.validation import require
from metamers.synthesis import settings

BASE = yaml.safe_load((ROOT / "config/config.yaml").read_text())
PAPER = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())


def merged(base, over):
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: merged(base.get(key), value) for key, value in over.items()}


CONFIG = merged(BASE, PAPER)
PLAN = Plan.from_config(CONFIG, ZOO)
LABELS = {name: row["label"] for name, row in ZOO.items()}


def test_configuration_is_right():
    require(CONFIG, ZOO, ROOT)


def test_model_sets_are_those_of_table_2():
    sets = {
        CONFIG["set_labels"][name]: [LABELS[member] for member in PLAN.model_sets[name]]
        for name in CONFIG["experiments"]["main"]["model_sets"]
    }
    assert sets == {
        "Single CNN": ["VGG-19"],
        "Single Transformer": ["ViT-Base"],
        "CNN": ["ConvNext-Base", "AlexNet", "ResNet-50", "ResNet-18"],
        "Robust CNNs": ["ConvNext-Base Robust", "AlexNet Robust", "ResNet-18 Robust"],
        "Transformers": ["Deit-Small", "ViT-Base", "Swin-Base", "XCiT-Small"],
        "Robust Transformers": [
            "Deit-Small Robust",
            "Vit-Base (ConvStem) Robust",
            "Swin-Base Robust",
            "XCiT-Small Robust",
        ],
    }


def test_recipes_are_those_of_table_3_and_appendix_b():
    main, mixed = (settings.complete(CONFIG["recipes"][name]) for name in ("main", "mixed"))
    assert main["budget"] == {"total_steps": 40_000, "steps_per_turn": 10}
    assert main["schedule"] == {"kind": "exponential", "start": 1.0, "stop": 0.005}
    assert main["initializer"] == {"kind": "uniform", "center": 0.5, "radius": 0.1}
    assert main["ensemble"] == "round_robin"
    assert mixed["budget"]["total_steps"] == 10_000


def test_experiments_have_the_papers_shape():
    assert len(PLAN.experiments["main"]) == 6 * 3
    assert len(PLAN.experiments["mixed"]) == 100
    radii = {
        (CONFIG["bounds"][c.bound]["center"], str(CONFIG["bounds"][c.bound]["radius"]))
        for c in PLAN.experiments["bounds"]
    }
    assert radii == {
        ("initial", "8/255"),
        ("initial", "0.3"),
        ("initial", "10000"),
        ("reference", "8/255"),
        ("reference", "0.3"),
    }
    sizes = {len(PLAN.model_sets[c.model_set]) for c in PLAN.experiments["mixed"]}
    assert sizes == set(range(2, 11))


def test_zoo_of_31_judges():
    assert len(CONFIG["evaluators"]) == len(set(CONFIG["evaluators"])) == 31
    assert CONFIG["references"]["main"] == {"categories": 16, "per_class": 25}
    assert CONFIG["references"]["mixed"] == {"categories": 16, "per_class": 5}
