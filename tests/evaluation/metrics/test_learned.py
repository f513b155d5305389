"""Metrics with networks: the real code on files of the real format, made for the test."""

import dataclasses
import hashlib
import warnings

import numpy as np
import pytest
import torch
from fixtures import ROOT
from natural_images import IDS, natural
from torch import nn

from metamers.evaluation.metrics import compute, frechet, learned
from metamers.evaluation.metrics.registry import WEIGHTS
from metamers.models import classifier, zoo
from metamers.models.weights.errors import UnsafePickleError, WrongHashError
from metamers.models.zoo import ModelSpec

ZOO = zoo.read(ROOT / "config/models.yaml")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder with the three files: real names and formats, random values."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(random_alexnet(), folder / WEIGHTS["alexnet"].file)
    torch.save(random_inception(), folder / WEIGHTS["inception"].file)
    save_archive(random_clip(), folder / WEIGHTS["clip_rn50"].file)
    return folder


@pytest.fixture(scope="module")
def rows(cache):
    """Return the rows of `WEIGHTS` with the hashes of the files made here."""
    digests = {
        key: hashlib.sha256((cache / row.file).read_bytes()).hexdigest()
        for key, row in WEIGHTS.items()
    }
    return {
        key: dataclasses.replace(row, sha256=digests[key], sha256_prefix="")
        for key, row in WEIGHTS.items()
    }


def random_alexnet():
    """Return torchvision's names and shapes; the classifier, unused, takes no room."""
    import torchvision

    state = torchvision.models.alexnet().state_dict()
    return {
        name: torch.zeros(()).expand(value.shape) if name.startswith("classifier") else value
        for name, value in state.items()
    }


def random_inception():
    from torch_fidelity import feature_extractor_inceptionv3 as module

    class Network(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict):
            return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *a, **k: {})
        return Network("random", ["2048"]).state_dict()


def random_clip():
    """Return a small CLIP with a ResNet, in the names that OpenAI's archives have."""
    from piq.feature_extractors import clip

    network = clip.CLIP(
        embed_dim=16,
        image_resolution=64,
        vision_layers=(1, 1, 1, 1),
        vision_width=4,
        vision_patch_size=None,
        context_length=77,
        vocab_size=49408,
        transformer_width=64,
        transformer_heads=1,
        transformer_layers=2,
    )
    state = network.state_dict()
    for name in ("input_resolution", "context_length", "vocab_size"):
        state[name] = torch.tensor(0)
    return state


def save_archive(state, path):
    """Save tensors as TorchScript, a module for each dot of a name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = nn.Module()
        for name, value in state.items():
            *folders, leaf = name.split(".")
            module = root
            for folder in folders:
                if not hasattr(module, folder):
                    module.add_module(folder, nn.Module())
                module = getattr(module, folder)
            module.register_buffer(leaf, value)
        torch.jit.script(root).save(str(path))


@pytest.fixture(scope="module")
def references():
    return natural(0) / 255


@pytest.fixture(scope="module")
def metamers(references):
    noise = torch.randn(references.shape, generator=torch.Generator().manual_seed(2))
    return (references + 0.1 * noise).clamp(0, 1)


def test_lpips_is_that_of_the_authors_package(cache, metamers, references):
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's `pretrained`, in lpips
        other = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = torch.load(cache / WEIGHTS["alexnet"].file)
    places = {"0": "slice1.0", "3": "slice2.3", "6": "slice3.6", "8": "slice4.8", "10": "slice5.10"}
    other.net.load_state_dict(
        {
            f"{place}.{kind}": state[f"features.{index}.{kind}"]
            for index, place in places.items()
            for kind in ("weight", "bias")
        }
    )
    with torch.inference_mode():
        expected = other(metamers, references, normalize=True).flatten()
        found = learned.lpips(cache / WEIGHTS["alexnet"].file)(metamers, references)
    assert found.shape == (3,)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-5)


def test_lpips_leaves_torchs_hub_as_it_was(cache):
    before = torch.hub.get_dir()
    learned.lpips(cache / WEIGHTS["alexnet"].file)
    assert torch.hub.get_dir() == before


def test_lpips_of_one_image_is_one_value(cache, metamers, references):
    metric = learned.lpips(cache / WEIGHTS["alexnet"].file)
    with torch.inference_mode():
        alone, together = metric(metamers[:1], references[:1]), metric(metamers, references)
    assert alone.shape == (1,)
    assert alone[0].item() == pytest.approx(together[0].item(), rel=1e-5)


def test_inception_features_are_those_of_torch_fidelity(cache):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = cache / WEIGHTS["inception"].file
    images = natural(4, n=2, side=299)  # its own size: resizing differs between the two
    other = FeatureExtractorInceptionV3("checked", ["2048"], str(path))
    with torch.inference_mode():
        expected = other(images)[0]
        found = learned.inception(path)(images / 255)
    assert found.shape == (2, 2048)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_inception_sees_the_nearest_8_bit_image(cache):
    images = natural(5, n=1).float().clamp(1, 254)
    features = learned.inception(cache / WEIGHTS["inception"].file)
    with torch.inference_mode():
        assert torch.equal(features((images - 0.4) / 255), features(images / 255))


def test_fid_and_kid_are_distances_of_the_features_of_torchmetrics(cache, metamers, references):
    # that these distances are torchmetrics' own is tested in test_frechet, on fewer features
    from torchmetrics.image.fid import FrechetInceptionDistance

    path = cache / WEIGHTS["inception"].file
    stored = [(images * 255).round().byte() for images in (metamers, references)]
    metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(path))
    with torch.inference_mode():
        features = [metric.inception(images).numpy() for images in stored]
    tools = compute.MetricSuite({}, {}, learned.inception(path), {})
    found = compute.measure(*stored, IDS, tools, batch_size=2).set_index("measure").value
    assert found["fid"] == pytest.approx(frechet.frechet_distance(*features), rel=1e-4)
    assert found["kid"] == pytest.approx(frechet.kernel_distance(*reversed(features)), rel=1e-4)


PROMPTS = {
    "clip_iqa": ("Good photo.", "Bad photo."),
    "clip_iqa_natural": ("Natural photo.", "Synthetic photo."),
    "clip_iqa_real": ("Real photo.", "Abstract photo."),
    "clip_iqa_noisiness": ("Clean photo.", "Noisy photo."),
}


def test_prompts_are_pairs_of_torchmetrics():
    from torchmetrics.functional.multimodal.clip_iqa import _PROMPTS

    named = {name.removeprefix("clip_iqa_"): pair for name, pair in PROMPTS.items()}
    assert named.pop("clip_iqa") == _PROMPTS["quality"]
    assert named.items() <= _PROMPTS.items()
    assert set(learned.CLIP_WORDS) == set(PROMPTS)


@pytest.mark.parametrize("name", PROMPTS)
def test_clip_iqa_is_that_of_openais_network(cache, metamers, references, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources, torch.jit
        import clip
        from clip.model import build_model

        state = torch.jit.load(str(cache / WEIGHTS["clip_rn50"].file)).state_dict()
        network = build_model(state).float()
        tokens = clip.tokenize([*PROMPTS[name]])
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    with torch.inference_mode():
        network.visual.attnpool.positional_embedding.zero_()  # Wang et al. 2023
        image = network.encode_image((metamers - mean) / std)
        text = network.encode_text(tokens)
        image, text = (v / v.norm(dim=1, keepdim=True) for v in (image, text))
        expected = (network.logit_scale.exp() * image @ text.T).softmax(dim=1)[:, 0]
        metrics = learned.clip_iqa(cache / WEIGHTS["clip_rn50"].file)
        metrics[name](references, references)  # another batch before
        found = metrics[name](metamers, references)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-4)
    assert found.std() > 0


def test_clip_iqa_neither_reads_nor_writes_the_home_folder(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    learned.clip_iqa(cache / WEIGHTS["clip_rn50"].file)
    assert list(tmp_path.iterdir()) == []


def test_metrics_whose_files_are_in_the_cache_are_computed(cache, rows, metamers, references):
    tools = compute.instruments(cache, weights=rows)
    found = compute.measure(metamers, references, IDS, tools).set_index("measure")
    for name in ("lpips", *PROMPTS, "fid", "kid"):
        assert set(found.status[[name]]) == {"computed"}
    assert tools.missing == {}


def test_a_file_that_is_not_the_one_meant_is_refused(cache):
    with pytest.raises(WrongHashError, match="6726825d"):
        compute.instruments(cache)


def test_only_the_missing_are_missing(cache, rows, tmp_path):
    file = rows["alexnet"].file
    (tmp_path / file).symlink_to(cache / file)
    tools = compute.instruments(tmp_path, weights=rows)
    assert "lpips" in tools.metrics
    assert set(tools.missing) == {"fid", "fid_floor", "kid", *PROMPTS}


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of a checkpoint ran')",))


@pytest.mark.parametrize("make", [learned.lpips, learned.inception])
def test_a_checkpoint_with_code_is_refused_and_not_run(make, tmp_path):
    path = tmp_path / "alexnet-owt-7be5be79.pth"
    torch.save({"features.0.weight": Evil()}, path)
    with pytest.raises(UnsafePickleError, match="nothing was run"):
        make(path)


class Grey(nn.Module):
    """Two blocks whose activations can be worked out by hand."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(nn.Identity(), nn.AvgPool2d(2))

    def forward(self, images):
        return self.blocks(images).flatten(1)


def test_perceptual_distance_by_hand():
    # unit vectors over channels: (1, 0, 0) against (0, 1, 0) in half the places
    first, second = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    first[0, 0], second[0, 0, 0], second[0, 1, 1] = 5.0, 0.1, 7.0
    distance = learned.perceptual_distance([first, 2 * first], [second, 2 * second])
    assert distance.item() == pytest.approx(2 * (0 + 2) / 2)
    assert learned.perceptual_distance([first], [3 * first]).item() == pytest.approx(0, abs=1e-6)


def test_perceptual_distance_of_tokens_is_over_their_channels():
    tokens = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    other = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]])
    assert learned.perceptual_distance([tokens], [other]).item() == pytest.approx(1.0)


def test_perceptual_distance_is_lpips_with_unit_weights(cache, metamers, references):
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = lpips.LPIPS(net="alex", pnet_rand=True, lpips=False, verbose=False)
    layers = lambda images: list(other.net(other.scaling_layer(2 * images - 1)))  # noqa: E731
    with torch.inference_mode():
        expected = other(metamers, references, normalize=True).flatten()
        found = learned.perceptual_distance(layers(metamers), layers(references))
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-4)


def test_a_classifier_gives_layers_by_depth_and_distances_in_its_last(metamers, references):
    spec = type("Row", (), {"name": "grey", "blocks": ("blocks.*",), "channels": "first"})
    layers = learned.classifier_layers(Grey(), spec)
    shapes = [tuple(layer.shape[1:]) for layer in layers(references)]
    assert shapes == [(3, 64, 64)] * 2 + [(3, 32, 32)] * 3
    tools = compute.instruments(layers={"grey": layers})
    found = compute.measure(metamers, references, IDS, tools, batch_size=2).set_index("measure")
    means = [images.mean(dim=(2, 3)).numpy() for images in (metamers, references)]
    distance = frechet.frechet_distance(*means)
    assert found.value["frechet_grey"] == pytest.approx(distance, rel=1e-4)
    kernel = frechet.kernel_distance(*reversed(means))
    assert found.value["kid_grey"] == pytest.approx(kernel, rel=1e-4)
    assert found.status["floor_grey"] == "not computed: 3 images; halves need 4"
    assert found.value["perceptual_grey"].min() > 0
    assert set(found.status[["frechet_grey", "perceptual_grey"]]) == {"computed"}


class Turned(nn.Module):
    """A module whose images have their channels last."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images):
        return self.inner(images.movedim(-1, 1)).movedim(1, -1)


class ChannelsLast(Grey):
    """The same, with activations as Swin transformers have them."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*(Turned(block) for block in self.blocks))

    def forward(self, images):
        return self.blocks(images.movedim(1, -1)).flatten(1)


def test_channels_that_stand_last_give_the_same_features_and_distances(metamers, references):
    first, last = (
        type("Row", (), {"blocks": ("blocks.*",), "channels": place}) for place in ("first", "last")
    )
    tools = compute.instruments(
        layers={
            "first": learned.classifier_layers(Grey(), first),
            "last": learned.classifier_layers(ChannelsLast(), last),
        }
    )
    found = compute.measure(metamers, references, IDS, tools).set_index("measure")["value"]
    for measure in ("frechet", "kid", "perceptual"):
        one, other = (np.atleast_1d(found[f"{measure}_{name}"]) for name in ("first", "last"))
        assert other.astype(float) == pytest.approx(one.astype(float), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith("swin")])
def test_rows_of_swin_transformers_say_where_their_channels_are(name):
    spec = ModelSpec.of({"name": name} | ZOO[name] | {"weights": {"source": "random"}})
    layers = learned.classifier_layers(classifier.build(spec), spec)
    with torch.inference_mode():
        found = layers(torch.rand(1, 3, 224, 224))
    assert [tuple(layer.shape[1:]) for layer in found[-2:]] == [(512, 14, 14), (1024, 7, 7)]


def test_features_of_tokens_are_averaged_over_tokens():
    tokens = torch.arange(12.0).reshape(1, 3, 4)
    assert torch.equal(learned.pooled(tokens), tokens.mean(dim=1))
