"""An image's gradient does not depend on its batch, whatever the architecture.

Bits are compared where they are promised, on the embedded models (tests/test_engine.py); which
kernels a processor takes for a batch is its library's affair, so here a tolerance stands.
"""

import pytest
import timm
import torch

from metamers.targets import Target

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
    whole, losses = Target.of(features, references).gradient(images)
    for rows in ([0, 1], [3, 4, 2], [7, 5, 6, 1, 0]):
        part, some = Target.of(features, references[rows]).gradient(images[rows])
        largest = whole[rows].abs().amax(dim=(1, 2, 3), keepdim=True)
        assert ((part - whole[rows]).abs() <= TOLERANCE * largest).all()
        torch.testing.assert_close(some, losses[rows], rtol=1e-5, atol=0)
