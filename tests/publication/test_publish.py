"""A run as a data set: what is in it, and what its descriptions say to machines."""

import json
import warnings

import finished_runs
import numpy as np
import pandas as pd
import pytest
from fixtures import ROOT
from PIL import Image
from typer.testing import CliRunner

from metamers.cli.main import app
from metamers.config.finished_run import FinishedRun
from metamers.files import sha256_of
from metamers.storage import recognition_tables, tables
from metamers.storage.columns import CONDITION_KEY

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of mlcroissant's own dependencies, on import
    import mlcroissant

PHOTOGRAPHS = ("--with-photographs", "--photographs-licence", "https://example.org/terms")


def publish(run, folder, *more):
    arguments = ["publish", run, "--output", folder, "--licence", "CC-BY-4.0", "--project", ROOT]
    return CliRunner().invoke(app, [*map(str, arguments), *more], env={"COLUMNS": "300"})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_runs.write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module", params=[(), PHOTOGRAPHS], ids=["metamers", "photographs"])
def published(request, run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    result = publish(run, folder, *request.param)
    assert result.exit_code == 0, result.output
    return folder


def test_list_has_every_image_and_every_image_is_the_runs(run, published):
    listed = pd.read_csv(published / "metadata.csv")
    assert set(listed["file_name"]) == {
        str(path.relative_to(published)) for path in published.rglob("*.png")
    }
    found = FinishedRun.open(run)
    row = listed[listed["kind"] == "metamer"].iloc[-1]
    made = found.metamers(found.plan.conditions[-1])
    stored = made.pixels[list(made.image_ids).index(row["image_id"])].numpy()
    read = np.asarray(Image.open(published / row["file_name"]))
    np.testing.assert_array_equal(read, stored.transpose(1, 2, 0))


def test_photographs_are_there_only_if_asked_for_with_a_licence(run, published, tmp_path):
    with_them = (published / "photographs").exists()
    said = (published / "README.md").read_text()
    assert ("example.org/terms" in said) == with_them
    assert ("Photographs are not among the files" in said) != with_them
    references, _ = FinishedRun.open(run).references("photographs")
    assert len(list(published.glob("photographs/*/*.png"))) == with_them * len(references)
    for incomplete in (PHOTOGRAPHS[:1], PHOTOGRAPHS[1:]):
        result = publish(run, tmp_path / "refused", *incomplete)
        assert result.exit_code == 2
        assert "go together" in result.output
    assert not (tmp_path / "refused").exists()


def test_tables_are_those_of_the_run(run, published):
    for path in (run / "tables").iterdir():
        assert sha256_of(published / "tables" / path.name) == sha256_of(path)


def test_answers_are_as_model_vs_human_reads_them(run, published):
    found = pd.read_csv(published / "answers/efficientnet_lite0.csv")
    assert list(found) == ["subj", "Session", "trial", "rt", "object_response", "category",
                           "condition", "imagename"]  # fmt: skip
    assert len(found) == 4 * 5  # conditions, photographs of the 16 categories
    recognised = tables.read(
        recognition_tables.RECOGNIZABILITY, run / "tables/recognizability.parquet"
    )
    rows = recognised.query(
        "evaluator == 'efficientnet_lite0' and rule == 'label' and label_space == '16_mean'"
    )
    mean = (found["object_response"] == found["category"]).groupby(found["condition"]).mean()
    conditions = ["/".join(key) for key in rows[list(CONDITION_KEY)].itertuples(index=False)]
    assert mean[conditions].tolist() == pytest.approx(rows["recognizability"].tolist())


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_mlcroissant_accepts_the_description_and_reads_the_list(published):
    data = mlcroissant.Dataset(jsonld=str(published / "croissant.json"))
    assert not data.metadata.ctx.issues.errors
    assert not data.metadata.ctx.issues.warnings
    records = list(data.records("list"))
    listed = pd.read_csv(published / "metadata.csv")
    assert [record["list/file_name"].decode() for record in records] == list(listed["file_name"])
    said = json.loads((published / "croissant.json").read_text())
    for file in said["distribution"][:-1]:
        assert sha256_of(published / file["@id"]) == file["sha256"]


def test_crate_names_what_is_there_and_what_was_run(run, published):
    """What the profiles demand; the profiles' own validator is run by hand (docs/publish.md)."""
    graph = json.loads((published / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    mentioned = {
        value["@id"]
        for entity in graph
        for given in entity.values()
        for value in (given if isinstance(given, list) else [given])
        if isinstance(value, dict)
    }
    versions = {url for url in mentioned if url.startswith("https://w3id.org/ro/crate/")}
    assert mentioned - versions - {"https://snakemake.github.io"} <= set(entities)
    for name, entity in entities.items():
        if "File" in entity["@type"] or (entity["@type"] == "Dataset" and name != "./"):
            assert (published / name).exists(), name
    root, action = entities["./"], entities["#run"]
    assert {"@id": "https://w3id.org/ro/wfrun/workflow/0.5"} in root["conformsTo"]
    assert root["mainEntity"] == action["instrument"] == {"@id": "Snakefile"}
    assert "ComputationalWorkflow" in entities["Snakefile"]["@type"]
    assert action["object"] == {"@id": "config.yaml"}
    assert {"@id": "metamers/"} in action["result"]
    assert (published / "workflow/rules/synthesis.smk").exists()


def test_nothing_is_written_where_something_is_or_without_the_workflow(run, published, tmp_path):
    assert "not empty" in publish(run, published).output
    assert "Snakefile" in publish(run, tmp_path / "new", "--project", str(tmp_path)).output
