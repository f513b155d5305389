"""An edit that changes a step's results must raise its revision."""

import json

import golden_numbers
import numpy as np
import pytest

from metamers.config import revisions

GOLDEN = json.loads(golden_numbers.PATH.read_text())


@pytest.mark.parametrize("step", golden_numbers.STEPS)
def test_results_change_only_with_the_revision(step):
    golden, revision = GOLDEN[step], getattr(revisions, step)
    assert golden["revision"] == revision, (
        f"revisions.{step} is {revision}, the golden numbers are of {golden['revision']}: write "
        "them anew by 'python tests/support/golden_numbers.py'"
    )
    found = golden_numbers.numbers(step)
    assert found.keys() == golden["numbers"].keys()
    for name, values in golden["numbers"].items():
        # Processors round differently; an algorithm that changed differs by far more.
        np.testing.assert_allclose(
            found[name],
            values,
            rtol=2e-3,
            atol=1e-5,
            err_msg=f"{step}, {name}: results changed; raise revisions.{step} and say why there",
        )
