"""Choices by trial: by a clock that is made up."""

import json

import pytest
import torch

from metamers.execution.autotuning import TunedSettings, fastest


class Clock:
    """Advances by what the step that ran last takes."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def step(self, seconds, gradient=(1.0, 2.0), error=None):
        def run():
            self.now += seconds
            return torch.tensor(gradient)

        def fail():
            raise error

        return lambda: run if error is None else fail()


def test_the_faster_of_two_is_taken_and_both_are_logged(caplog):
    caplog.set_level("INFO")
    clock = Clock()
    candidates = {"plain": clock.step(2.0), "quick": clock.step(1.0)}
    assert fastest("layout", candidates, clock) == "quick"
    assert "layout: plain 2000.00 ms" in caplog.text
    assert "quick 1000.00 ms" in caplog.text
    assert "taken: quick" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        {"seconds": 0.99},  # within the noise
        {"seconds": 1.5},
        {"seconds": 0.1, "gradient": (1.0, 2.1)},  # wrong
        {"seconds": 0.1, "gradient": (float("nan"), 2.0)},
        {"seconds": 0.1, "error": RuntimeError("no compiler here")},
    ],
    ids=["hardly faster", "slower", "wrong", "not finite", "broken"],
)
def test_the_first_stays_unless_another_is_right_and_clearly_faster(other):
    clock = Clock()
    assert (
        fastest("way", {"plain": clock.step(1.0), "other": clock.step(**other)}, clock) == "plain"
    )


def test_what_the_first_raises_goes_on():
    clock = Clock()
    broken = clock.step(1.0, error=torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        fastest("way", {"plain": broken}, clock)


def test_choices_survive_being_written_as_json():
    choices = TunedSettings(channels_last=True, ways={"a": "graph", "b": "eager"}, threads=3)
    assert TunedSettings.of(json.loads(json.dumps(choices.plain()))) == choices
