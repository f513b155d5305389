"""Files that are dated in the future."""

import os
import time

from metamers.preflight import clocks

DAY = 86400.0


def dated(folder, name, then):
    (folder / name).touch()
    os.utime(folder / name, (then, then))
    return folder / name


def test_files_of_the_future_are_of_now_in_their_order_and_others_stay(tmp_path):
    now = time.time()
    later, late = (dated(tmp_path, name, now + days * DAY) for name, days in (("a", 9), ("b", 2)))
    past, skewed = dated(tmp_path, "c", now - DAY), dated(tmp_path, "d", now + 30)
    assert clocks.settle(tmp_path) == 2
    assert late.stat().st_mtime_ns <= later.stat().st_mtime_ns
    assert abs(later.stat().st_mtime - now) < 60
    assert past.stat().st_mtime == now - DAY
    assert skewed.stat().st_mtime == now + 30
    assert clocks.settle(tmp_path) == 0


def test_a_run_that_has_no_folder_yet_has_none(tmp_path):
    assert clocks.settle(tmp_path / "none") == 0
