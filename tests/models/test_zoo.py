"""The rows of the zoo against the paper, the schema and the libraries that publish them."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from metamers.models import zoo
from metamers.models.weights.row import Layout, WeightsRow

# timm 1.0.9 uses it when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")

ROOT = Path(__file__).parents[2]
ROWS = zoo.read(ROOT / "config/models.yaml")
SPECS = zoo.specs(ROWS)
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/models.schema.yaml").read_text())
TRUNKS = ["mobilenet_v2_trunk", "vit_small_patch14_trunk"]
EMBEDDED = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "squeezenet1_1"]

# Table 4 of the paper as printed, then the two models that only Table 5 names, whose number of
# parameters is torchvision's (`Wide_ResNet50_2_Weights`, meta).
TABLE_4 = """
AlexNet 61 100 840
AlexNet Robust 61 100 840
AlexNet Random 61 100 840
VGG-19 143 667 240
ResNet-50 25 557 032
ResNet-50 Robust 25 557 032
ResNet-50 Random 25 557 032
ResNet-18 11 689 512
ResNet-18 Robust 11 689 512
ResNext-50 25 028 904
ConvNext-Base 88 591 464
ConvNext-Base Robust 88 591 464
Deit-Small 22 050 664
Deit-Small Robust 22 050 664
ViT-Base 86 567 656
Vit-Base (ConvStem) Robust 87 147 112
MLP-Mixer 59 880 472
Swin-Base 87 768 224
Swin-Base Robust 87 768 224
XCiT-Small 26 253 304
XCiT-Small Robust 26 253 304
MealV1 (ResNet50) 25 557 032
MealV2 (ResNeSt50) 25 557 032
MealV2 (EfficientNet) 5 288 548
CorNet-S 53 416 616
SqueezeNet 1 248 424
MobileNetV2 3 504 872
ShuffleNetV2 2 278 604
DenseNet 7 978 856
Wide ResNet-50 68 883 240
Wide ResNet-50 Robust 68 883 240
"""

TORCHVISION = {
    name: spec
    for name, spec in SPECS.items()
    if "download.pytorch.org" in spec.weights.url and spec.architecture.startswith("torchvision:")
}


def printed(line):
    words = line.split()
    digits = [word for word in words if word.isdigit()]
    return " ".join(words[: -len(digits)]), int("".join(digits))


def row(**changes):
    return {"mine": ROWS["resnet18"] | changes}


def test_rows_follow_table_4_with_its_numbers_of_parameters():
    expected = [printed(line) for line in TABLE_4.strip().splitlines()]
    paper = [spec for name, spec in SPECS.items() if name not in EMBEDDED + TRUNKS]
    assert [(spec.label, spec.parameters) for spec in paper] == expected


def test_the_schema_is_a_schema_and_accepts_the_rows():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(ROWS, SCHEMA)


def test_the_schema_knows_exactly_the_keys_that_are_read():
    assert set(SCHEMA["$defs"]["model"]["properties"]) == {*zoo.ModelSpec.__dataclass_fields__} - {
        "name"
    }
    assert set(SCHEMA["$defs"]["weights"]["properties"]) == {*WeightsRow.__dataclass_fields__}
    assert set(SCHEMA["$defs"]["layout"]["properties"]) == {*Layout.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"famly": "cnn"}, "famly"),
        ({"family": "rnn"}, "rnn"),
        ({"training": "adversarial"}, "adversarial"),
        ({"architecture": "resnet18"}, "resnet18"),
        ({"architecture": "import:package.module"}, "import:package.module"),
        ({"parameters": "many"}, "many"),
        ({"blocks": []}, r"\[\]"),
        ({"normalisation": {"mean": [0.5], "std": [0.5, 0.5, 0.5]}}, "mean"),
        ({"normalisation": {"mean": [124, 117, 104], "std": [1, 1, 1]}}, "124"),
        ({"normalisation": {"mean": [0, 0, 0], "std": [0, 1, 1]}}, "std"),
        ({"accuracy": {"top1": 76.1, "source": "percent"}}, "76.1"),
        ({"weights": {"source": "ftp"}}, "ftp"),
        ({"weights": {"source": "url", "file": "a.pth", "licence": "MIT"}}, "url"),
        ({"weights": {"source": "local"}}, "path"),
        ({"weights": {"source": "random"}}, "seed"),
        ({"weights": {"source": "random", "seed": 0, "sha256": "abc"}}, "abc"),
        ({"weights": {"source": "random", "seed": 0, "layout": {"prefix": "a"}}}, "prefix"),
    ],
)
def test_a_wrong_row_is_refused_by_name(changes, named):
    with pytest.raises(jsonschema.ValidationError, match=named):
        jsonschema.validate(row(**changes), SCHEMA)


def test_a_name_that_is_no_key_of_tables_is_refused():
    with pytest.raises(jsonschema.ValidationError, match="ResNet-18"):
        jsonschema.validate({"ResNet-18": ROWS["resnet18"]}, SCHEMA)


def test_no_two_models_share_a_file_in_the_cache():
    files = [spec.weights.file for spec in SPECS.values() if spec.weights.file]
    assert len(files) == len(set(files))


def test_what_is_robust_or_random_is_what_the_labels_say():
    robust = [name for name, spec in SPECS.items() if spec.training == "robust"]
    assert robust == [name for name, spec in SPECS.items() if spec.label.endswith("Robust")]
    random = [name for name, spec in SPECS.items() if spec.weights.source == "random"]
    assert random == [name for name, spec in SPECS.items() if spec.training == "random"]


def test_a_row_without_a_published_hash_says_so():
    silent = [
        name
        for name, spec in SPECS.items()
        if spec.weights.source != "random"
        and not spec.weights.sha256
        and not spec.weights.sha256_prefix
        and "hash" not in spec.weights.note
        and "sha256" not in spec.weights.note
    ]
    assert silent == []


def test_hugging_face_addresses_name_a_commit():
    urls = [s.weights.url for s in SPECS.values() if s.weights.source == "huggingface"]
    commits = [url.split("/resolve/")[1].split("/")[0] for url in urls]
    assert len(urls) == 3
    assert all(len(c) == 40 and not set(c) - set("0123456789abcdef") for c in commits)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_row_repeats_torchvisions_own_record(name):
    from torchvision import models

    spec = TORCHVISION[name]
    published = models.get_model_weights(spec.architecture.split(":")[1]).IMAGENET1K_V1
    transforms = published.transforms()
    assert spec.weights.url == published.url
    assert spec.weights.file == published.url.rsplit("/", 1)[1]
    assert spec.weights.file.removesuffix(".pth").endswith(f"-{spec.weights.sha256_prefix}")
    assert spec.weights.size_about == pytest.approx(published.meta["_file_size"] * 2**20, rel=1e-3)
    assert spec.parameters == published.meta["num_params"]
    assert spec.accuracy["top1"] == round(
        published.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 5
    )
    assert spec.accuracy["source"] == f"torchvision {published}"
    assert list(spec.normalisation.mean) == transforms.mean
    assert list(spec.normalisation.std) == transforms.std
    assert spec.input == {
        "size": transforms.crop_size[0],
        "resize": transforms.resize_size[0],
        "interpolation": transforms.interpolation.value,
    }


def test_thirteen_rows_are_torchvisions():
    assert len(TORCHVISION) == 13


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("deit_small", "deit_small_patch16_224.fb_in1k"),
        ("mlp_mixer", "mixer_b16_224.goog_in21k_ft_in1k"),
        ("xcit_small", "xcit_small_12_p16_224.fb_in1k"),
    ],
)
def test_timm_row_repeats_timms_own_record(name, tag):
    import timm

    spec, published = SPECS[name], timm.get_pretrained_cfg(tag)
    assert spec.architecture == f"timm:{tag.split('.')[0]}"
    assert spec.weights.url == published.url
    assert (spec.normalisation.mean, spec.normalisation.std) == (published.mean, published.std)
    assert spec.input == {
        "size": published.input_size[1],
        "resize": int(published.input_size[1] / published.crop_pct),
        "interpolation": published.interpolation,
    }
    assert tag in spec.accuracy["source"]
