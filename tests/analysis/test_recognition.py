"""Each rule asks for the answer that it says, and members are flagged."""

import pandas as pd
import pytest
from judged import (
    EVALUATORS,
    IMAGES,
    MEMBERS,
    WEIGHTS,
    cells_of,
    predictions,
    reference_predictions,
    references,
)

from metamers.analysis.recognition import recognition
from metamers.storage import raw_tables, recognition_tables, tables

ON_REFERENCES = {"a": (11, 25, 3), "b": (12, 20, 7), "c": (11, 99, 3), "twin": (11, 25, 3)}
ON_METAMERS = {"a": (11, 25, 3), "b": (12, 25, 3), "c": (12, 25, 700), "twin": (0, 0, 0)}


@pytest.fixture(scope="module")
def judged():
    return recognition(
        predictions(ON_METAMERS),
        reference_predictions(ON_REFERENCES),
        references(),
        MEMBERS,
        WEIGHTS,
    )


def answers(judged, evaluator, rule, label_space="1000"):
    rows = cells_of(judged, evaluator=evaluator, rule=rule, label_space=label_space)
    return dict(zip(rows["image_id"], rows["recognised"], strict=True))


def test_self_compares_with_the_evaluators_own_answer(judged):
    assert answers(judged, "b", "self") == {"dog": True, "cat": False, "cup": False}
    assert answers(judged, "c", "self") == {"dog": False, "cat": False, "cup": False}


def test_self_of_16_ways_compares_categories(judged):
    expected = {"dog": True, "cat": False, "cup": False}
    assert answers(judged, "c", "self", "16_mean") == expected
    assert answers(judged, "c", "self", "16_first") == expected


def test_label_has_no_row_for_an_image_without_label(judged):
    assert answers(judged, "a", "label") == {"dog": True, "cat": True}


def test_label_of_16_ways_asks_only_images_of_the_16(judged):
    assert answers(judged, "c", "label", "16_mean") == {"dog": True}


def test_generator_asks_for_the_majority_and_the_first_members_in_a_tie(judged):
    # Members a and b disagree everywhere: a, the first, decides.
    assert answers(judged, "b", "generator") == {"dog": False, "cat": True, "cup": True}


def test_generator_follows_two_members_against_the_first():
    judged = recognition(
        predictions(ON_METAMERS, "three"),
        reference_predictions(ON_REFERENCES | {"c": (12, 25, 7)}),
        references(),
        {"three": ["a", "b", "c"]},
        WEIGHTS,
    )
    assert answers(judged, "c", "generator") == {"dog": True, "cat": True, "cup": False}


def test_generator_has_no_rows_where_a_member_did_not_judge():
    judged = recognition(
        predictions({"c": (1, 2, 3)}),
        reference_predictions({"c": (1, 2, 3)}),
        references(),
        MEMBERS,
        WEIGHTS,
    )
    assert set(judged["rule"]) == {"self", "label"}


def test_members_and_models_of_the_same_weights_are_flagged(judged):
    flags = judged.drop_duplicates("evaluator").set_index("evaluator")
    assert flags["member"].to_dict() == {"a": True, "b": True, "c": False, "twin": False}
    assert flags["same_weights"].to_dict() == {"a": False, "b": False, "c": False, "twin": True}


def test_frame_is_the_declared_table(judged, tmp_path):
    tables.write(recognition_tables.RECOGNITION, judged, tmp_path / "recognition.parquet")
    back = tables.read(recognition_tables.RECOGNITION, tmp_path / "recognition.parquet")
    # self and generator: 4 evaluators, 3 images, 3 label spaces; label: 2, 1 and 1 images.
    assert len(back) == 2 * 4 * 3 * 3 + 4 * (2 + 1 + 1)


def test_references_read_from_a_file_give_the_same(judged, tmp_path):
    tables.write(raw_tables.REFERENCES, references(), tmp_path / "references.parquet")
    read = tables.read(raw_tables.REFERENCES, tmp_path / "references.parquet")
    again = recognition(
        predictions(ON_METAMERS), reference_predictions(ON_REFERENCES), read, MEMBERS, WEIGHTS
    )
    key = list(recognition_tables.RECOGNITION.key)
    pd.testing.assert_frame_equal(
        again.sort_values(key, ignore_index=True), judged.sort_values(key, ignore_index=True)
    )


def test_prediction_without_its_reference_is_refused():
    with pytest.raises(ValueError, match=r"3 predictions have no prediction of the reference"):
        recognition(
            predictions(ON_METAMERS),
            reference_predictions({e: ON_REFERENCES[e] for e in EVALUATORS if e != "c"}),
            references(),
            MEMBERS,
            WEIGHTS,
        )


def test_unknown_model_set_is_refused():
    with pytest.raises(ValueError, match=r"model sets \['triple'\]; known are"):
        recognition(
            predictions(ON_METAMERS, "triple"),
            reference_predictions(ON_REFERENCES),
            references(),
            MEMBERS,
            WEIGHTS,
        )


def test_member_without_an_identity_of_weights_is_refused():
    with pytest.raises(ValueError, match=r"the weights of \['b'\] have no identity"):
        recognition(
            predictions({"a": (1, 2, 3)}),
            reference_predictions({"a": (1, 2, 3)}),
            references(),
            MEMBERS,
            {"a": "wa"},
        )


def test_images_are_those_of_the_references(judged):
    assert set(judged["image_id"]) == set(IMAGES)
