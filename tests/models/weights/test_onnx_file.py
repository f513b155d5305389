"""ONNX files as weights: read as data, named as torch would, and taken into timm's network."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from metamers.models import classifier
from metamers.models.architectures import mobilenet_v2_trunk
from metamers.models.weights import cache as weights_cache
from metamers.models.weights import conversion, onnx_file
from metamers.models.weights.errors import (
    RenamedKeysError,
    TruncatedFileError,
    UnreadableFileError,
    WebPageError,
)
from metamers.models.weights.row import Layout, WeightsRow
from metamers.models.weights.state_dict import state_dict

LAYOUT = Layout(keep="backbone.", convert="onnx_dinov2")


# transformers' own names, and those that it had when the zoo's file was exported.
RENAMED = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
}


def write(path, initializers, nodes=()):
    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in initializers.items()]
    onnx.save(helper.make_model(helper.make_graph(list(nodes), "net", [], [], tensors)), path)
    return path


def old(name):
    for new, before in RENAMED.items():
        name = name.replace(new, before)
    return name


def exported(network, path):
    """Write a network as torch's exporter does: factors transposed and, as positions, unnamed."""
    own = {f"backbone.{old(n)}": value.numpy() for n, value in network.state_dict().items()}
    del own["backbone.embeddings.mask_token"]
    positions = own.pop("backbone.embeddings.position_embeddings")
    nodes = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            unnamed = f"onnx::MatMul_{len(nodes)}"
            own[unnamed] = own.pop(f"backbone.{old(name)}.weight").T
            inputs, scope = [f"x{len(nodes)}", unnamed], old(name).replace(".", "/")
            scope = scope.replace("layer/", "layer.")
            nodes.append(helper.make_node("MatMul", inputs, [], f"/backbone/{scope}/MatMul"))
    own |= {"onnx::Concat_1": positions[:, :1], "onnx::Reshape_2": positions[:, 1:]}
    own["onnx::Unsqueeze_3"] = np.array([0])
    nodes += [
        helper.make_node("Concat", ["onnx::Concat_1"], [], "/backbone/embeddings/Concat_6"),
        helper.make_node("Reshape", ["onnx::Reshape_2"], [], "/backbone/embeddings/Reshape_1"),
        helper.make_node("Unsqueeze", ["onnx::Unsqueeze_3"], [], "/backbone/Unsqueeze"),
    ]
    return write(path, own, nodes)


@pytest.fixture
def theirs():
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=518, patch_size=14
    )
    network = Dinov2Model(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


def ours():
    return VisionTransformer(
        img_size=224, patch_size=14, embed_dim=24, depth=2, num_heads=2, init_values=1.0,
        num_classes=0,
    ).eval()  # fmt: skip


def test_a_transformer_from_onnx_computes_what_transformers_does(theirs, tmp_path):
    path = exported(theirs, tmp_path / "net.onnx")
    network = ours()
    network.load_state_dict(state_dict(path, LAYOUT, network), strict=True)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = theirs(images, output_hidden_states=True)
        torch.testing.assert_close(network.blocks[0](embedded(network, images)),
                                   expected.hidden_states[1], rtol=1e-4, atol=1e-5)  # fmt: skip
        torch.testing.assert_close(network(images), expected.pooler_output, rtol=1e-4, atol=1e-5)


def embedded(network, images):
    return network.norm_pre(network._pos_embed(network.patch_embed(images)))


def test_a_row_with_an_onnx_file_is_read_by_the_process_with_limits(theirs, tmp_path):
    path = exported(theirs, tmp_path / "net.onnx")
    row = WeightsRow(source="local", path=str(path), file=path.name, layout=LAYOUT)
    weights, target = conversion.converted(row, weights_cache.locate(row, tmp_path), tmp_path)
    assert target.suffix == ".safetensors"
    entries = state_dict(target, weights.layout, ours())
    assert torch.equal(entries["cls_token"], theirs.embeddings.cls_token)


def test_weights_are_called_as_torch_would_and_shapes_left_out(tmp_path):
    factor = np.arange(6, dtype=np.float32).reshape(2, 3)
    given = {"fc.bias": np.zeros(3, np.float32), "onnx::MatMul_7": factor}
    given |= {"onnx::Reshape_8": np.array([1, 2]), "onnx::Add_9": np.ones(3, np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["y"], "/fc/MatMul"),
        helper.make_node("Add", ["y", "onnx::Add_9"], ["z"], "/fc/Add_1"),
    ]
    found = onnx_file.read(write(tmp_path / "net.onnx", given, nodes))
    assert set(found) == {"fc.bias", "fc.weight", "fc.Add_1"}
    np.testing.assert_array_equal(found["fc.weight"], factor.T)


def test_a_wrong_onnx_file_is_refused(theirs, tmp_path):
    path = exported(theirs, tmp_path / "net.onnx")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TruncatedFileError, match="not a complete ONNX file"):
        onnx_file.read(path)
    path.write_bytes(b"<!doctype html>" + whole)
    with pytest.raises(WebPageError):
        onnx_file.read(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UnreadableFileError, match="ONNX"):
        onnx_file.read(path)
    with pytest.raises(UnreadableFileError, match="no weights"):
        onnx_file.read(write(path, {}))
    with pytest.raises(RenamedKeysError, match="onnx_dinov2"):
        state_dict(write(path, {"backbone.a": np.ones(3, np.float32)}), LAYOUT, ours())


def test_weights_in_another_file_are_not_followed(tmp_path):
    elsewhere = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    elsewhere.data_location = TensorProto.EXTERNAL
    elsewhere.external_data.add(key="location", value="/etc/passwd")
    path = tmp_path / "net.onnx"
    graph = helper.make_graph([], "net", [], [], [elsewhere])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(UnreadableFileError, match="another file"):
        onnx_file.read(path)


def test_mobilenet_trunk_takes_torchvisions_weights_by_order(tmp_path):
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    features = mobilenet_v2().features.eval()
    torch.save(features.state_dict(), tmp_path / "net.pt")
    trunk = mobilenet_v2_trunk().eval()
    trunk.load_state_dict(state_dict(tmp_path / "net.pt", Layout(by_order=True), trunk))
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = features(images).mean(dim=(2, 3))
        torch.testing.assert_close(trunk(images), expected, rtol=1e-4, atol=1e-6)


def test_the_transformer_trunk_takes_multiples_of_fourteen():
    trunk = classifier.architecture("own:vit_small_patch14_trunk").eval()
    with torch.inference_mode():
        assert trunk(torch.rand(1, 3, 56, 56)).shape == (1, 384)
        with pytest.raises(AssertionError):
            trunk(torch.rand(1, 3, 64, 64))
