"""What a SLURM says of itself: partitions, accounts, settings, jobs."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# What the plugin's comment on each job begins with, be it of a rule or of a group.
COMMENT = "rule_"
PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
_SECONDS = 30
_UNITS = {"sec": 1, "min": 60, "hour": 3600}


class SlurmError(RuntimeError):
    """SLURM did not answer, or refused; the message is its own."""


@dataclass(frozen=True)
class Partition:
    """A partition, over all its nodes.

    Attributes
    ----------
    name
        Its name.
    default
        Whether jobs that name no partition go there.
    up
        Whether it takes jobs.
    minutes
        The longest time limit of a job; None is any.
    gpu_types
        Types of the GPUs of its nodes, an empty string for those without a type.
    """

    name: str
    default: bool
    up: bool
    minutes: int | None
    gpu_types: frozenset[str]


@dataclass(frozen=True)
class Job:
    """A job in the queue.

    Attributes
    ----------
    number, state, comment
        As SLURM has them; Snakemake's comments name rule and wildcards.
    """

    number: str
    state: str
    comment: str


def missing_programs() -> list[str]:
    """Return the programs of SLURM that are not on PATH."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def ask(*command: str) -> str:
    """Return what a program prints.

    Raises
    ------
    SlurmError
        If it is not there, fails, or does not answer within half a minute.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError as error:
        raise SlurmError(f"{command[0]!r} is not on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{' '.join(command)!r} did not answer within {_SECONDS} s") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise SlurmError(f"{' '.join(command)!r} failed: {said}")
    return done.stdout


def partitions() -> dict[str, Partition]:
    """Return all partitions by name."""
    found: dict[str, Partition] = {}
    for line in ask("sinfo", "--noheader", "--format=%P|%a|%l|%G").splitlines():
        label, state, limit, resources = line.strip().split("|")
        name = label.removesuffix("*")
        before = found[name].gpu_types if name in found else frozenset()
        types = before | gpu_types(resources)
        found[name] = Partition(name, label != name, state == "up", minutes(limit), types)
    return found


def gpu_types(resources: str) -> frozenset[str]:
    """Return the types of GPU in a list of generic resources, as ``gpu:a100:4(S:0-1),nvme:1``."""
    pattern = r"(?:^|,)gpu(?::([^:,(]*[^:,(\d][^:,(]*))?(?::\d+)?"
    return frozenset(match[1] or "" for match in re.finditer(pattern, resources))


def minutes(limit: str) -> int | None:
    """Return a time limit as ``1-12:30:00`` in minutes; None if it is infinite."""
    if not re.fullmatch(r"(\d+-)?[\d:]+", limit):
        return None
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, mins, _seconds = [0] * (3 - len(parts)) + parts
    return int(days or 0) * 1440 + hours * 60 + mins


def settings() -> dict[str, str]:
    """Return the controller's settings by name."""
    lines = (line.partition("=") for line in ask("scontrol", "show", "config").splitlines())
    return {name.strip(): value.strip() for name, mark, value in lines if mark}


def seconds(setting: str) -> int:
    """Return a duration as ``300 sec`` in seconds."""
    number, _, unit = setting.partition(" ")
    return int(number) * _UNITS.get(unit or "sec", 1)


def accounts() -> list[str]:
    """Return the accounts that the user may charge."""
    user = getpass.getuser()
    said = ask("sacctmgr", "-nP", "show", "associations", f"user={user}", "format=account")
    return sorted(set(said.split()))


def jobs_from(folder: Path) -> list[Job]:
    """Return the jobs that Snakemake submitted from a folder for the user and that have not ended.

    Others may come from there too, as the job that Snakemake itself runs in.
    """
    rows = (line.split("|", 3) for line in ask("squeue", "--me", "-ho", "%i|%T|%Z|%k").splitlines())
    here = folder.resolve()
    return [
        Job(number, state, comment)
        for number, state, where, comment in rows
        if Path(where).resolve() == here and comment.startswith(COMMENT)
    ]


def refusal(options: Sequence[str]) -> str | None:
    """Return why SLURM would not take a job with some options of sbatch, None if it would."""
    try:
        ask("sbatch", "--test-only", *options, "--wrap=true")
    except SlurmError as error:
        return str(error)
    return None
