"""Pickles as plain data: code in them is never run."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import resource
import zipfile

import numpy as np
import pytest
import torch
from checkpoints_to_read import save

from metamers.models.weights import restricted_pickle, state_dict
from metamers.models.weights.errors import (
    UnreadableFileError,
    UnsafePickleError,
    WeightsError,
)
from metamers.models.weights.row import Layout


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


class Bystander:
    """A class of a training script, as a checkpoint may hold."""


def hostile_pickle(trace, protocol):
    return pickle.dumps({"weight": torch.ones(2), "extra": Hostile(trace)}, protocol)


def hostile_zip(trace, protocol):
    """Return a torch checkpoint whose pickle was replaced."""
    honest, tampered = io.BytesIO(), io.BytesIO()
    torch.save({"weight": torch.ones(2)}, honest)
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(tampered, "w") as target:
        for name in source.namelist():
            is_pickle = name.endswith("data.pkl")
            content = pickle.dumps(Hostile(trace), protocol) if is_pickle else source.read(name)
            target.writestr(name, content)
    return tampered.getvalue()


def hostile_torch(trace, protocol):
    file = io.BytesIO()
    torch.save({"weight": torch.ones(2), "extra": Hostile(trace)}, file, pickle_protocol=protocol)
    return file.getvalue()


def hostile_legacy(trace, protocol):
    file = io.BytesIO()
    content = {"weight": torch.ones(2), "extra": Hostile(trace)}
    torch.save(content, file, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    return file.getvalue()


@pytest.mark.parametrize("write", [hostile_pickle, hostile_zip, hostile_torch, hostile_legacy])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("convert", ["", "keras_squeezenet", "robustbench"])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path, model, write, protocol, convert):
    trace = tmp_path / "code_was_run"
    (tmp_path / "net.pth").write_bytes(write(trace, protocol))
    with pytest.raises((UnsafePickleError, UnreadableFileError)):
        state_dict.state_dict(tmp_path / "net.pth", Layout(convert=convert), model)
    assert not trace.exists()


@pytest.mark.parametrize("write", [hostile_zip, hostile_torch, hostile_legacy])
@pytest.mark.parametrize("protocol", [2, 4])
def test_refusal_says_what_the_pickle_asked_for(tmp_path, write, protocol):
    (tmp_path / "net.pth").write_bytes(write(tmp_path / "trace", protocol))
    with pytest.raises(UnsafePickleError, match=r"asks for '(io|_io|builtins)?\.?open'"):
        state_dict.read_checkpoint(tmp_path / "net.pth")


def test_hostile_pickle_is_hostile(tmp_path):
    pickle.loads(pickle.dumps(Hostile(tmp_path / "trace"))).close()
    assert (tmp_path / "trace").exists()


def test_class_of_a_training_script_is_refused_by_name(tmp_path):
    path = save(tmp_path, {"model": {}, "config": Bystander()})
    with pytest.raises(UnsafePickleError, match=r"Bystander.*nothing in it was run.*safetensors"):
        state_dict.read_checkpoint(path)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "numpy.load", "numpy.core.multiarray.scalar.__class__"]
)
def test_numpy_reader_admits_arrays_only(tmp_path, name):
    module, _, attribute = name.rpartition(".")
    (tmp_path / "net.pkl").write_bytes(f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(UnsafePickleError, match=name):
        restricted_pickle.read_numpy_pickle(tmp_path / "net.pkl")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_numpy_reader_gives_what_was_stored(tmp_path, protocol):
    stored = {"conv": [np.arange(24.0).reshape(1, 2, 3, 4), np.ones(4, "float32")], "n": 3}
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(stored, protocol))
    met = restricted_pickle.read_numpy_pickle(tmp_path / "net.pkl")
    assert np.array_equal(met["conv"][0], stored["conv"][0])
    assert np.asarray(met["conv"][1]).dtype == np.float32
    assert met["n"] == 3


@pytest.mark.parametrize(
    "value",
    [np.float64(1.5), np.int16(-3), np.bool_(True), np.complex64(2j), np.dtype(">f4").type(7)],
)
def test_numpy_scalars_become_numbers(tmp_path, value):
    met = state_dict.read_checkpoint(save(tmp_path, {"value": value}))["value"]
    assert (met, type(met)) == (value, type(value.item()))


@pytest.mark.parametrize("array", [np.arange(6, dtype=">i2").reshape(2, 3), np.eye(3, order="F")])
def test_numpy_arrays_keep_their_order_and_byte_order(tmp_path, array):
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(array, 2))
    assert np.array_equal(restricted_pickle.read_numpy_pickle(tmp_path / "net.pkl"), array)


class Call:
    """Is what a function, as a pickle names it, returns for its arguments."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


POINTER = b"\x41" * 8


STRUCTURE = (3, "|", None, ("p",), {"p": (np.dtype("O"), 0)}, 8, 1, 27)


CRAFTED = {
    "array of objects": Call(np.ndarray, (1,), "O", POINTER),
    "array at an offset": Call(np.ndarray, (1 << 20,), "u1", b"12345678", 1 << 40),
    "scalar of objects": Call(np.float64(1).__reduce__()[0], Call(np.dtype, "O"), POINTER),
    "type of objects": Call(np.dtype, "O", False, True),
    "type of a structure": Call(np.dtype, "V8", False, True, state=STRUCTURE),
    "number's type that becomes a structure": Call(np.dtype, "f8", False, True, state=STRUCTURE),
    "state of objects": Call(
        np.empty(0).__reduce__()[0],
        *(np.ndarray, (0,), b"b"),
        state=(1, (1,), Call(np.dtype, "O"), False, POINTER),
    ),
}


@pytest.mark.parametrize("crafted", CRAFTED.values(), ids=CRAFTED.keys())
@pytest.mark.parametrize("reader", ["torch", "numpy"])
def test_a_checkpoint_cannot_make_objects_of_bytes(tmp_path, model, crafted, reader):
    if reader == "torch":
        torch.save({"epoch": crafted}, tmp_path / "net.pth")
    else:
        (tmp_path / "net.pth").write_bytes(pickle.dumps({"epoch": crafted}, 2))
    layout = Layout(convert={"torch": "", "numpy": "keras_squeezenet"}[reader])
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path / "net.pth"))):
        state_dict.state_dict(tmp_path / "net.pth", layout, model)


def test_no_constructor_of_numpy_is_called_for_a_pickle():
    numpys = [
        name
        for name, function in restricted_pickle.PLAIN_DATA.items()
        if not function.__module__.startswith(("metamers.", "argparse"))
    ]
    assert not numpys


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo of 2^31 places
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",  # an array of 2^40 bytes
        b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",  # a tuple in a tuple in a ...
        b"c_codecs\nencode\n(N}\x8c\x0c__defaults__K\x01stb.",  # a function's attributes
    ],
    ids=["memo", "bytes", "depth", "attributes"],
)
def test_a_pickle_made_up_to_exhaust_or_change_the_reader_is_refused_or_read(tmp_path, content):
    (tmp_path / "net.pkl").write_bytes(content)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limit[1]))
    try:
        with contextlib.suppress(WeightsError):
            restricted_pickle.read_numpy_pickle(tmp_path / "net.pkl")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    assert restricted_pickle.plain_bytes.__defaults__ is None
