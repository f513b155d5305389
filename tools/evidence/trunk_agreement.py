"""Compare the zoo's trunks with other implementations of the same files, layer by layer.

The transformer is compared with onnxruntime, which runs the ONNX file itself and is in no lock
(``pip install onnxruntime``); MobileNetV2 with torchvision's. What is printed is the norm of the
difference over that of the other implementation's activation, the largest of the images given:
``python tools/evidence/trunk_agreement.py photo.jpg other.jpg``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
import torchvision
from torch import Tensor

from metamers import Preprocessing, load_model, read_image
from metamers.models import zoo
from metamers.models.classifier import Classifier
from metamers.models.stages import Features
from metamers.models.weights import cache
from metamers.models.weights.state_dict import read_checkpoint

SIDE = 224


def transformer(images: Tensor) -> Iterator[tuple[str, float]]:
    """Yield each block of the transformer, and how far it is from onnxruntime's."""
    import onnxruntime

    name = "vit_small_patch14_trunk"
    network, path = load_model(name), file_of(name)
    graph = onnx.load(path)
    last = {
        node.name.split("/")[3]: node.output[0]  # of a block's additions, the last is its output
        for node in graph.graph.node
        if node.op_type == "Add" and node.name.startswith("/backbone/encoder/layer.")
        and node.name.count("/") == 4
    }  # fmt: skip
    graph.graph.output.extend(onnx.ValueInfoProto(name=output) for output in last.values())
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    found = session.run(list(last.values()), {"input_image": normalised(network, images).numpy()})
    for layer, theirs in zip(last, found, strict=True):
        block = layer.replace("layer.", "blocks.")
        yield block, apart(Features(network, block)(images), torch.from_numpy(theirs))


def mobilenet(images: Tensor) -> Iterator[tuple[str, float]]:
    """Yield stages of MobileNetV2, and how far each is from torchvision's."""
    name = "mobilenet_v2_trunk"
    network, other = load_model(name), torchvision.models.mobilenet_v2().features.eval()
    entries = read_checkpoint(file_of(name))
    other.load_state_dict(dict(zip(other.state_dict(), entries.values(), strict=True)))
    blocks = [block for block, _ in network.network.named_modules() if block.count(".") == 2
              and block.startswith("blocks.")]  # fmt: skip
    activation = other[0](normalised(network, images))
    for block, layer in zip(blocks, other[1:-1], strict=True):
        activation = layer(activation)
        yield block, apart(Features(network, block)(images), activation)


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest relative distance of the images' activations."""
    one, other = (activation.flatten(1).double() for activation in (ours, theirs))
    return float(((one - other).norm(dim=1) / other.norm(dim=1)).max())


def normalised(network: Classifier, images: Tensor) -> Tensor:
    """Return the images as the network itself is given them."""
    return (images - network.mean) / network.std


def file_of(name: str) -> Path:
    """Return the verified file of a row's weights."""
    spec = zoo.specs(zoo.read(zoo.default_path()))[name]
    return cache.locate(spec.weights, cache.cache_folder(None))


def main(paths: Sequence[str]) -> None:
    """Print the comparison on some picture files."""
    preparation = Preprocessing(SIDE, 0.875, "bicubic")
    pixels = [torch.from_numpy(read_image(path, preparation)) for path in paths]
    images = torch.stack(pixels).float() / 255
    with torch.inference_mode():
        for compare in (mobilenet, transformer):
            found = dict(compare(images))
            for layer, difference in found.items():
                print(f"{compare.__name__:<12} {layer:<12} {difference:.1e}")
            print(f"{compare.__name__:<12} {'largest':<12} {max(found.values()):.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
