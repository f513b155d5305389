import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.numpy import save_file

from metamers.images import references, sources
from metamers.images.errors import ImagesError
from metamers.images.preprocessing import Preprocessing, read_image
from metamers.storage import raw_tables, tables

EMBEDDED = {"source": "embedded"}
SECTION = {"size": 64, "crop": 0.875, "interpolation": "bicubic"}
PHOTOGRAPHS = [image.path for image in sources.candidates(EMBEDDED)]

DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"
EXAMPLES = [
    yaml.safe_load(text)
    for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.fixture(scope="module")
def embedded():
    return references.prepare(EMBEDDED, SECTION, "all", {}, seed=0)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three pictures: a photograph, a grey one, a wide one."""
    shutil.copy(PHOTOGRAPHS[0], tmp_path / "a dog.jpg")
    Image.open(PHOTOGRAPHS[17]).convert("L").save(tmp_path / "eagle.png")
    shutil.copy(PHOTOGRAPHS[10], tmp_path / "wide.jpg")
    return tmp_path


def test_embedded_photographs_are_twenty_labelled_squares(embedded):
    rows, pixels = embedded
    assert pixels.shape == (20, 3, 64, 64)
    assert pixels.dtype == np.uint8
    assert [row.image_id for row in rows][:2] == ["imagenet_00_243", "imagenet_01_559"]
    assert all(row.image_id.endswith(f"_{row.label}") for row in rows)
    categories = [row.category for row in rows if row.category]
    assert sorted(categories) == ["bird", "bird", "bird", "chair", "dog"]


def test_pixels_are_those_of_the_files_in_order(embedded):
    settings = Preprocessing.of(SECTION)
    expected = np.stack([read_image(path, settings) for path in PHOTOGRAPHS])
    assert np.array_equal(embedded[1], expected)


def test_the_manifest_is_the_declared_table(embedded, tmp_path):
    rows, _ = embedded
    tables.write(raw_tables.REFERENCES, map(vars, rows), tmp_path / "references.parquet")
    table = tables.read(raw_tables.REFERENCES, tmp_path / "references.parquet")
    assert table["label"].tolist() == [row.label for row in rows]
    assert table["category"].isna().sum() == 15


def test_the_manifest_of_unlabelled_pictures_is_the_declared_table(folder, tmp_path):
    data = {"source": "folder", "path": str(folder)}
    rows, pixels = references.prepare(data, SECTION, "mine", {}, 0)
    assert [row.source for row in rows] == ["a dog.jpg", "eagle.png", "wide.jpg"]
    assert rows[1].crop == "L to RGB; 512x512 to 73x73 (bicubic), centre 64x64 from 4,4"
    assert pixels.shape == (3, 3, 64, 64)
    tables.write(raw_tables.REFERENCES, map(vars, rows), tmp_path / "references.parquet")
    table = tables.read(raw_tables.REFERENCES, tmp_path / "references.parquet")
    assert table[["label", "wnid", "category"]].isna().all(axis=None)


def test_the_hash_is_that_of_the_file(folder):
    rows, _ = references.prepare({"source": "folder", "path": str(folder)}, SECTION, "mine", {}, 0)
    printed = subprocess.check_output(["sha256sum", str(folder / "wide.jpg")], text=True)
    assert printed.startswith(rows[2].sha256)


def test_a_draw_of_one_image_has_its_own_pixels(folder):
    data = {"source": "folder", "path": str(folder)}
    every, pixels = references.prepare(data, SECTION, "mine", {}, 0)
    (row,), alone = references.prepare(data, SECTION, "mine", {"limit": 1}, 0)
    assert np.array_equal(alone[0], pixels[every.index(row)])


def test_pictures_that_cannot_be_used_are_all_named(folder):
    (folder / "notes.txt").write_text("not a picture")
    (folder / "half.jpg").write_bytes(PHOTOGRAPHS[3].read_bytes()[:20_000])
    Image.new("RGB", (20, 20)).save(folder / "icon.png")
    with pytest.raises(ImagesError) as caught:
        references.prepare({"source": "folder", "path": str(folder)}, SECTION, "mine", {}, 0)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        str(folder / name) for name in ("half.jpg", "icon.png", "notes.txt")
    ]


def test_a_changed_photograph_is_refused(tmp_path, monkeypatch):
    (tmp_path / "foolbox/data").mkdir(parents=True)
    for path in PHOTOGRAPHS:
        shutil.copy(path, tmp_path / "foolbox/data")
    changed = tmp_path / "foolbox/data" / PHOTOGRAPHS[4].name
    changed.write_bytes(changed.read_bytes() + b"\0")
    monkeypatch.setattr(sources, "distribution", lambda name: Installed(tmp_path))
    with pytest.raises(ImagesError) as caught:
        references.prepare(EMBEDDED, SECTION, "all", {}, 0)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{changed}: sha256 is ")
    changed.unlink()
    (problem,) = references.check(EMBEDDED, {"all": {}})
    assert problem == f"{changed}: met no such file, though foolbox 0 is installed"


class Installed:
    version = "0"

    def __init__(self, root):
        self.root = root

    def locate_file(self, name):
        return self.root / name


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sources, "distribution", missing)
    (problem,) = references.check(EMBEDDED, {"all": {}})
    assert "the package 'foolbox'" in problem


def test_check_finds_nothing_wrong_with_what_can_be_drawn():
    assert (
        references.check(EMBEDDED, {"all": {}, "some": {"limit": 20}, "each": {"per_class": 1}})
        == []
    )


def test_check_names_all_that_cannot_be_drawn():
    draws = {"all": {}, "mixed": {"categories": 16, "per_class": 2}, "many": {"limit": 21}}
    problems = references.check(EMBEDDED, draws)
    assert len(problems) == 15 + 1
    assert "references.mixed: class 'dog' has 1 images, wanted 2" in problems
    assert problems[-1] == "references.many: the source has 20 images, wanted 21"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "data.source is None; allowed are embedded, imagenet, folder"),
        ({"source": "cifar"}, "data.source is 'cifar'; allowed are embedded, imagenet, folder"),
        (EMBEDDED | {"path": "/x"}, "data.path is '/x'; source 'embedded' takes files"),
        ({"source": "folder"}, "data.path is missing; this source needs a folder (docs/data.md)"),
        (
            {"source": "folder", "path": "/no where"},
            "data.path is '/no where': met nothing, expected a folder",
        ),
    ],
)
def test_check_names_what_is_wrong_with_a_source(data, problem):
    assert references.check(data, {"all": {}}) == [problem]


def test_a_long_list_of_problems_is_cut_in_the_message_only():
    error = ImagesError(f"problem {number}" for number in range(120))
    assert len(error.problems) == 120
    assert str(error).splitlines()[-2:] == ["problem 49", "... and 70 more"]


def test_stored_images_come_back_as_they_were(embedded, tmp_path):
    rows, pixels = embedded
    ids = [row.image_id for row in rows[:-1]] + ["more/Überraschung 写真.png"]
    references.save(tmp_path / "new" / "references.safetensors", ids, pixels)
    met_ids, met = references.load(tmp_path / "new" / "references.safetensors")
    assert met_ids == ids
    assert met.dtype == torch.uint8
    assert np.array_equal(met.numpy(), pixels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["references.safetensors"]


def test_the_same_images_give_the_same_file(embedded, tmp_path):
    rows, pixels = embedded
    for name in ("a", "b"):
        references.save(tmp_path / name, [row.image_id for row in rows], pixels)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("ids", "pixels", "message"),
    [
        (["a"], np.zeros((1, 3, 8, 8), np.float32), "images are float32"),
        (["a"], np.zeros((3, 8, 8), np.uint8), r"expected uint8 \(n, 3, side, side\)"),
        (["a", "b"], np.zeros((1, 3, 8, 8), np.uint8), "2 different ids for 1 images"),
        (["a", "a"], np.zeros((2, 3, 8, 8), np.uint8), "1 different ids for 2 images"),
    ],
)
def test_what_is_no_set_of_images_is_not_stored(tmp_path, ids, pixels, message):
    with pytest.raises(ValueError, match=message):
        references.save(tmp_path / "file", ids, pixels)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file({"weights": np.zeros(3, np.float32)}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"has \['weights'\].*expected 'pixels'"):
        references.load(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("section", EXAMPLES, ids=str)
def test_examples_of_the_documentation_are_understood(section):
    # Paths of the examples are not there, which is the only thing that may be wrong with them.
    data, draws = section.get("data", EMBEDDED), section.get("references", {})
    problems = references.check(data, draws)
    met = [text for text in problems if "met nothing" not in text and "images, wanted" not in text]
    assert met == []
    assert Preprocessing.of(section.get("preprocessing", SECTION))


def test_importing_and_checking_does_not_import_torch_or_foolbox():
    code = (
        "import sys; from metamers.images import references;"
        "references.check({'source': 'embedded'}, {'a': {}});"
        f"references.prepare({EMBEDDED}, {SECTION}, 'a', {{}}, 0);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'foolbox')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
