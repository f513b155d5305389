"""A made-up validation set: the real photographs under made-up numbers, in both layouts."""

import hashlib
import random
import shutil
import tarfile

import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import imagenet as torchvision_imagenet

from metamers.images import imagenet, references
from metamers.images.classes import CATEGORIES, category_of, wnids
from metamers.images.errors import ImagesError
from metamers.images.sources import candidates

PHOTOGRAPHS = [image.path for image in candidates({"source": "embedded"})]
SECTION = {"size": 56, "crop": 0.875, "interpolation": "bicubic"}
FIRST = [next(i for i in range(1000) if category_of(i) == name) for name in CATEGORIES]


@pytest.fixture(scope="module")
def order():
    """Return the WordNet ids in an order that is not that of the alphabet, kit fox first."""
    others = [wnid for wnid in wnids() if wnid != "n02119789"]
    return ["n02119789", *random.Random(0).sample(others, 999)]


@pytest.fixture(scope="module")
def labels():
    """Return the class index of each of the 50 000 images: three of each category, in order."""
    rest = random.Random(1).choices(range(1000), k=49_952)
    return [index for index in FIRST for _ in range(3)] + rest


@pytest.fixture(scope="module")
def devkit(tmp_path_factory, order, labels):
    """Write the development kit's files, the synsets as matrix and as text."""
    folder = tmp_path_factory.mktemp("devkit") / "data"
    folder.mkdir()
    numbers = {wnid: number for number, wnid in enumerate(order, start=1)}
    truth = [numbers[wnids()[index]] for index in labels]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(
        "\n".join(map(str, truth)) + "\n"
    )
    (folder / "map_clsloc.txt").write_text("".join(f"{w} {n} name\n" for w, n in numbers.items()))
    savemat(folder / "meta.mat", {"synsets": synsets_as_matlab(order)})
    return folder


def synsets_as_matlab(order):
    """Return the struct array of meta.mat: the classes, then some inner nodes of the tree."""
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children"]
    rows = [(i, wnid, f"word {i}, other", "gloss", 0, []) for i, wnid in enumerate(order, 1)]
    rows += [(i, f"n000{i:05}", "animal", "gloss", 2, [1, 2]) for i in range(1001, 1010)]
    return np.array(rows, dtype=[(name, object) for name in fields]).reshape(-1, 1)


@pytest.fixture(scope="module")
def flat(tmp_path_factory, devkit):
    root = tmp_path_factory.mktemp("flat")
    for number in range(1, 49):
        photograph = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
        shutil.copy(photograph, root / f"ILSVRC2012_val_{number:08}.JPEG")
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory, flat, labels):
    root = tmp_path_factory.mktemp("folders")
    for path in flat.iterdir():
        folder = root / wnids()[labels[int(path.stem[-8:]) - 1]]
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder)
    (root / wnids()[FIRST[0]] / ".DS_Store").touch()
    return root


def data_of(root, devkit=None, synsets="meta.mat"):
    data = {"source": "imagenet", "path": str(root)}
    truth = (
        {}
        if devkit is None
        else {
            "ground_truth": str(devkit / "ILSVRC2012_validation_ground_truth.txt"),
            "synsets": str(devkit / synsets),
        }
    )
    return data | truth


def problems_of(data):
    with pytest.raises(ImagesError) as caught:
        candidates(data)
    return caught.value.problems


def test_the_devkit_is_read_as_torchvision_reads_it(devkit, tmp_path, monkeypatch):
    archive = tmp_path / "ILSVRC2012_devkit_t12.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(devkit, "ILSVRC2012_devkit_t12/data")
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(torchvision_imagenet.ARCHIVE_META, "devkit", (archive.name, digest))
    torchvision_imagenet.parse_devkit_archive(tmp_path)
    _, expected = torchvision_imagenet.load_meta_file(tmp_path)
    order = imagenet.read_synsets(devkit / "meta.mat")
    truth = imagenet.read_ground_truth(devkit / "ILSVRC2012_validation_ground_truth.txt")
    assert [order[number - 1] for number in truth] == expected
    assert len(expected) == 50_000


def test_synsets_are_the_same_from_matrix_and_text(devkit, order):
    assert imagenet.read_synsets(devkit / "meta.mat") == order
    assert imagenet.read_synsets(devkit / "map_clsloc.txt") == order


@pytest.mark.parametrize("synsets", ["meta.mat", "map_clsloc.txt"])
def test_flat_images_have_their_labels(flat, devkit, labels, synsets):
    found = candidates(data_of(flat, devkit, synsets))
    assert [image.label for image in found] == labels[:48]
    assert found[0].image_id == "ILSVRC2012_val_00000001"


def test_both_layouts_are_the_same_images(flat, folders, devkit):
    by_folder, by_devkit = candidates(data_of(folders)), candidates(data_of(flat, devkit))
    assert [(i.image_id, i.label) for i in by_folder] == [(i.image_id, i.label) for i in by_devkit]


def test_both_layouts_give_the_same_references(flat, folders, devkit):
    settings = {"categories": 16, "per_class": 2}
    flat_rows, flat_pixels = references.prepare(data_of(flat, devkit), SECTION, "main", settings, 5)
    rows, pixels = references.prepare(data_of(folders), SECTION, "main", settings, 5)
    assert len(rows) == 32
    assert [vars(row) | {"source": ""} for row in rows] == [
        vars(row) | {"source": ""} for row in flat_rows
    ]
    assert rows[0].source == f"{rows[0].wnid}/{flat_rows[0].source}"
    assert np.array_equal(pixels, flat_pixels)
    assert {row.category for row in rows} == set(CATEGORIES)


def test_labels_come_from_the_other_published_table(flat, labels, tmp_path):
    table = tmp_path / "LOC_val_solution.csv"
    rows = [f"ILSVRC2012_val_{n:08},{wnids()[labels[n - 1]]} 1 2 3 4 \n" for n in range(1, 49)]
    table.write_text("ImageId,PredictionString\n" + "".join(rows))
    found = candidates(data_of(flat) | {"ground_truth": str(table)})
    assert [image.label for image in found] == labels[:48]
    table.write_text("ImageId,PredictionString\n" + "".join(rows[1:]))
    (problem,) = problems_of(data_of(flat) | {"ground_truth": str(table)})
    assert "ILSVRC2012_val_00000001.JPEG" in problem
    assert "has no label for it" in problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-4], "met 49999 numbers, expected 50000"),
        (lambda text: "", "met 0 numbers, expected 50000"),
        (lambda text: "0\n" + text.split("\n", 1)[1], "met '0', expected numbers 1..1000"),
        (lambda text: "1001\n" + text.split("\n", 1)[1], "met '1001', expected numbers 1..1000"),
        (lambda text: "cat\n" + text.split("\n", 1)[1], "met 'cat', expected numbers 1..1000"),
    ],
)
def test_another_ground_truth_is_refused(flat, devkit, tmp_path, change, message):
    truth = tmp_path / "truth.txt"
    text = (devkit / "ILSVRC2012_validation_ground_truth.txt").read_text()
    truth.write_text(change(text.rstrip()))
    (problem,) = problems_of(data_of(flat, devkit) | {"ground_truth": str(truth)})
    assert problem.startswith(f"{truth}: ")
    assert message in problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (sorted, "met 'n01440764' first, expected 'n02119789': the order must be that of"),
        (lambda order: order[:-1], "met 999 WordNet ids, of which 0 are not of ILSVRC-2012"),
        (lambda order: [*order[:-1], order[0]], "met 1000 WordNet ids"),
        (lambda order: [*order[:-1], "n00000000"], "1 are not of ILSVRC-2012 ['n00000000']"),
        (lambda order: [], "met 0 WordNet ids"),
    ],
)
def test_other_synsets_are_refused(order, tmp_path, change, message):
    path = tmp_path / "synsets.txt"
    path.write_text("\n".join(change(order)))
    with pytest.raises(ImagesError) as caught:
        imagenet.read_synsets(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_a_matrix_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "meta.mat").write_bytes(content)
    with pytest.raises(ImagesError, match=r"expected the development kit's meta\.mat"):
        imagenet.read_synsets(tmp_path / "meta.mat")


def test_a_matrix_without_synsets_is_refused(tmp_path):
    savemat(tmp_path / "meta.mat", {"other": np.zeros(3)})
    with pytest.raises(ImagesError, match="'synsets'"):
        imagenet.read_synsets(tmp_path / "meta.mat")


@pytest.mark.parametrize("key", ["ground_truth", "synsets"])
def test_a_flat_layout_needs_its_labels(flat, devkit, key):
    data = data_of(flat, devkit)
    (problem,) = problems_of({k: v for k, v in data.items() if k != key})
    assert problem.startswith(f"data.{key} is missing")
    (problem,) = problems_of(data | {key: "nowhere/file.txt"})
    assert problem == f"data.{key} is 'nowhere/file.txt': met no such file"


def test_an_image_number_beyond_the_set_is_refused(flat, devkit, tmp_path):
    shutil.copytree(flat, tmp_path / "val")
    shutil.copy(PHOTOGRAPHS[0], tmp_path / "val" / "ILSVRC2012_val_00050001.JPEG")
    (problem,) = problems_of(data_of(tmp_path / "val", devkit))
    assert "ILSVRC2012_val_00050001.JPEG" in problem


def test_a_folder_of_another_layout_is_refused_with_what_it_has(tmp_path, folders):
    (problem,) = problems_of(data_of(tmp_path))
    assert "met neither, but []" in problem
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
    (problem,) = problems_of(data_of(tmp_path))
    assert "met neither, but ['train', 'val']" in problem
    assert problem.endswith(f"did you mean '{tmp_path}/val'?")


def test_both_layouts_at_once_are_refused(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "val")
    shutil.copy(PHOTOGRAPHS[0], tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    (problem,) = problems_of(data_of(tmp_path / "val"))
    assert "met both" in problem


def test_classes_of_another_set_are_refused_by_name(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "val")
    (tmp_path / "val" / "n00000001").mkdir()
    (tmp_path / "val" / "n00000002").mkdir()
    problems = problems_of(data_of(tmp_path / "val"))
    assert [problem.split(":")[0][-9:] for problem in problems] == ["n00000001", "n00000002"]


def test_an_image_in_two_classes_is_refused(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "val")
    image = next((tmp_path / "val" / wnids()[FIRST[3]]).glob("*.JPEG"))
    shutil.copy(image, tmp_path / "val" / wnids()[FIRST[4]])
    (problem,) = problems_of(data_of(tmp_path / "val"))
    assert f"gives the image id '{image.stem}'" in problem
    assert wnids()[FIRST[3]] in problem
    assert wnids()[FIRST[4]] in problem


@pytest.mark.parametrize("path", ["nowhere", None])
def test_a_path_that_is_not_there_is_named(path):
    (problem,) = problems_of({"source": "imagenet", "path": path})
    assert problem.startswith("data.path is")


def test_a_published_list_of_files_is_used(folders, flat, devkit, tmp_path):
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in (40, 2, 17)]
    (tmp_path / "list.txt").write_text("# published\n\n" + "\n".join(names) + "\n")
    expected = sorted(name.removesuffix(".JPEG") for name in names)
    for data in (data_of(folders), data_of(flat, devkit)):
        for files in (names, str(tmp_path / "list.txt")):
            found = candidates(data | {"files": files})
            assert [image.image_id for image in found] == expected


def test_files_of_a_list_that_are_missing_are_all_named(folders):
    files = ["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00049999.JPEG", "cat.jpg"]
    assert problems_of(data_of(folders) | {"files": files}) == tuple(
        f"data.files names {name!r}, which the source has 0 times; expected once"
        for name in files[1:]
    )


def test_bad_files_among_the_images_are_all_named(folders, tmp_path):
    root = tmp_path / "val"
    shutil.copytree(folders, root)
    bad = sorted(root.glob("*/*.JPEG"))[:3]
    bad[0].write_bytes(bad[0].read_bytes()[:9000])
    bad[1].write_text("<html>Not found</html>")
    bad[2].unlink()
    bad[2].mkdir()
    with pytest.raises(ImagesError) as caught:
        references.prepare(data_of(root), SECTION, "all", {}, 0)
    assert len(caught.value.problems) == 3
    assert all(any(str(path) in line for line in caught.value.problems) for path in bad)
