import pytest
import torch
from torch import nn
from torch.nn import functional

from metamers.models import architectures
from metamers.models.architectures.convstem import ChannelNorm, ConvStem
from metamers.models.architectures.cornet import RecurrentArea

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")


@pytest.fixture
def area():
    torch.manual_seed(0)
    area = RecurrentArea(3, 4, steps=2).eval()
    for module in area.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return area


@pytest.fixture(scope="module")
def cornet():
    torch.manual_seed(0)
    return architectures.cornet_s().eval()


def published_names():
    """Return the names in CORnet-S's published checkpoint, without its module. before them."""
    names = {"decoder.linear.weight", "decoder.linear.bias", "V1.conv1.weight", "V1.conv2.weight"}
    norms = {"V1.norm1", "V1.norm2"}
    for name, steps in {"V2": 2, "V4": 4, "IT": 2}.items():
        names |= {f"{name}.{c}.weight" for c in ("conv_input", "skip", "conv1", "conv2", "conv3")}
        norms |= {f"{name}.norm_skip"}
        norms |= {f"{name}.norm{i}_{step}" for i in (1, 2, 3) for step in range(steps)}
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return names | {f"{norm}.{kind}" for norm in norms for kind in kinds}


def test_cornet_has_the_published_names(cornet):
    assert set(cornet.state_dict()) == published_names()


def test_cornet_has_the_published_number_of_parameters(cornet):
    assert sum(p.numel() for p in cornet.parameters()) == 53_416_616  # Table 4


def test_an_area_shares_weights_over_time_but_not_its_normalisation(area):
    """Two time steps written out: Kubilius et al. 2019, Fig. 1."""
    images = torch.rand(2, 3, 8, 8)
    convolve = functional.conv2d
    start = convolve(images, area.conv_input.weight)
    around = area.norm_skip(convolve(start, area.skip.weight, stride=2))
    inner = area.norm1_0(convolve(start, area.conv1.weight)).relu()
    inner = area.norm2_0(convolve(inner, area.conv2.weight, stride=2, padding=1)).relu()
    first = (area.norm3_0(convolve(inner, area.conv3.weight)) + around).relu()
    inner = area.norm1_1(convolve(first, area.conv1.weight)).relu()
    inner = area.norm2_1(convolve(inner, area.conv2.weight, padding=1)).relu()
    second = (area.norm3_1(convolve(inner, area.conv3.weight)) + first).relu()
    assert torch.equal(area(images), second)


def test_a_forward_leaves_an_area_as_it_was(area):
    images = torch.rand(2, 3, 8, 8)
    described = str(area)
    first = area(images)
    assert torch.equal(area(images), first)
    assert str(area) == described


def test_cornet_areas_halve_the_resolution(cornet):
    shapes = []
    state = torch.rand(1, 3, 64, 64)
    for module in cornet:
        state = module(state)
        shapes.append(tuple(state.shape[1:]))
    assert shapes == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2), (1000,)]


def test_channel_norm_gives_each_position_mean_0_and_variance_1():
    torch.manual_seed(0)
    normed = ChannelNorm(16)(torch.rand(2, 16, 3, 5) * 7 + 1)
    assert normed.shape == (2, 16, 3, 5)
    assert normed.mean(dim=1).abs().max() < 1e-5
    assert (normed.var(dim=1, correction=0) - 1).abs().max() < 1e-4


def test_convstem_gives_one_token_per_16_pixels():
    assert ConvStem()(torch.rand(1, 3, 64, 32)).shape == (1, 768, 4, 2)


def test_convstem_replaces_nothing_but_the_patch_embedding():
    import timm

    plain = timm.create_model("vit_base_patch16_224").state_dict()
    stemmed = architectures.vit_base_convstem().state_dict()
    assert sum(t.numel() for t in stemmed.values()) == 87_147_112  # Table 4
    assert set(plain) - set(stemmed) == {"patch_embed.proj.weight", "patch_embed.proj.bias"}
    assert {name.rsplit(".", 2)[0] for name in set(stemmed) - set(plain)} == {
        "patch_embed.proj.stem"
    }
