"""Runs of Snakemake, on this machine and through profiles/slurm, and what became of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import processes
import yaml

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PROFILE = ROOT / "profiles/slurm"
SMALL, LONG = HERE / "slurm.yaml", HERE / "long.yaml"
CONDITION = "photographs/main/single_squeezenet/late/unbounded/000-of-002"
METAMERS = f"results/small/metamers/{CONDITION}.safetensors"
CHECKPOINT = f"results/small/checkpoints/{CONDITION}.safetensors"
LOG = f"logs/small/synthesize_metamers/{CONDITION}.log"

# What a cluster needs and a test cannot wait for: a first look at jobs after 40 s, files that
# a shared file system shows a minute late.
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")


def local(folder: Path, *arguments: str, configs: tuple[Path, ...] = (SMALL,)) -> None:
    """Run Snakemake to its end on this machine."""
    command = command_of(folder, "--cores", "2", *arguments, configs=configs)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


class ClusterRun:
    """One run of Snakemake through a SLURM profile, in a folder of its own.

    Attributes
    ----------
    folder
        Where it runs.
    turns
        The turns that its checkpoint was seen at, in order, while it was watched.
    """

    def __init__(
        self, folder: Path, partition: str = "gpu", profile: Path = PROFILE, sacct: bool = True
    ) -> None:
        self.folder = folder
        self.turns: list[int] = []
        self._profile = profile
        self._site = folder / "site.yaml"
        self._site.write_text(site(partition))
        self._environment = os.environ | {"METAMERS_SITE": str(self._site)}
        if not sacct:
            self._environment["PATH"] = f"{without_sacct(folder)}:{os.environ['PATH']}"
        self._output = folder / "snakemake.out"
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def start(self, *arguments: str, configs: tuple[Path, ...] = (SMALL, LONG)) -> None:
        """Start Snakemake as a user types it."""
        profile = ("--workflow-profile", str(self._profile), *IMPATIENT)
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command_of(self.folder, *profile, *arguments, configs=configs),
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=processes.end_with_parent,
            )

    def finish(self, seconds: float = 400) -> None:
        """Wait for Snakemake's end; what it said is in the error if that was not a good one."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            code = "still running"
        assert code == 0, f"{code}\n{self.said()[-8000:]}"

    def kill(self) -> None:
        """Kill Snakemake alone, as the end of a login session does."""
        assert self._process is not None
        processes.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def doctor(self) -> str:
        """Return what `metamers doctor --slurm` says in the run's folder."""
        done = subprocess.run(
            [sys.executable, "-m", "metamers", "doctor", "--slurm"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def said(self) -> str:
        """Return what Snakemake printed."""
        return self._output.read_text()

    def submitted(self) -> list[str]:
        """Return the numbers of the SLURM jobs that were submitted, in order."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.said())

    def until_under_way(self, seconds: float = 240) -> str:
        """Wait until the synthesis has some progress on disk; return its SLURM job."""
        self.until(lambda: self.turns and self.turns[-1] >= 3, "a checkpoint", seconds)
        return self.submitted()[-1]

    def until(self, ready: Callable[[], object], what: str, seconds: float = 240) -> None:
        """Wait until something is so, as long as Snakemake runs."""
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, f"no {what} after {seconds} s\n{self.said()[-6000:]}"
            time.sleep(0.05)

    def _watch(self) -> None:
        path = self.folder / CHECKPOINT
        while True:
            turn = turn_of(path)
            if turn is not None and (not self.turns or self.turns[-1] != turn):
                self.turns.append(turn)
            time.sleep(0.02)


def turn_of(checkpoint: Path) -> int | None:
    """Return the turn that a checkpoint of one batch was written after, None if there is none."""
    try:
        with checkpoint.open("rb") as file:
            header = file.read(1 << 20)
    except OSError:
        return None
    found = re.search(rb'turn\\?": *"?(\d+)', header)
    return int(found[1]) if found else None


def site(gpu_partition: str) -> str:
    """Return the text of a site file for the test's SLURM."""
    values = {"account": None, "cpu_partition": "cpu", "gpu_partition": gpu_partition}
    return yaml.safe_dump(values | {"gpu_type": "fake", "longest": 1440})


def without_sacct(folder: Path) -> Path:
    """Return a folder for PATH that hides sacct from the plugin, which looks with ``which``.

    When the controller does not answer, the plugin goes over to sacct wherever it finds one.
    That is right on clusters with accounting; the test's SLURM has none, and sacct only fails.
    """
    programs = folder / "bin"
    programs.mkdir()
    which = programs / "which"
    which.write_text(f'#!/bin/sh\n[ "$1" != sacct ] && exec {shutil.which("which")} "$@"\n')
    which.chmod(0o755)
    return programs


def profile_with(folder: Path, shipped: str, instead: str) -> Path:
    """Write a copy of the shipped profile that differs in one line, and return its folder."""
    text = (PROFILE / "profile.yaml").read_text()
    assert text.count(shipped) == 1, f"{shipped!r} is not once in {PROFILE}"
    folder.mkdir()
    (folder / "profile.yaml").write_text(text.replace(shipped, instead))
    return folder


def command_of(
    folder: Path, *arguments: str, configs: tuple[Path, ...] = (SMALL, LONG)
) -> list[str]:
    """Return the command line of a run in a folder."""
    return [
        *(sys.executable, "-m", "snakemake", *arguments),
        *("--directory", str(folder), "--configfile", *map(str, configs)),
    ]
