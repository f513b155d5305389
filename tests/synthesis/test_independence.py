"""An image's gradient does not depend on its batch, whatever the architecture.

With several threads, an image's place in its chunk may decide which of them sums what: XCiT's
gradients then differ, so that a tolerance stands there. Whole jobs: tests/execution/test_runner.py.
"""

import pytest
import timm
import torch

from metamers.synthesis.chunks import CHUNK_SIZE, pad
from metamers.synthesis.objective import ModelObjective

TOLERANCE = 1e-5  # of the image's largest gradient and of its loss; measured: at most 8.4e-7
NETWORKS = {
    "resnet18": {},
    "mobilenetv2_100": {},
    "resnext50_32x4d": {},
    "vit_tiny_patch16_224": {"img_size": 64},
    "xcit_nano_12_p16_224": {"img_size": 64},
    "swin_tiny_patch4_window7_224": {"img_size": 64},
    "mixer_s32_224": {"img_size": 64},
}


def deviation(name):
    """Return how far gradients depend on an image's neighbours and place in a chunk."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = timm.create_model(name, pretrained=False, **NETWORKS[name])
        references, images = torch.rand(2, 8, 3, 64, 64)
    features = network.eval().requires_grad_(False).forward_features
    whole, losses = ModelObjective.prepare(features, references).gradient(images)
    found = []
    for rows in ([0, 1], [3, 4, 2], [7, 5, 6, 1, 0], [1, 2, 3, 4, 5, 6, 7, 0]):
        target = ModelObjective.prepare(features, pad(references[rows], CHUNK_SIZE))
        part, some = target.gradient(pad(images[rows], CHUNK_SIZE))
        largest = whole[rows].abs().amax(dim=(1, 2, 3), keepdim=True)
        found.append(((part[: len(rows)] - whole[rows]).abs() / largest).max())
        found.append((some[: len(rows)] / losses[rows] - 1).abs().max())
    return torch.stack(found).max()


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_of_an_image_has_the_same_bits_in_any_batch(name, threads):
    threads(1)
    assert deviation(name) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_is_nearly_that_in_any_batch_with_several_threads(name, threads):
    threads(2)
    assert deviation(name) <= TOLERANCE


@pytest.mark.parametrize("channels_last", [False, True])
def test_gradient_of_a_padded_single_image_is_right(channels_last):
    """With one image, channels first, torch's gradient of XCiT is off by more than its norm."""
    name = "xcit_nano_12_p16_224"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = timm.create_model(name, pretrained=False, **NETWORKS[name])
        references, images = torch.rand(2, 1, 3, 64, 64)
    network.eval().requires_grad_(False)
    twice = [pad(one, 2) for one in (references, images)]
    precise = [one.double() for one in twice]
    (expected, *_), _ = ModelObjective.prepare(
        network.double().forward_features, precise[0]
    ).gradient(precise[1])
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network.float().to(memory_format=layout)
    laid_out = [one.contiguous(memory_format=layout) for one in twice]
    gradient, _ = ModelObjective.prepare(network.forward_features, laid_out[0]).gradient(
        laid_out[1]
    )
    error = torch.linalg.vector_norm(gradient[0] - expected) / torch.linalg.vector_norm(expected)
    assert error < 1e-3
