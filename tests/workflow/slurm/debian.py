"""Putting SLURM on a Debian machine that runs the tests as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
POLICY = Path("/usr/sbin/policy-rc.d")


def install() -> str:
    """Install SLURM, without starting its daemons, where apt-get can; else do nothing.

    Returns what apt-get had against it. ``METAMERS_TESTS_INSTALL=no`` keeps the tests from it.
    """
    wanted = os.environ.get("METAMERS_TESTS_INSTALL") != "no"
    if not wanted or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return ""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    held = not POLICY.exists()
    if held:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        commands = (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES])
        return " ".join(_apt_get(command, environment) for command in commands).strip()
    finally:
        if held:
            POLICY.unlink()


def _apt_get(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command of apt-get; return its errors in one line, nothing if it succeeded."""
    done = subprocess.run(
        ["apt-get", "-qq", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return " ".join(done.stderr.split()) if done.returncode != 0 else ""
