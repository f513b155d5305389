"""What the whole paper takes, and with the preset `fast`: counted by `metamers plan`.

python benchmarks/paper_plan.py          about two minutes; writes paper_plan.json
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import page

from metamers.cli import plan as cli_plan
from metamers.config import validation
from metamers.config.plan import Plan
from metamers.models import zoo

RESULTS = Path(__file__).parent / "paper_plan.json"
# The mark in docs/performance.md, and the configurations that are read one after the other.
PLANS = {"paper plan": ["paper"], "fast paper plan": ["paper", "paper_fast"]}


def plan_of(names: Sequence[str]) -> Plan:
    """Return the plan of configurations over the default, by name."""
    default = cases.ROOT / "config/config.yaml"
    config = validation.read([cases.ROOT / f"config/{name}.yaml" for name in names], default)
    return Plan.from_config(config, zoo.read(cases.ROOT / "config/models.yaml"))


def totals(plan: Plan) -> dict[str, Any]:
    """Return what is shown of the plan: experiments, rules, and all."""
    found = cli_plan.outlook_of(plan, probe=False, tflops=None).plain()
    return {name: found[name] for name in ("experiments", "rules", "total")}


def main() -> None:
    warnings.simplefilter("ignore")
    found = {mark: totals(plan_of(names)) for mark, names in PLANS.items()}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for mark, plan in found.items():
        page.update(cases.ROOT / "docs/performance.md", mark, page.plan_table(plan))


if __name__ == "__main__":
    main()
