"""What a run on a cluster or a machine needs, checked before any job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from metamers.execution.machine import folder_problems
from metamers.preflight import slurm
from metamers.preflight.site import Site, site_file
from metamers.preflight.slurm import Partition, SlurmError

# The plugin looks at jobs every 180 s at most, and must still find those that have ended.
SHORTEST_MEMORY = 240


class ClusterError(RuntimeError):
    """A cluster or a machine cannot do what is asked; the message lists all of it."""


def require(executor: str, status_command: str | None, base: Path) -> None:
    """Refuse, before its first job, a run that would fail.

    Parameters
    ----------
    executor
        Snakemake's, as ``slurm`` or ``local``.
    status_command
        Program that it looks at jobs with, ``squeue`` or ``sacct``; None if it needs none.
    base
        Folder that Snakemake was started in.

    Raises
    ------
    ClusterError
        Listing everything that is wrong.
    """
    found = list(folder_problems(Path()))
    if executor == "slurm":
        site = Site.read(base) if site_file(base).is_file() else None
        found += slurm_problems(site, Path(), status_command)
    if found:
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(found, 1))
        raise ClusterError(f"the run cannot begin (docs/cluster.md):\n{listed}")


def slurm_problems(
    site: Site | None, folder: Path, status_command: str | None = "squeue"
) -> list[str]:
    """Return why a run cannot use this SLURM: an empty list if it can.

    Parameters
    ----------
    site
        What the profile asks of it; None if the profile is not ours.
    folder
        Where the run's jobs would work.
    status_command
        Program that Snakemake would look at jobs with; the profile's is ``squeue``.
    """
    absent = slurm.missing_programs()
    if absent:
        return [
            f"the executor is slurm, but {absent} are not on PATH: run on a login node of the "
            "cluster, or locally with --cores instead of --workflow-profile profiles/slurm"
        ]
    try:
        found = list(_memory_problems(slurm.settings())) if status_command == "squeue" else []
        if site is not None:
            found += _site_problems(site)
        return found + list(_left_jobs(folder))
    except SlurmError as error:
        return [f"SLURM does not answer: {error}"]


def _site_problems(site: Site) -> list[str]:
    known = slurm.partitions()
    found = [
        *_partition_problems(site, "cpu_partition", known),
        *_partition_problems(site, "gpu_partition", known),
        *_account_problems(site),
    ]
    return found or list(_refusals(site))


def _partition_problems(site: Site, key: str, known: Mapping[str, Partition]) -> Iterator[str]:
    name = getattr(site, key)
    default = next((p for p in known.values() if p.default), None)
    partition = known.get(name) if name is not None else default
    if partition is None:
        met = f"no partition {name!r}" if name is not None else "no partition given, and no default"
        yield f"{met} ({key} of {site_file()}); this cluster has {sorted(known)}"
        return
    if not partition.up:
        yield f"partition {partition.name!r} ({key}) is down"
    if partition.minutes is not None and partition.minutes < site.longest:
        yield (
            f"partition {partition.name!r} ({key}) ends jobs after {partition.minutes} minutes, "
            f"but {site_file()} has longest: {site.longest}; jobs would wait for ever"
        )
    if key == "gpu_partition":
        yield from _gpu_problems(site, partition, known)


def _gpu_problems(
    site: Site, partition: Partition, known: Mapping[str, Partition]
) -> Iterator[str]:
    if not partition.gpu_types:
        others = sorted(name for name, other in known.items() if other.gpu_types)
        yield (
            f"partition {partition.name!r} has no GPU (gpu_partition of {site_file()}); "
            f"those with GPUs are {others}"
        )
    elif site.gpu_type is not None and site.gpu_type not in partition.gpu_types:
        yield (
            f"partition {partition.name!r} has no GPU of type {site.gpu_type!r} (gpu_type of "
            f"{site_file()}); it has {sorted(partition.gpu_types)}"
        )


def _account_problems(site: Site) -> Iterator[str]:
    accounted = slurm.settings().get("AccountingStorageType", "").endswith("slurmdbd")
    if site.account is None:
        return
    if not accounted:
        yield (
            f"account {site.account!r} is given, but this cluster keeps no accounts: "
            f"set account: null in {site_file()}"
        )
        return
    mine = slurm.accounts()
    if site.account not in mine:
        yield (
            f"no account {site.account!r} for this user (account of {site_file()}); "
            f"there are {mine}"
        )


def _refusals(site: Site) -> Iterator[str]:
    """Yield SLURM's own reasons against jobs with and without a GPU."""
    account = [f"--account={site.account}"] if site.account else []
    gpus = f"--gpus={site.gpu_type}:1" if site.gpu_type else "--gpus=1"
    for what, partition, more in (
        ("a job without GPU", site.cpu_partition, []),
        ("a job with a GPU", site.gpu_partition, [gpus]),
    ):
        where = [f"--partition={partition}"] if partition else []
        said = slurm.refusal([*account, *where, *more])
        if said is not None:
            yield f"SLURM would not take {what}: {said} (keys of {site_file()})"


def _memory_problems(settings: Mapping[str, str]) -> Iterator[str]:
    age = slurm.seconds(settings.get("MinJobAge", "300 sec"))
    if age < SHORTEST_MEMORY:
        yield (
            f"SLURM forgets jobs {age} s after their end (MinJobAge), but Snakemake looks every "
            "180 s; where there is accounting, add --slurm-status-command sacct"
        )


def _left_jobs(folder: Path) -> Iterator[str]:
    """Yield a warning about jobs of an earlier run, whose work would otherwise be done twice."""
    left = slurm.jobs_from(folder)
    if left:
        numbers = " ".join(job.number for job in left)
        yield (
            f"{len(left)} jobs of an earlier run of {str(folder.resolve())!r} have not ended; a "
            f"synthesis keeps its progress when it is cancelled: scancel {numbers}"
        )
