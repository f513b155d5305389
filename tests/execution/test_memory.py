"""Where activations go, by made-up numbers, and what is measured."""

import pytest
import torch

from metamers.execution import memory
from metamers.execution.memory import place_activations


@pytest.mark.parametrize(
    ("device", "host", "expected"),
    [
        (60, 0, ["device", "device", "device"]),
        (59, 30, ["device", "device", "host"]),
        (30, 0, ["device", "device", "recomputed"]),
        (29, 20, ["device", "host", "recomputed"]),
        (5, 60, ["host", "host", "host"]),
        (5, 5, ["recomputed", "recomputed", "recomputed"]),
    ],
)
def test_activations_stay_on_the_device_then_on_the_host_then_nowhere(device, host, expected):
    places = place_activations({"small": 10, "middle": 20, "large": 30}, device, host)
    assert list(places.items()) == list(zip(["small", "middle", "large"], expected, strict=True))


def test_places_come_in_the_order_of_the_models():
    assert list(place_activations({"b": 2, "a": 1}, 10, 0)) == ["b", "a"]


def test_a_step_and_a_reserve_are_left_free():
    assert memory.spare(free=1000, working=300) == 600
    assert memory.spare(free=1000, working=2000) == 0


def machine(root, **group):
    """A machine with 8 GiB available, and a control group that may be limited."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    8388608 kB\n")
    (root / "proc/self/cgroup").write_text("4:memory:/old\n0::/slurm/job_7\n")
    folder = root / "sys/fs/cgroup/slurm"
    (folder / "job_7").mkdir(parents=True)
    for name, content in group.items():
        (folder / f"memory.{name}").write_text(content)
    return root


def test_memory_of_the_host_is_what_is_available(tmp_path):
    assert memory.free_on_host(machine(tmp_path)) == 8 * memory.GIB


def test_limit_of_a_group_around_the_process_counts_and_cached_files_give_way(tmp_path):
    limited = machine(tmp_path, max="1000\n", current="900\n", stat="anon 5\ninactive_file 50\n")
    assert memory.free_on_host(limited) == 150


def test_group_without_a_limit_does_not_count(tmp_path):
    free = machine(tmp_path, max="max\n", current="900\n", stat="")
    assert memory.free_on_host(free) == 8 * memory.GIB


def test_memory_of_this_machine_can_be_read():
    assert 0 < memory.free_on(torch.device("cpu")) < 2**50


def test_step_takes_what_is_saved_for_its_gradient():
    weight = torch.ones(10, 10)
    images = torch.ones(4, 10, requires_grad=True)

    def step():
        hidden = (images @ weight).tanh()  # its own result is saved: 4 x 10 floats
        return torch.autograd.grad(hidden.sum(), images)

    assert memory.step_bytes(step, torch.device("cpu")) == 4 * 10 * 4


@pytest.mark.parametrize(
    ("error", "exhausted"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("sizes do not match"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_errors_that_say_that_memory_ran_out_are_known(error, exhausted):
    assert memory.is_exhausted(error) is exhausted
