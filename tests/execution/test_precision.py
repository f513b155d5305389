"""Numbers that networks are computed with."""

import pytest
import torch
from fixtures import small_network
from torch import nn

from metamers.execution import precision
from metamers.models import stages


@pytest.fixture
def switches():
    """Puts torch's switches back."""
    yield
    precision.prepare("float32", torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "device", "mode"),
    [("float32", "cuda", "ieee"), ("tf32", "cuda", "tf32"), ("bf16", "cuda", "ieee")],
)
def test_float32_means_float32_unless_tf32_is_asked_for(switches, name, device, mode):
    precision.prepare(name, torch.device(device))
    assert torch.backends.cuda.matmul.fp32_precision == mode
    assert torch.backends.cudnn.conv.fp32_precision == mode
    assert torch.backends.cudnn.allow_tf32 is (mode == "tf32")


def test_tf32_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match="'tf32' needs a GPU, and the device is 'cpu'"):
        precision.prepare("tf32", torch.device("cpu"))


def test_half_features_are_near_those_in_float32_and_pixels_stay_float32(references):
    network = nn.Sequential(small_network(0)).eval()
    whole = stages.Features(network, "0")
    half = precision.Bfloat16Features(whole)
    images = references.clone().requires_grad_(True)
    found = half(images)
    (gradient,) = torch.autograd.grad(found.float().sum(), images)
    assert (found.dtype, gradient.dtype) == (torch.bfloat16, torch.float32)
    assert (half.classifier, half.module) == (network, "0")
    # bfloat16 has 8 bits of fraction; sums are in float32
    assert (found.float() - whole(references)).norm() < 0.02 * whole(references).norm()
