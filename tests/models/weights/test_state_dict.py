"""Reading checkpoints of many layouts, and refusing those that are not the row's."""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import pickle
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from checkpoints_to_read import assert_equal, save
from safetensors.torch import save_file

from metamers.models.weights import state_dict
from metamers.models.weights.errors import (
    OtherArchitectureError,
    RenamedKeysError,
    TruncatedFileError,
    UnreadableFileError,
    WebPageError,
    WeightsError,
)
from metamers.models.weights.row import Layout


@pytest.fixture(scope="module")
def trained(model):
    """Weights that differ from the model's own."""
    return {name: tensor + 1 for name, tensor in model.state_dict().items()}


def prefixed(prefix, entries):
    return {prefix + name: value for name, value in entries.items()}


TRAINING = {
    "epoch": np.int64(90),
    "best": np.float32(76.1),
    "args": argparse.Namespace(lr=0.1, schedule=[30, 60]),
    "history": collections.OrderedDict(loss=np.arange(3.0)),
    "optimizer": {"state": {0: {"momentum": torch.ones(3)}}},
}


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
        (Layout(nested=("epoch",)), r"holds a int, not a state dict"),
        (Layout(), r"2 entries that are not tensors; the first, 'model', is a mapping"),
        (Layout(nested=("model",), keep="module."), r"no entry that begins with 'module.'"),
        (Layout(nested=("model",), rename={"^.*$": "x"}), r"two entries become 'x'"),
    ],
)
def test_wrong_layout_of_a_row_says_what_is_there(model, trained, tmp_path, layout, message):
    path = save(tmp_path, {"model": trained, "epoch": 90})
    with pytest.raises(RenamedKeysError, match=message):
        state_dict.state_dict(path, layout, model)


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
    with pytest.raises(UnreadableFileError, match="not a torch checkpoint"):
        state_dict.read_checkpoint(tmp_path / "net.pth")


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
