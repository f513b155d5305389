from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metamers.images.classes import CATEGORIES, category_of, membership
from metamers.images.errors import ImagesError
from metamers.images.sampling import draw
from metamers.images.sources import Candidate


def made_up(per_label, labels=range(1000)):
    """Return candidates of which `draw` looks at nothing but id and label."""
    return [
        Candidate(f"val_{label:03}_{i}", Path("nowhere"), "nowhere", label)
        for label in labels
        for i in range(per_label)
    ]


VALIDATION = made_up(per_label=50)
FEW = made_up(per_label=4, labels=[8, 10, 404, 0])


def ids(images):
    return [image.image_id for image in images]


@pytest.mark.parametrize(("per_class", "total"), [(25, 400), (5, 80)])
def test_the_papers_draws_have_their_sizes(per_class, total):
    drawn = draw(VALIDATION, {"categories": 16, "per_class": per_class}, seed=0)
    assert len(drawn) == len(set(ids(drawn))) == total
    counts = {name: sum(image.category == name for image in drawn) for name in CATEGORIES}
    assert set(counts.values()) == {per_class}


def test_nothing_is_everything_in_the_order_of_ids():
    assert ids(draw(FEW[::-1], {}, seed=3)) == sorted(ids(FEW))


def test_categories_alone_keep_the_mapped_classes():
    drawn = draw(VALIDATION, {"categories": 16}, seed=0)
    assert len(drawn) == 50 * membership().sum() == 50 * 207


def test_per_class_without_categories_is_of_each_label():
    drawn = draw(FEW, {"per_class": 3}, seed=0)
    labels = [image.label for image in drawn]
    assert {label: labels.count(label) for label in labels} == {0: 3, 8: 3, 10: 3, 404: 3}


def test_a_limit_is_of_all():
    assert len(draw(FEW, {"limit": 7}, seed=0)) == 7
    drawn = draw(FEW, {"limit": 7, "categories": 16}, seed=0)
    assert len(drawn) == 7
    assert all(category_of(image.label) for image in drawn)


@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_draw_does_not_depend_on_the_order_of_the_images(random, seed):
    shuffled = random.sample(FEW, len(FEW))
    for wanted in ({"per_class": 2}, {"limit": 5}):
        assert ids(draw(shuffled, wanted, seed)) == ids(draw(FEW, wanted, seed))


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_class_is_drawn_as_if_the_others_were_not_there(seed):
    drawn = draw(FEW, {"per_class": 2}, seed)
    alone = draw([image for image in FEW if image.label == 8], {"per_class": 2}, seed)
    assert ids(alone) == ids(image for image in drawn if image.label == 8)


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_smaller_draw_is_a_part_of_a_larger_one(seed):
    for key in ("per_class", "limit"):
        assert set(ids(draw(FEW, {key: 1}, seed))) < set(ids(draw(FEW, {key: 3}, seed)))


def test_seeds_give_different_draws():
    wanted = {"categories": 16, "per_class": 5}
    assert ids(draw(VALIDATION, wanted, 0)) != ids(draw(VALIDATION, wanted, 1))
    assert ids(draw(VALIDATION, wanted, 0)) == ids(draw(VALIDATION, wanted, 0))


def test_every_image_is_drawn_equally_often():
    # 3 of 12 images in 1000 seeds: 250 each, standard deviation 13.7; 5 of them are allowed.
    images = made_up(per_label=12, labels=[8])
    drawn = [name for seed in range(1000) for name in ids(draw(images, {"limit": 3}, seed))]
    counts = np.array([drawn.count(image.image_id) for image in images])
    assert counts.sum() == 3000
    assert np.abs(counts - 250).max() < 5 * 13.7


def test_a_draw_is_the_same_on_every_machine():
    # By hand: the least of `printf 0/val_000_0 | sha256sum` and so on in each class.
    assert ids(draw(FEW, {"per_class": 1}, seed=0)) == [
        "val_000_0",
        "val_008_3",
        "val_010_0",
        "val_404_1",
    ]


def test_classes_with_too_few_images_are_all_named():
    with pytest.raises(ImagesError) as caught:
        draw(FEW, {"categories": 16, "per_class": 5}, 0, "main")
    assert len(caught.value.problems) == 15
    assert "references.main: class 'airplane' has 4 images, wanted 5" in caught.value.problems
    assert "references.main: class 'oven' has 0 images, wanted 5" in caught.value.problems


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"per_class": 5}, r"class 0 \(n01440764\) has 4 images, wanted 5"),
        ({"limit": 17}, "the source has 16 images, wanted 17"),
        ({"limit": 13, "categories": 16}, "in the 16 categories, has 12 images, wanted 13"),
    ],
)
def test_too_few_images_are_said(wanted, message):
    with pytest.raises(ImagesError, match=message):
        draw(FEW, wanted, 0)


def test_images_without_labels_have_no_classes():
    unlabelled = [Candidate("a", Path("a"), "a")]
    assert ids(draw(unlabelled, {}, 0)) == ["a"]
    for wanted in ({"per_class": 1}, {"categories": 16}):
        with pytest.raises(ImagesError, match="has 0 images, wanted"):
            draw(unlabelled, wanted, 0)


def test_strange_settings_are_all_named():
    with pytest.raises(ImagesError) as caught:
        draw(FEW, {"categories": 10, "per_class": 0, "limit": True, "seed": 1}, 0, "main")
    assert list(caught.value.problems) == [
        "references.main.seed is not a key; keys are categories, per_class, limit, crops_per_image",
        "references.main.categories is 10; allowed is 16",
        "references.main.per_class is 0; expected a number from 1",
        "references.main.limit is True; expected a number from 1",
        "references.main has per_class and limit; only one can hold",
    ]
