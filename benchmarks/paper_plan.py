"""What the whole paper takes: counted by `metamers plan`, shown in docs/performance.md.

python benchmarks/paper_plan.py          about a minute; writes paper_plan.json
"""

from __future__ import annotations

import json
import sys
import warnings
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


def paper() -> Plan:
    """Return the plan of the paper's configuration."""
    default = cases.ROOT / "config/config.yaml"
    config = validation.read([cases.ROOT / "config/paper.yaml"], default)
    return Plan.from_config(config, zoo.read(cases.ROOT / "config/models.yaml"))


def totals(plan: Plan) -> dict[str, Any]:
    """Return what is shown of the plan: experiments, rules, and all."""
    found = cli_plan.outlook_of(plan, probe=False, tflops=None).plain()
    return {name: found[name] for name in ("experiments", "rules", "total")}


def main() -> None:
    warnings.simplefilter("ignore")
    found = totals(paper())
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    shown = page.plan_table(found)
    print(shown)
    page.update(cases.ROOT / "docs/performance.md", "paper plan", shown)


if __name__ == "__main__":
    main()
