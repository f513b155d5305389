"""Runs of the workflow without the seconds of imports, for tests that need many.

A server imports torch, Snakemake and the library once. Each run, and each script of its jobs, is a
fork of it: a process of its own that starts with the imports done, and is killed like any other.
Scripts are those that Snakemake writes, preamble and all.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"))
WARM = (
    "altair", "pandas", "pyarrow.parquet", "safetensors.torch", "scipy.stats", "snakemake.cli",
    "statsmodels.api", "timm", "torch", "torchmetrics.functional.image", "torchvision",
    "metamers.analysis.tabulate", "metamers.evaluation.evaluators", "metamers.execution.runner",
    "metamers.evaluation.metrics.compute", "metamers.figures.registry",
    "metamers.images.references",
)  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A server that is ready, by the path of its socket."""

    path: str

    def start(self, folder: Path, *arguments: str, out: str = "snakemake.out") -> Run:
        """Start Snakemake in a folder, where its output goes to a file."""
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
        asked = {"snakemake": [*options, "--cores", "2", *arguments]}
        return Run(_ask(self.path, asked | {"out": str(folder / out)}), folder / out)


@dataclass(frozen=True)
class Run:
    """A run that was started.

    Attributes
    ----------
    connection
        On which its process number came first, and its exit status comes.
    out
        File of what it prints.
    """

    connection: socket.socket
    out: Path

    @property
    def process(self) -> int:
        """Return the number of the process that is Snakemake."""
        return _peer(self.connection)

    def wait(self) -> int:
        """Return the exit status; -1 of one that was killed."""
        return _status(self.connection)

    @property
    def said(self) -> str:
        """Return what it has printed."""
        return self.out.read_text()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve runs until the end of the block."""
    path = str(folder / "socket")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment |= {"PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen([sys.executable, __file__, path], cwd=ROOT, env=environment)
    try:
        while not os.path.exists(path):
            assert process.poll() is None, "the server of warm runs ended"
            time.sleep(0.05)
        yield Server(path)
    finally:
        process.kill()
        process.wait()


def _ask(path: str, asked: dict[str, object]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.sendall(json.dumps(asked | {"cwd": os.getcwd()}).encode() + b"\n")
    return connection


def _peer(connection: socket.socket) -> int:
    return int(connection.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL)[:11])


def _status(connection: socket.socket) -> int:
    said = connection.makefile().read().split()
    connection.close()
    return int(said[1]) if len(said) > 1 else -1


def serve(path: str) -> None:
    """Answer each request with a fork that does it."""
    for name in WARM:
        __import__(name)
    # A shell lets what it starts in the background ignore SIGINT, which a job by itself does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: they report
    server = socket.socket(socket.AF_UNIX)
    server.bind(path + ".new")
    server.listen(64)
    os.rename(path + ".new", path)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            server.close()
            _work(connection, path)
        connection.close()


def _work(connection: socket.socket, path: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    asked = json.loads(connection.makefile().readline())
    connection.sendall(f"{os.getpid():11d}\n".encode())
    os.chdir(asked["cwd"])
    status = 1
    try:
        with open(asked["out"], "ab", buffering=0) as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        if "script" in asked:
            sys.argv = [asked["script"]]
            runpy.run_path(asked["script"], run_name="__main__")
        else:
            _snakemake(asked["snakemake"], path, asked["out"])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(f"{status}\n".encode())
        os._exit(status)


def _snakemake(arguments: list[str], path: str, out: str) -> None:
    import snakemake.script
    from snakemake.benchmark import benchmarked
    from snakemake.cli import main

    def execute(self: Any, name: str, edit: bool = False) -> None:
        job = _ask(path, {"script": os.path.abspath(name), "out": out})
        with benchmarked(_peer(job) if self.bench_record else False, self.bench_record):
            status = _status(job)
        if status:
            raise subprocess.CalledProcessError(status, name)

    snakemake.script.PythonScript.execute_script = execute
    sys.argv = ["snakemake", *arguments]
    main(arguments)


if __name__ == "__main__":
    serve(sys.argv[1])
