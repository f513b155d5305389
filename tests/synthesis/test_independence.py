"""An image's gradient does not depend on its batch, whatever the architecture.

Bits are compared where they are promised, on the embedded models (tests/execution/test_runner.py);
which kernels a processor takes for a batch is its library's affair, so here a tolerance stands.
"""

import pytest
import timm
import torch

from metamers.synthesis.objective import SMALLEST_BATCH, ModelObjective

TOLERANCE = 1e-5  # of the largest gradient of the image; measured: at most 1.2e-6
NETWORKS = {
    "resnet18": {},
    "mobilenetv2_100": {},
    "resnext50_32x4d": {},
    "vit_tiny_patch16_224": {"img_size": 64},
    "xcit_nano_12_p16_224": {"img_size": 64},
    "swin_tiny_patch4_window7_224": {"img_size": 64},
    "mixer_s32_224": {"img_size": 64},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_of_an_image_is_that_in_any_batch(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = timm.create_model(name, pretrained=False, **NETWORKS[name])
        references, images = torch.rand(2, 8, 3, 64, 64)
    features = network.eval().requires_grad_(False).forward_features
    whole, losses = ModelObjective.of(features, references).gradient(images)
    for rows in ([0, 1], [3, 4, 2], [7, 5, 6, 1, 0]):
        part, some = ModelObjective.of(features, references[rows]).gradient(images[rows])
        largest = whole[rows].abs().amax(dim=(1, 2, 3), keepdim=True)
        assert ((part - whole[rows]).abs() <= TOLERANCE * largest).all()
        torch.testing.assert_close(some, losses[rows], rtol=1e-5, atol=0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_gradient_of_a_padded_single_image_is_right(channels_last):
    """With one image, channels first, torch's gradient of XCiT is off by more than its norm."""
    name = "xcit_nano_12_p16_224"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = timm.create_model(name, pretrained=False, **NETWORKS[name])
        references, images = torch.rand(2, 1, 3, 64, 64)
    network.eval().requires_grad_(False)
    twice = [one.repeat(SMALLEST_BATCH, 1, 1, 1) for one in (references, images)]
    precise = [one.double() for one in twice]
    (expected, *_), _ = ModelObjective.of(network.double().forward_features, precise[0]).gradient(
        precise[1]
    )
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network.float().to(memory_format=layout)
    laid_out = [one.contiguous(memory_format=layout) for one in twice]
    gradient, _ = ModelObjective.of(network.forward_features, laid_out[0]).gradient(laid_out[1])
    error = torch.linalg.vector_norm(gradient[0] - expected) / torch.linalg.vector_norm(expected)
    assert error < 1e-3
