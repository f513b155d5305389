"""Converters, against the networks whose layouts they read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torchvision
from checkpoints_to_read import assert_equal
from torch import nn

from metamers.models.weights import converters, state_dict
from metamers.models.weights.errors import (
    RenamedKeysError,
    WeightsError,
)
from metamers.models.weights.row import Layout


def test_unknown_converter_is_named_with_those_known(model, tmp_path):
    with pytest.raises(WeightsError, match=r"'onnx'; allowed are \['keras_squeezenet'"):
        state_dict.state_dict(tmp_path / "net.pth", Layout(convert="onnx"), model)


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
