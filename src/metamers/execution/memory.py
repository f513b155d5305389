"""How much memory there is, what a step takes, and where the references' activations go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from metamers.synthesis.objective import Placement

GIB = 2**30
# torch's allocator on a CPU, and oneDNN, whose workspaces it could not get.
CPU_MESSAGES = ("can't allocate memory", "could not create a primitive")
# What is left free: workspaces of convolutions, fragments, other processes that grow.
RESERVE = 0.1


def place_activations(
    sizes: Mapping[str, int], device_free: int, host_free: int
) -> dict[str, Placement]:
    """Return where each model's activations of the references of a batch are kept.

    On the device as long as they fit, largest last; then in pinned memory of the host, fetched
    once per turn; then nowhere: they are computed at each turn, which costs a forward pass.

    Parameters
    ----------
    sizes
        Bytes of the activations of each model.
    device_free, host_free
        Bytes that may be used for them. On a CPU there is no other host: 0.
    """
    places: dict[str, Placement] = {}
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        size = sizes[name]
        if size <= device_free:
            places[name], device_free = "device", device_free - size
        elif size <= host_free:
            places[name], host_free = "host", host_free - size
        else:
            places[name] = "recomputed"
    return {name: places[name] for name in sizes}


def spare(free: int, working: int) -> int:
    """Return the free memory that is left after a step's and the reserve, in bytes."""
    return max(0, round(free * (1 - RESERVE)) - working)


def free_on(device: torch.device) -> int:
    """Return the bytes that tensors on a device could still take."""
    if device.type != "cuda":
        return free_on_host()
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def free_on_host(root: Path = Path("/")) -> int:
    """Return the bytes that the machine has free, or the process's control group, if fewer.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    lines = (root / "proc/meminfo").read_text().splitlines()
    (available,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return min([available * 1024, *_left_in_groups(root)])


def step_bytes(step: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes that a step takes beyond what is there before it.

    On a GPU the allocator says so. On a CPU what is saved for the gradient is counted, each
    storage once, which leaves out what lives only within an operation.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.grad_fn is not None or tensor.requires_grad:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(saved.values())


def is_exhausted(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the device or the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(message in str(error) for message in CPU_MESSAGES)
    )


def _left_in_groups(root: Path) -> list[int]:
    """Return what is left in the process's control group and those around it (version 2)."""
    lines = (root / "proc/self/cgroup").read_text().splitlines()
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    base = root / "sys/fs/cgroup"
    groups = [group for path in own for group in [base / path, *(base / path).parents]]
    return [_left_in(group) for group in groups if _is_limited(group)]


def _is_limited(group: Path) -> bool:
    limit = group / "memory.max"
    return limit.is_file() and limit.read_text().strip() != "max"


def _left_in(group: Path) -> int:
    limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    entries = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    cached = {name: int(count) for name, count in entries}.get("inactive_file", 0)
    return limit - used + cached  # the cache of files gives way
