"""The pool of unrelated images: no reference is in it."""

import pytest

from metamers.images import crops, null_pool, references
from metamers.images.errors import ImagesError


def config(source, images, draw):
    return {
        "null_pool": {"source": source, "images": images},
        "data": {"source": "embedded"},
        "preprocessing": {"size": 64, "crop": 0.875, "interpolation": "bicubic"},
        "references": {"used": draw, "unused": {}},
        "experiments": {"main": {"references": "used"}, "bounds": None},
        "seed": 0,
    }


def test_few_photographs_give_several_crops_each():
    rows, pixels = null_pool.prepare(config("package", 52, {}))
    assert pixels.shape == (52, 3, 64, 64)
    ids = [row.image_id for row in rows]
    assert len(set(ids)) == 52
    assert len({crops.photograph_of(image_id) for image_id in ids}) == 13


def test_no_reference_is_in_the_pool_of_the_same_source():
    wanted = config("references", 15, {"limit": 5})
    rows, _ = null_pool.prepare(wanted)
    own, _ = references.prepare(wanted["data"], wanted["preprocessing"], "used", {"limit": 5}, 0)
    assert len(rows) == 15
    assert not {row.sha256 for row in rows} & {row.sha256 for row in own}


def test_source_without_other_images_is_refused():
    wanted = config("references", 15, {})
    (problem,) = null_pool.check(wanted)
    assert "0 photographs that are not references" in problem
    assert null_pool.check(config("package", 15, {})) == []
    with pytest.raises(ImagesError, match=r"null_pool\.source: package"):
        null_pool.prepare(wanted)
