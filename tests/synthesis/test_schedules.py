"""Courses of the learning rate."""

import numpy as np
import pytest
import torch

from metamers.synthesis import schedules


def test_exponential_schedule_reaches_its_end_after_the_last_repetition():
    settings = {"kind": "exponential", "start": 1.0, "stop": 0.005}
    gamma = 0.005 ** (1 / 4000)
    rates = [schedules.rate(settings, t, 4000, 10 * t) for t in range(4001)]
    np.testing.assert_allclose(rates, gamma ** np.arange(4001), rtol=1e-9)
    assert rates[-1] == pytest.approx(0.005)


def test_cosine_schedule_is_that_of_torch():
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.1)
    settings = {"kind": "cosine", "start": 2.0, "stop": 0.1}
    for repetition in range(51):
        (expected,) = scheduler.get_last_lr()
        found = schedules.rate(settings, repetition, 50, 10 * repetition)
        assert found == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_halving_schedule_halves_after_so_many_steps():
    settings = {"kind": "halving", "start": 1.0, "every": 3000}
    steps = [0, 2990, 3000, 5990, 6000, 21000]
    rates = [schedules.rate(settings, 0, 1, s) for s in steps]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 1 / 128]
