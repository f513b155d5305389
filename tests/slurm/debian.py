"""Putting SLURM on a Debian machine that runs the tests as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
POLICY = Path("/usr/sbin/policy-rc.d")


def install() -> None:
    """Install SLURM, without starting its daemons, where apt-get can; else do nothing.

    ``METAMERS_TESTS_INSTALL=no`` keeps the tests from it.
    """
    wanted = os.environ.get("METAMERS_TESTS_INSTALL") != "no"
    if not wanted or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    held = not POLICY.exists()
    if held:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                env=environment,
                capture_output=True,
                check=False,
                timeout=600,
            )
    finally:
        if held:
            POLICY.unlink()
