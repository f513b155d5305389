import numpy as np
import pytest

from metamers import images, tables

EMBEDDED = {"source": "embedded"}
SECTION = {"size": 64, "crop": 0.875, "interpolation": "bicubic"}


@pytest.fixture(scope="module")
def embedded():
    return images.prepare(EMBEDDED, SECTION, "all", {}, seed=0)


def test_embedded_photographs_are_twenty_labelled_squares(embedded):
    rows, pixels = embedded
    assert pixels.shape == (20, 3, 64, 64)
    assert pixels.dtype == np.uint8
    assert [row.image_id for row in rows][:2] == ["imagenet_00_243", "imagenet_01_559"]
    assert all(row.image_id.endswith(f"_{row.label}") for row in rows)
    categories = [row.category for row in rows if row.category]
    assert sorted(categories) == ["bird", "bird", "bird", "chair", "dog"]


def test_the_manifest_is_the_declared_table(embedded, tmp_path):
    rows, _ = embedded
    tables.write(tables.REFERENCES, map(vars, rows), tmp_path / "references.parquet")
    table = tables.read(tables.REFERENCES, tmp_path / "references.parquet")
    assert table["label"].tolist() == [row.label for row in rows]
    assert table["category"].isna().sum() == 15
