"""Reading checkpoints of many layouts, and refusing those that are not the row's."""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import io
import pickle
import re
import resource
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from metamers.models.weights import converters, restricted_pickle, state_dict
from metamers.models.weights.errors import (
    OtherArchitectureError,
    RenamedKeysError,
    TruncatedFileError,
    UnreadableFileError,
    UnsafePickleError,
    WebPageError,
    WeightsError,
)
from metamers.models.weights.row import Layout

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    """A small network with batch normalisation."""
    torch.manual_seed(0)
    return torchvision.models.shufflenet_v2_x0_5()


@pytest.fixture(scope="module")
def trained(model):
    """Weights that differ from the model's own."""
    return {name: tensor + 1 for name, tensor in model.state_dict().items()}


def prefixed(prefix, entries):
    return {prefix + name: value for name, value in entries.items()}


def assert_equal(met, expected):
    assert list(met) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(met[name].to(tensor.dtype), tensor), name


TRAINING = {
    "epoch": np.int64(90),
    "best": np.float32(76.1),
    "args": argparse.Namespace(lr=0.1, schedule=[30, 60]),
    "history": collections.OrderedDict(loss=np.arange(3.0)),
    "optimizer": {"state": {0: {"momentum": torch.ones(3)}}},
}
"""What training scripts leave beside the weights."""

LAYOUTS = {
    "bare": (dict, Layout()),
    "under a key": (lambda e: {"model": e}, Layout(nested=("model",))),
    "under two keys": (lambda e: {"a": {"b": e}}, Layout(nested=("a", "b"))),
    "of DataParallel": (lambda e: prefixed("module.", e), Layout(keep="module.")),
    "of the robustness library": (
        lambda e: {
            "model": prefixed("module.model.", e) | prefixed("module.attacker.model.", e),
            **TRAINING,
        },
        Layout(nested=("model",), keep="module.model."),
    ),
    "with something to drop": (
        lambda e: e | {"extra": torch.ones(2)},
        Layout(drop=("extra",)),
    ),
    "with other names": (
        lambda e: {n.replace("stage", "block_"): v for n, v in e.items()},
        Layout(rename={r"^block_(\d)": r"stage\1"}),
    ),
    "with names of another library": (
        lambda e: {f"layer {i}": v for i, v in enumerate(e.values())},
        Layout(by_order=True),
    ),
    "RobustBench, bare": (dict, Layout(convert="robustbench")),
    "RobustBench, wrapped": (
        lambda e: {"state_dict": prefixed("module.model.", e) | {"normalize.mean": torch.ones(3)}},
        Layout(convert="robustbench"),
    ),
    "RobustBench, model": (
        lambda e: {"model": prefixed("model.", e)},
        Layout(convert="robustbench"),
    ),
    "without counters": (
        lambda e: {n: v for n, v in e.items() if not n.endswith("num_batches_tracked")},
        Layout(),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_zip", [True, False])
def test_layout_gives_the_models_names(model, trained, tmp_path, layout, is_zip):
    write, row = LAYOUTS[layout]
    torch.save(write(trained), tmp_path / "net.pth", _use_new_zipfile_serialization=is_zip)
    met = state_dict.state_dict(tmp_path / "net.pth", row, model)
    counters = {n: model.state_dict()[n] for n in trained if n.endswith("num_batches_tracked")}
    kept = counters if layout == "without counters" else {}
    assert_equal(met, trained | kept)
    copy.deepcopy(model).load_state_dict(met, strict=True)


def test_safetensors_are_read(model, trained, tmp_path):
    save_file(trained, tmp_path / "net.safetensors")
    met = state_dict.state_dict(tmp_path / "net.safetensors", Layout(), model)
    assert_equal(met, trained)


def test_half_precision_is_kept_for_load_to_widen(model, trained, tmp_path):
    half = {n: v.half() if v.is_floating_point() else v for n, v in trained.items()}
    torch.save(half, tmp_path / "net.pth")
    met = state_dict.state_dict(tmp_path / "net.pth", Layout(), model)
    assert_equal(met, half)


def test_plain_data_beside_the_weights_is_read_as_such(tmp_path):
    torch.save(TRAINING, tmp_path / "net.pth")
    met = state_dict.read_checkpoint(tmp_path / "net.pth")
    assert (met["epoch"], type(met["epoch"])) == (90, int)
    assert met["best"] == np.float32(76.1)
    assert met["args"] == TRAINING["args"]
    assert np.array_equal(met["history"]["loss"], [0, 1, 2])


# Other files than the row means


def save(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_renamed_key_is_named_with_the_one_expected(model, trained, tmp_path):
    entries = {n.replace("fc.bias", "head.bias"): v for n, v in trained.items()}
    with pytest.raises(RenamedKeysError, match=r"lacks 1 of .*'fc.bias'.*has 1 .*'head.bias'"):
        state_dict.state_dict(save(tmp_path, entries), Layout(), model)


def test_missing_and_unexpected_keys_are_named(model, trained, tmp_path):
    missing = {n: v for n, v in trained.items() if n != "fc.bias"}
    with pytest.raises(RenamedKeysError, match=r"lacks 1 of .*'fc.bias'.*has 0"):
        state_dict.state_dict(save(tmp_path, missing), Layout(), model)
    more = trained | {"more": torch.ones(1)}
    with pytest.raises(RenamedKeysError, match=r"lacks 0 of .*has 1 .*'more'"):
        state_dict.state_dict(save(tmp_path, more), Layout(), model)


def test_only_the_first_names_are_listed(model, trained, tmp_path):
    path = save(tmp_path, prefixed("module.", trained))
    with pytest.raises(RenamedKeysError) as caught:
        state_dict.state_dict(path, Layout(), model)
    assert str(caught.value).count("module.") == state_dict.SHOWN


def test_wider_network_of_the_same_names_is_another_architecture(model, tmp_path):
    wider = torchvision.models.shufflenet_v2_x1_0().state_dict()
    with pytest.raises(OtherArchitectureError, match=r"other shapes.*\(48, 24, 1, 1\)|\(58, "):
        state_dict.state_dict(save(tmp_path, wider), Layout(), model)


def test_network_of_other_names_and_shapes_is_another_architecture(model, tmp_path):
    other = torchvision.models.squeezenet1_1().state_dict()
    with pytest.raises(OtherArchitectureError, match=r"features.0.weight.*their shapes differ too"):
        state_dict.state_dict(save(tmp_path, other), Layout(), model)


def test_order_needs_the_same_number_of_entries_and_their_shapes(model, trained, tmp_path):
    by_order = Layout(by_order=True)
    fewer = dict(list(trained.items())[:-1])
    with pytest.raises(OtherArchitectureError, match="to be matched by order"):
        state_dict.state_dict(save(tmp_path, fewer), by_order, model)
    backwards = dict(reversed(trained.items()))
    with pytest.raises(OtherArchitectureError, match="other shapes"):
        state_dict.state_dict(save(tmp_path, backwards), by_order, model)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(nested=("state_dict",)), r"no entry 'state_dict'.*2 entries, \['model', 'epoch'\]"),
        (Layout(nested=("epoch",)), r"holds a int, no state dict"),
        (Layout(), r"2 entries that are no tensors; the first, 'model', is a mapping"),
        (Layout(nested=("model",), keep="module."), r"no entry that begins with 'module.'"),
        (Layout(nested=("model",), rename={"^.*$": "x"}), r"two entries become 'x'"),
    ],
)
def test_wrong_layout_of_a_row_says_what_is_there(model, trained, tmp_path, layout, message):
    path = save(tmp_path, {"model": trained, "epoch": 90})
    with pytest.raises(RenamedKeysError, match=message):
        state_dict.state_dict(path, layout, model)


def test_unknown_converter_is_named_with_those_known(model, tmp_path):
    with pytest.raises(WeightsError, match=r"'onnx'; allowed are \['keras_squeezenet'"):
        state_dict.state_dict(tmp_path / "net.pth", Layout(convert="onnx"), model)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("net.pth", b"<!DOCTYPE html><html>", WebPageError),
        ("net.pth", b"", TruncatedFileError),
        ("net.pth", b"not a checkpoint", UnreadableFileError),
        ("net.pth", b"\x80\x02not a pickle", UnreadableFileError),
        ("net.pth", pickle.dumps({"a": [1, 2]}, 2)[:-8], TruncatedFileError),
        ("net.safetensors", b"\x10\0\0\0\0\0\0\0{", TruncatedFileError),
        ("net.safetensors", b"nothing of the kind", UnreadableFileError),
    ],
)
def test_file_that_is_no_whole_checkpoint_is_refused(tmp_path, name, content, error):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        state_dict.read_checkpoint(tmp_path / name)


def test_truncated_checkpoint_is_refused(trained, tmp_path):
    path = save(tmp_path, trained)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TruncatedFileError, match="no end"):
        state_dict.read_checkpoint(path)


def test_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("readme.txt", "weights moved")
    with pytest.raises(UnreadableFileError, match="no torch checkpoint"):
        state_dict.read_checkpoint(tmp_path / "net.pth")


# Pickles with code in them


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
"""An address, for a reader that takes bytes for objects."""

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


def test_a_checkpoint_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02}.")
        archive.writestr("net/data/0", bytes(10_000_000))
    with pytest.raises(UnreadableFileError, match="unpacks to 10,000,004"):
        state_dict.read_checkpoint(tmp_path / "net.pth")


def test_a_damaged_file_gives_weights_or_our_own_error(model, trained, tmp_path):
    """Change bytes of a zip, an old and a numpy checkpoint, and of a safetensors file."""
    rng = np.random.default_rng(0)
    torch.save(trained, tmp_path / "zip.pth")
    torch.save(trained, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(trained, tmp_path / "net.safetensors")
    (tmp_path / "numpy.pkl").write_bytes(pickle.dumps({"conv1": [np.ones((3, 3, 3, 4)), 0]}, 2))
    contents = {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    for path, content in contents.items():
        layout = Layout(convert="keras_squeezenet" if path.suffix == ".pkl" else "")
        for _ in range(150):
            damaged = bytearray(content)
            for place in [*rng.integers(0, 600, 2), len(content) - rng.integers(1, 600)]:
                damaged[place % len(content)] = rng.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(WeightsError):
                state_dict.state_dict(path, layout, model)


# Safetensors with lying headers


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "{",
        '{"w": 3}',
        '{"w": {"dtype": "F32", "shape": [1]}}',
        '{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
        '{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, "4"]}}',
        '{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1e400]}}',
        '{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        '{"w": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}',
        '{"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        '{"w": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 4]}}',
        '{"w": ' + "[" * 50_000,
        '{"\\ud800": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    ],
)
def test_a_malformed_safetensors_header_is_refused(tmp_path, model, header):
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
    with pytest.raises(WeightsError, match=r"net\.safetensors"):
        state_dict.state_dict(path, Layout(), model)


# Tensors of other numbers than weights are


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda weight: weight.to(torch.int32), "torch.int32"),
        (lambda weight: weight.to(torch.complex64), "torch.complex64"),
        (lambda weight: weight.to_sparse(), "sparse_coo"),
        (lambda weight: weight.to("meta"), "meta"),
        (lambda weight: weight.to(torch.float8_e4m3fn), "float8"),
        (lambda weight: weight * torch.nan, "NaN"),
        (lambda weight: weight + torch.inf, "infinite"),
    ],
)
def test_weights_of_other_numbers_are_refused_by_name(model, trained, tmp_path, damage, message):
    path = save(tmp_path, trained | {"fc.bias": damage(trained["fc.bias"])})
    with pytest.raises(WeightsError, match=f"{message}.*'fc.bias'|'fc.bias'.*{message}"):
        state_dict.state_dict(path, Layout(), model)


def test_entries_without_names_are_refused(model, tmp_path):
    with pytest.raises(RenamedKeysError, match="without a name: the first is a int"):
        state_dict.state_dict(save(tmp_path, {3: torch.ones(1)}), Layout(), model)


@pytest.mark.parametrize("convert", ["keras_squeezenet", "robustbench", "xcit"])
@pytest.mark.parametrize("content", [{"a": 1}, {"a": [1]}, {"a": {"b": None}}, {3: [[1], [2]]}])
def test_what_a_converter_cannot_read_is_refused_with_the_files_name(
    model, tmp_path, convert, content
):
    path = tmp_path / "net.pth"
    if convert == "keras_squeezenet":
        path.write_bytes(pickle.dumps(content, 2))
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=r"net\.pth"):
        state_dict.state_dict(path, Layout(convert=convert), model)


# Converters


@pytest.fixture
def keras_layers():
    """Random layers as Keras stores SqueezeNet 1.1: height, width, in, out, and a bias."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (3, 3, 3, 64), "conv10": (1, 1, 512, 1000)}
    squeezed = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
    entering = 64
    for fire, width in squeezed.items():
        shapes[f"fire{fire}/squeeze1x1"] = (1, 1, entering, width)
        shapes[f"fire{fire}/expand1x1"] = (1, 1, width, 4 * width)
        shapes[f"fire{fire}/expand3x3"] = (3, 3, width, 4 * width)
        entering = 8 * width
    return {
        name: [
            (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:3]))).astype("float32"),
            rng.standard_normal(shape[-1]).astype("float32"),
        ]
        for name, shape in shapes.items()
    }


def keras_forward(layers, images):
    """Return SqueezeNet 1.1's logits for RGB images in [0, 1], straight from Keras's layers."""

    def conv(name, x, **how):
        kernel, bias = (torch.from_numpy(array) for array in layers[name])
        return nn.functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, **how).relu()

    def pool(x):
        return nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)

    caffe_mean = torch.tensor([104.006, 116.669, 122.679]).view(1, 3, 1, 1)
    x = pool(conv("conv1", images[:, [2, 1, 0]] * 255 - caffe_mean, stride=2))
    for fire in range(2, 10):
        x = conv(f"fire{fire}/squeeze1x1", x)
        parts = [conv(f"fire{fire}/expand1x1", x), conv(f"fire{fire}/expand3x3", x, padding=1)]
        x = torch.cat(parts, dim=1)
        x = {3: pool, 5: pool}.get(fire, lambda same: same)(x)
    return conv("conv10", x).mean(dim=(2, 3))


def test_keras_squeezenet_gives_the_same_logits_for_ordinary_inputs(keras_layers, tmp_path):
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(keras_layers, 2))
    network = torchvision.models.squeezenet1_1().eval()
    layout = Layout(convert="keras_squeezenet")
    network.load_state_dict(state_dict.state_dict(tmp_path / "net.pkl", layout, network))
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        met = network((images - mean) / std)
        expected = keras_forward(keras_layers, images)
    # float32 sums over inputs of some hundreds: relative 1e-4 is far below any swapped channel.
    torch.testing.assert_close(met, expected, rtol=1e-4, atol=1e-3 * expected.abs().max().item())
    assert expected.std() > 0


def test_keras_layer_of_another_name_is_a_renamed_key(keras_layers, tmp_path):
    keras_layers["fire2/squeeze"] = keras_layers.pop("fire2/squeeze1x1")
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(keras_layers, 2))
    network = torchvision.models.squeezenet1_1()
    layout = Layout(convert="keras_squeezenet")
    with pytest.raises(RenamedKeysError, match=r"features.3.squeeze.weight.*fire2/squeeze.weight"):
        state_dict.state_dict(tmp_path / "net.pkl", layout, network)


@pytest.mark.filterwarnings("ignore")
def test_old_swin_names_become_what_timm_makes_of_them():
    from timm.models import swin_transformer

    network = swin_transformer.SwinTransformer(
        img_size=56, window_size=7, embed_dim=8, depths=(1, 1), num_heads=(1, 2), num_classes=3
    )
    old = {
        name.replace("layers.1.downsample", "layers.0.downsample").replace("head.fc", "head"): value
        for name, value in network.state_dict().items()
    }
    old["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49).long()
    old["layers.0.blocks.0.attn_mask"] = torch.zeros(1)
    met = converters.old_timm_swin(old)
    assert met.keys() == network.state_dict().keys()
    assert_equal(met, swin_transformer.checkpoint_filter_fn(dict(old), network))
    assert_equal(converters.old_timm_swin(met), met)


@pytest.mark.filterwarnings("ignore")
def test_authors_xcit_names_become_what_timm_makes_of_them():
    from timm.models import xcit

    network = xcit.Xcit(img_size=32, embed_dim=32, depth=1, num_heads=2, cls_attn_layers=2)
    authors = {}
    for name, value in network.state_dict().items():
        authors[name.replace("pos_embed.", "pos_embeder.")] = value
    for block in ("cls_attn_blocks.0.attn", "cls_attn_blocks.1.attn"):
        for kind in ("weight", "bias"):
            parts = [authors.pop(f"{block}.{part}.{kind}", torch.zeros(32)) for part in "qkv"]
            authors[f"{block}.qkv.{kind}"] = torch.cat(parts)
    expected = xcit.checkpoint_filter_fn(dict(authors), network)
    met = converters.xcit({"model": authors})
    assert_equal(dict(sorted(met.items())), dict(sorted(expected.items())))
    assert_equal(converters.xcit(met), met)
