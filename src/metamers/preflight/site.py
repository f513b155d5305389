"""A cluster's own: account, partitions and GPU, from the one small file that a user fills in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

SITE_FILE = Path("profiles/slurm/site.yaml")


class SiteError(ValueError):
    """A site's file is missing or wrong; the message says what was expected."""


@dataclass(frozen=True)
class Site:
    """What differs from cluster to cluster (``profiles/slurm/site.yaml``).

    Attributes
    ----------
    account
        Of ``sbatch --account``; None where the cluster has a default.
    cpu_partition, gpu_partition
        Of ``sbatch --partition``; None is the cluster's default partition.
    gpu_type
        As in ``sbatch --gpus=<type>:1``; None is any.
    longest
        Minutes that no job's time limit exceeds, however often it was retried.
    """

    account: str | None
    cpu_partition: str | None
    gpu_partition: str | None
    gpu_type: str | None
    longest: int

    @classmethod
    def read(cls, base: Path | None = None) -> Site:
        """Read the file that ``METAMERS_SITE`` names, or ``profiles/slurm/site.yaml``.

        Parameters
        ----------
        base
            Folder that the path starts from; None is the current one.

        Raises
        ------
        SiteError
            If there is no such file, or its keys or values are not those of the fields.
        """
        path = site_file(base)
        if not path.is_file():
            raise SiteError(
                f"no site file {str(path)!r}: run from the folder of the Snakefile, or let "
                f"METAMERS_SITE name a file like {str(SITE_FILE)!r} (docs/cluster.md)"
            )
        found = yaml.safe_load(path.read_text())
        expected = [field.name for field in fields(cls)]
        if not isinstance(found, Mapping) or sorted(found) != sorted(expected):
            raise SiteError(f"{path} has {found!r}; expected are the keys {expected}")
        if not isinstance(found["longest"], int) or found["longest"] < 1:
            raise SiteError(f"{path}: longest is {found['longest']!r}, not a number of minutes")
        texts = {name: _text(found[name]) for name in expected if name != "longest"}
        return cls(**texts, longest=found["longest"])

    def cpu_resources(self) -> dict[str, str]:
        """Return Snakemake's resources that send a job without GPU to its place."""
        return self._resources(slurm_partition=self.cpu_partition)

    def gpu_resources(self) -> dict[str, str]:
        """Return Snakemake's resources that send a job with a GPU to its place."""
        return self._resources(slurm_partition=self.gpu_partition, gpu_model=self.gpu_type)

    def runtime(self, minutes: int) -> str:
        """Return Snakemake's expression for a time limit that grows with each attempt."""
        return f"min({minutes} * attempt, {self.longest})"

    def _resources(self, **named: str | None) -> dict[str, str]:
        every = {"slurm_account": self.account} | named
        return {name: repr(value) for name, value in every.items() if value is not None}


def site_file(base: Path | None = None) -> Path:
    """Return where the site's file is to be."""
    return (base or Path()) / os.environ.get("METAMERS_SITE", SITE_FILE)


def _text(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else str(value)
