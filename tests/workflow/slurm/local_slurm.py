"""A real SLURM for tests: munge, slurmctld and four slurmd from Debian, without systemd.

Its ports, keys and state are its own and vanish with it. One file lies outside: the plugin's
inner ``srun`` loses ``SLURM_CONF``, so ``/etc/slurm/slurm.conf`` is a link while this runs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import processes
from filelock import FileLock

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
MACHINE_LOCK = Path(tempfile.gettempdir()) / "metamers-slurm.lock"

# Nodes of one machine, each with a partition of its own, and the GPUs that they claim. CPUs and
# memory are claimed too: without cgroups nothing is enforced.
GPUS = {"plain": 0, "steady": 4, "flaky": 1, "fragile": 1}
PARTITIONS = {"cpu": "plain", "gpu": "steady", "flaky": "flaky", "fragile": "fragile"}

CONF = """\
ClusterName=metamers
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket,cred_expire=25
CredType=cred/munge
SlurmctldPort={port}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=5,sched_interval=5,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=900
MessageTimeout=5
BatchStartTimeout=1
KillWait=20
SlurmctldTimeout=30
SlurmdTimeout=60
GresTypes=gpu
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=256000"


def why_not() -> str | None:
    """Return why no SLURM can be started here, or None if one can."""
    if os.geteuid() != 0:
        return "munge and SLURM's daemons are started as root, which this is not"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return (
            f"{', '.join(missing)} not installed (Debian: apt-get install -y "
            "--no-install-recommends munge slurmctld slurmd slurm-client)"
        )
    if SYSTEM_CONF.exists() and not _is_ours() and _answers("scontrol", "ping", "--quiet"):
        return f"{SYSTEM_CONF} is that of a SLURM that is in use"
    return None


class LocalSlurm:
    """The daemons, each of which can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.conf = home / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        # Daemons end with the thread that started them, and those of scenarios come and go.
        self._starter = ThreadPoolExecutor(max_workers=1)

    def start(self) -> None:
        """Start all daemons, and return once the nodes take jobs."""
        self._configure()
        self._start_munge()
        self.start_controller()
        for name in GPUS:
            self.start_node(name)

    def stop(self) -> None:
        """End all jobs and daemons."""
        if "slurmctld" in self._daemons:
            self.ask("scancel", "--signal=KILL", "--user=root")
            self.ask("scancel", "--user=root")
        for name in (*GPUS, "slurmctld", "munged"):
            self._end(name, signal.SIGTERM)
        for pid in processes.daemons_of_jobs(self.conf):
            processes.kill(pid, signal.SIGKILL)
        # Snakemake in a cancelled job may outlive it: it waits at SIGTERM, and SLURM, without
        # control groups, finds a process no more once its parent has gone.
        for pid in processes.with_variable("SLURM_CLUSTER_NAME=metamers"):
            processes.kill(pid, signal.SIGKILL)
        self._starter.shutdown()

    def start_controller(self) -> None:
        """Start slurmctld on the state it left, and return once it answers."""
        self._spawn("slurmctld", "slurmctld", "-D", "-f", str(self.conf))
        self.wait(lambda: _answers("scontrol", "ping", "--quiet"), "slurmctld")

    def kill_controller(self) -> None:
        """Kill slurmctld as a crash does."""
        self._end("slurmctld", signal.SIGKILL)

    def start_node(self, name: str) -> None:
        """Start a node's slurmd, and return once the node is there for jobs."""
        self._spawn(name, "slurmd", "-D", "-f", str(self.conf), "-N", name)
        ready = {"idle", "mixed", "allocated"}
        self.wait(lambda: self.ask("sinfo", "-hn", name, "-o", "%T").strip() in ready, name)

    def kill_node_daemon(self, name: str) -> None:
        """Kill a node's slurmd alone; its jobs go on."""
        self._end(name, signal.SIGKILL)

    def crash_node(self, name: str) -> None:
        """Kill a node's slurmd and everything that runs on the node, as a power cut does."""
        self.kill_node_daemon(name)
        victims = processes.with_variable(f"SLURMD_NODENAME={name}")
        for pid in [*processes.daemons_of_jobs(self.conf, victims), *victims]:
            processes.kill(pid, signal.SIGKILL)

    def ask(self, *command: str) -> str:
        """Return what a command of SLURM's prints; nothing if it fails."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout

    def insist(self, *command: str) -> str:
        """Return what a command of SLURM's prints, once it succeeds: a busy controller refuses."""
        said: list[str] = []

        def succeeded() -> bool:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            said[:] = [done.stdout]
            return done.returncode == 0

        self.wait(succeeded, " ".join(command))
        return said[0]

    def jobs(self, folder: Path) -> dict[str, str]:
        """Return the state of each job from a folder by its number, in order of submission."""
        lines = self.insist("squeue", "-h", "--states=all", "-o", "%i|%T|%Z").splitlines()
        rows = sorted((line.split("|") for line in lines), key=lambda row: int(row[0]))
        return {job: state for job, state, where in rows if Path(where) == folder}

    def active(self, folder: Path) -> list[str]:
        """Return the jobs from a folder that wait, run or are about to end."""
        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
        return [job for job, state in self.jobs(folder).items() if state not in ended]

    def describe(self, job: str) -> dict[str, str]:
        """Return what the controller knows of a job, by its own keys."""
        said = self.insist("scontrol", "show", "job", "--oneliner", job)
        return dict(re.findall(r"(?:^| )([\w:/]+)=(\S*)", said))

    def seconds_run(self, job: str) -> int:
        """Return for how long a job has been running."""
        hours, minutes, seconds = map(int, self.describe(job)["RunTime"].split(":"))
        return 3600 * hours + 60 * minutes + seconds

    def wait(self, ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until something is so; raise TimeoutError with the daemons' logs if it is not."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} not ready after {seconds} s\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        """Return the last lines of each daemon's log."""
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted(self.home.glob("*.log"))
        )

    def _configure(self) -> None:
        (self.home / "state").mkdir()
        host = socket.gethostname().split(".")[0]
        controller, *ports = processes.free_ports(1 + len(GPUS))
        lines = [CONF.format(home=self.home, host=host, port=controller)]
        devices = []
        for (name, gpus), port in zip(GPUS.items(), ports, strict=True):
            (self.home / f"spool.{name}").mkdir(mode=0o755)
            gres = f" Gres=gpu:fake:{gpus}" if gpus else ""
            lines.append(NODE.format(name=name, host=host, port=port) + gres + "\n")
            devices += [self._device(name, number) for number in range(gpus)]
        for name, node in PARTITIONS.items():
            default = " Default=YES" if name == "cpu" else ""
            lines.append(f"PartitionName={name} Nodes={node} DefMemPerCPU=500{default}\n")
        self.conf.write_text("".join(lines))
        (self.home / "gres.conf").write_text("".join(devices))
        # slurmd wants a cgroup plugin named where there are no cgroups; "disabled" came in 23.11.
        version = tuple(map(int, re.findall(r"\d+", self.ask("slurmctld", "-V"))[:2]))
        plugin = "disabled" if version >= (23, 11) else "cgroup/v1"
        (self.home / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")

    def _device(self, node: str, number: int) -> str:
        """Make a device that passes for a GPU, and return its line of gres.conf."""
        path = self.home / f"{node}.gpu{number}"
        os.mknod(path, 0o20666, os.makedev(1, 3))  # as /dev/null
        return f"NodeName={node} Name=gpu Type=fake File={path}\n"

    def _start_munge(self) -> None:
        at = {name: self.home / f"munge.{name}" for name in ("key", "socket", "pid", "log", "seed")}
        at["key"].write_bytes(os.urandom(1024))
        at["key"].chmod(0o600)
        self._spawn(
            *("munged", "munged", "--foreground", "--force"),
            *(f"--key-file={at['key']}", f"--socket={at['socket']}", f"--pid-file={at['pid']}"),
            *(f"--log-file={at['log']}", f"--seed-file={at['seed']}"),
        )
        self.wait(lambda: _answers("munge", "-n", f"--socket={at['socket']}"), "munge")

    def _spawn(self, name: str, *command: str) -> None:
        with (self.home / f"{name}.out.log").open("ab") as log:
            self._daemons[name] = self._starter.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.end_with_parent,
            ).result()

    def _end(self, name: str, how: signal.Signals) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        processes.kill(daemon.pid, how)
        try:
            daemon.wait(timeout=20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


@contextmanager
def local_slurm() -> Iterator[LocalSlurm]:
    """Start a SLURM, put its configuration where SLURM looks, and undo both in the end."""
    with FileLock(MACHINE_LOCK, timeout=1800):
        home = Path(tempfile.mkdtemp(prefix="metamers-slurm-"))
        home.chmod(0o755)
        slurm = LocalSlurm(home)
        try:
            with _in_place(slurm.conf):
                try:
                    slurm.start()
                    yield slurm
                finally:
                    slurm.stop()
        finally:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _in_place(conf: Path) -> Iterator[None]:
    """Link SLURM's own place to a configuration; put back what was there."""
    before = SYSTEM_CONF.with_name("slurm.conf.before-metamers-tests")
    made = not SYSTEM_CONF.parent.exists()
    SYSTEM_CONF.parent.mkdir(parents=True, exist_ok=True)
    if _is_ours():
        SYSTEM_CONF.unlink()  # of a test run that was killed
    elif SYSTEM_CONF.exists():
        SYSTEM_CONF.rename(before)
    SYSTEM_CONF.symlink_to(conf)
    try:
        yield
    finally:
        SYSTEM_CONF.unlink()
        if before.exists():
            before.rename(SYSTEM_CONF)
        if made:
            SYSTEM_CONF.parent.rmdir()


def _is_ours() -> bool:
    return SYSTEM_CONF.is_symlink() and "metamers-slurm-" in str(SYSTEM_CONF.readlink())


def _answers(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
