"""Pickles are converted by a process with limits, once; a file that harms it harms nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cached_files import put, row, set_aside
from checkpoints_to_read import assert_equal

from metamers.models.classifier import load_pretrained
from metamers.models.weights import conversion, conversion_process, state_dict, survey
from metamers.models.weights.conversion import Limits, converted
from metamers.models.weights.errors import (
    OtherArchitectureError,
    RenamedKeysError,
    UnreadableFileError,
    UnsafePickleError,
)
from metamers.models.weights.row import Layout


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def checkpoint_of(crafted):
    """Return a torch checkpoint whose pickle is one of our own."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({"weight": torch.ones(2)}))) as honest,
        zipfile.ZipFile(target, "w") as archive,
    ):
        for name in honest.namelist():
            is_pickle = name.endswith("data.pkl")
            archive.writestr(name, crafted if is_pickle else honest.read(name))
    return target.getvalue()


def key_of_a_dict(made):
    """Return a pickle that makes a dictionary, whose one key it hashes then."""
    return b"\x80\x02}" + made + b"K\x01s."


NESTED = b")" + b"\x85" * 300_000
"""A tuple in a tuple, and so on: hashing it runs over the stack."""

DOUBLED = b")" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(100))
"""Each tuple holds the last one twice: hashing it takes 2^100 steps."""

HARMFUL = {
    "takes memory": (saved({"weight": torch.zeros(1).expand(1 << 28)}), "memory"),
    "never ends": (checkpoint_of(key_of_a_dict(DOUBLED)), "not done after|SIGXCPU"),
    "crashes": (checkpoint_of(key_of_a_dict(NESTED)), "was ended by SIGSEGV"),
}


@pytest.fixture
def here(monkeypatch):
    """Let this process do what its own does, without the seconds that it takes to start."""

    def run(asked, _, said):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            ended = conversion_process.convert(json.loads(asked))
        said.write(printed.getvalue().encode())
        return ended

    monkeypatch.setattr(conversion, "_run", run)


@pytest.mark.parametrize("harm", HARMFUL)
def test_a_harmful_file_is_refused_by_name_and_set_aside(tmp_path, monkeypatch, harm):
    content, message = HARMFUL[harm]
    few = Limits(memory=300 << 20, seconds=8 if harm == "never ends" else 60)
    monkeypatch.setattr(Limits, "of", lambda path: few)
    cache = tmp_path / "cache"
    path = put(cache, content)
    with pytest.raises(UnreadableFileError, match=message) as refusal:
        survey.fetch_one("darknet", row(), cache)
    assert "model 'darknet'" in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert [aside.name.partition("Z-")[2] for aside in set_aside(cache)] == [
        "net.pth",
        "net.pth.reason.txt",
    ]
    assert [found for found in (cache / "converted").rglob("*") if found.is_file()] == []


def test_the_harm_is_real():
    """Without the limits, a process of its own crashes by one, and the other does not end."""
    unguarded = "import pickle, sys; pickle._loads(sys.stdin.buffer.read())"
    crashed = subprocess.run(
        [sys.executable, "-c", unguarded], input=key_of_a_dict(NESTED), check=False
    )
    assert crashed.returncode == -signal.SIGSEGV
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-c", unguarded], input=key_of_a_dict(DOUBLED), timeout=3, check=False
        )


@pytest.mark.parametrize("layout", [Layout(nested=("model",)), Layout(("model",), by_order=True)])
def test_a_model_has_the_same_weights_by_either_way(tmp_path, model, layout):
    trained = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    stored = {f"other {name}": value for name, value in trained.items()}
    path = put(tmp_path, saved({"model": stored if layout.by_order else trained, "epoch": 90}))
    weights, made = converted(row(layout=layout), path, tmp_path)
    assert made.suffix == ".safetensors"
    assert_equal(state_dict.state_dict(made, weights.layout, model), trained)


@pytest.mark.usefixtures("here")
def test_views_of_one_tensor_are_converted_apart(tmp_path):
    whole = torch.arange(6.0)
    path = put(tmp_path, saved({"a": whole, "b": whole[2:], "c": whole.view(2, 3).T}))
    _, made = converted(row(), path, tmp_path)
    assert_equal(
        state_dict.read_checkpoint(made), {"a": whole, "b": whole[2:], "c": whole.view(2, 3).T}
    )


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"weight": 1j * torch.ones(2)}, OtherArchitectureError, r"'weight'.*complex64"),
        ({"weight": torch.ones(2).to_sparse()}, OtherArchitectureError, r"'weight'.*sparse"),
        ({"weight": 3}, RenamedKeysError, r"'weight', is a int"),
        ({"weight": Path("/")}, UnsafePickleError, r"asks for 'pathlib"),
    ],
)
@pytest.mark.usefixtures("here")
def test_the_reasons_of_the_process_are_those_of_the_reader(tmp_path, content, error, message):
    path = put(tmp_path, saved(content))
    with pytest.raises(error, match=message):
        converted(row(), path, tmp_path)


@pytest.fixture
def once(tmp_path, here):
    """Return a file, and what it was converted to."""
    path = put(tmp_path, saved({"weight": torch.ones(2)}))
    return path, converted(row(), path, tmp_path)[1]


def test_a_file_is_converted_once_for_each_layout(tmp_path, once, monkeypatch):
    path, made = once
    renamed = row(layout=Layout(rename={"weight": "kernel"}))
    assert converted(renamed, path, tmp_path)[1] != made
    monkeypatch.setattr(conversion, "_run", None)
    assert converted(row(), path, tmp_path)[1] == made
    assert list(state_dict.read_checkpoint(converted(renamed, path, tmp_path)[1])) == ["kernel"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "no note"])
def test_a_damaged_conversion_is_made_anew(tmp_path, once, damage):
    path, made = once
    content = made.read_bytes()
    if damage == "no note":
        made.with_name("sha256").unlink()
    elif damage == "remove":
        made.unlink()
    else:
        made.write_bytes(content[:-4] if damage == "truncate" else content[:-1] + b"\x01")
    assert converted(row(), path, tmp_path)[1] == made
    assert made.read_bytes() == content


def test_a_flipped_bit_of_the_same_size_and_time_is_found_by_rehashing(tmp_path, once):
    path, made = once
    content, status = made.read_bytes(), made.stat()
    made.write_bytes(content[:-1] + b"\x01")
    os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert converted(row(), path, tmp_path, rehash=True)[1].read_bytes() == content


def test_another_file_of_the_same_name_has_its_own_conversion(tmp_path, once):
    path, made = once
    path.write_bytes(saved({"weight": torch.zeros(2)}))
    other = converted(row(), path, tmp_path)[1]
    assert other != made
    assert_equal(state_dict.read_checkpoint(other), {"weight": torch.zeros(2)})


def test_a_process_that_is_stopped_from_outside_says_nothing_of_the_file(tmp_path, monkeypatch):
    path = put(tmp_path, saved({"weight": torch.ones(2)}))
    monkeypatch.setattr(conversion, "_run", lambda *_: -signal.SIGKILL)
    with pytest.raises(ChildProcessError, match=r"net\.pth.*SIGKILL.*Was it stopped"):
        survey.fetch_one("net", row(), tmp_path)
    assert path.is_file()


@pytest.mark.parametrize("said", ["", "{}", '{"kind": "os", "message": 1}', "[" * 9000, "\x1b[2J"])
def test_what_the_process_prints_is_not_trusted(tmp_path, said):
    error = conversion._refusal(tmp_path / "net.pth", said)
    assert "net.pth" in str(error) or "1" in str(error)
    assert str(error).isprintable()


GIVEN_UP = """
import encodings.idna, json, os, socket, sys
from metamers.models.weights import conversion_process as process
{before}
alone = process.deny_network()
process.limit(memory={memory}, seconds={seconds})
"""


def within(code, memory=1 << 30, seconds=60, before=""):
    """Run code in a process that has given up what the conversion's process does."""
    given_up = GIVEN_UP.format(memory=memory, seconds=seconds, before=before)
    return subprocess.run(
        [sys.executable, "-c", given_up + code],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


NOBODY = "os.setgroups([]); os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")
@pytest.mark.parametrize("who", ["", NOBODY], ids=["as who runs the tests", "as nobody"])
def test_machine_code_has_no_network(who):
    """By a namespace: `socket` is not asked to refuse anything here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = within(
            f"try: socket.create_connection(('127.0.0.1', {port}), 5)\n"
            "except OSError as error: print(alone, error)",
            before=who,
        )
    if "False" in done.stdout:
        pytest.skip("this kernel gives unprivileged processes no namespace: SECURITY.md says so")
    assert "True [Errno 101] Network is unreachable" in done.stdout, done


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "open('{}/written', 'w')",
        "import os; os.remove('{}/kept')",
        "import os; os.rename('{}/kept', '{}/moved')",
        "import ctypes; ctypes.CDLL(None)",
    ],
)
def test_python_code_has_no_sockets_processes_or_writing(tmp_path, code):
    (tmp_path / "kept").touch()
    hook = "sys.addaudithook(process.refuse_event)\n"
    done = within(hook + code.replace("{}", str(tmp_path)))
    assert "PermissionError: a file of weights asked for" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_memory_and_time_are_limited():
    done = within("bytearray(2 << 30)", memory=1 << 30)
    assert "MemoryError" in done.stderr
    begun = time.monotonic()
    done = within("while True: pass", seconds=1)
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
    assert time.monotonic() - begun < 30


def test_no_other_process_reads_a_pickle(tmp_path, monkeypatch, root):
    """A network that was fetched is loaded while torch's reader of pickles is broken."""
    import torchvision

    from metamers.models import zoo

    spec = zoo.specs(zoo.read(root / "config/models.yaml"))["squeezenet"]
    trained = torchvision.models.squeezenet1_0().state_dict()
    path = put(tmp_path, saved(trained))
    spec = replace(
        spec, weights=replace(spec.weights, source="local", path=str(path), file="net.pth")
    )
    spec = replace(spec, weights=row(layout=spec.weights.layout))
    survey.fetch_one(spec.name, spec.weights, tmp_path)
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(pickle, "loads", None)
    met = load_pretrained(spec, tmp_path).network.state_dict()
    assert_equal(met, trained)
