"""Photographs of packages as a folder, and a run's tables as a page."""

import io
import zipfile

import pytest
import synthetic_tables as synthetic
from PIL import Image
from typer.testing import CliRunner

from metamers.analysis import claims
from metamers.cli import evidence, photographs
from metamers.cli.main import app
from metamers.files import sha256_of
from metamers.images import sources
from metamers.storage import tables


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as package:
        for k in range(photographs.COUNT):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8), (k, 0, 0)).save(picture, "JPEG")
            package.writestr(photographs.MEMBERS.format(k), picture.getvalue())
    return path


def test_photographs_are_a_folder_that_a_run_can_take(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "SHA256", sha256_of(wheel))
    folder = tmp_path / "photographs"
    done = CliRunner().invoke(app, ["photographs", str(folder), "--wheel", str(wheel)])
    assert done.exit_code == 0, done.output
    found = sources.candidates({"source": "folder", "path": str(folder)})
    assert len(found) == 120
    assert sum(image.label is not None for image in found) == 20
    assert sources.candidates({"source": "embedded"})[0].path.name in {c.path.name for c in found}


def test_a_package_of_another_hash_is_refused_before_anything_is_unpacked(wheel, tmp_path):
    folder = tmp_path / "photographs"
    done = CliRunner().invoke(app, ["photographs", str(folder), "--wheel", str(wheel)])
    assert done.exit_code == 2
    assert photographs.SHA256[:12] in done.output.replace("\n", "")
    assert not folder.exists()


def test_page_has_the_numbers_of_the_tables_and_leaves_out_what_was_not_measured(tmp_path):
    said = dict.fromkeys(tables.CLAIMS.schema.names, "x")
    numbers = {"threshold": 0.0, "effect": 0.25, "low": 0.125, "high": 0.375}
    row = said | numbers | {"confirms": "above", "verdict": "confirmed", "n": "7 models"}
    row["claim"] = claims.CLAIMS[0].name
    tables.write(tables.CLAIMS, [row], tmp_path / "claims.parquet", {"run": "small"})
    by_set = synthetic.recognizability_by_set(synthetic.QUICKSTART)
    tables.write(tables.RECOGNIZABILITY_BY_SET, by_set, tmp_path / "recognizability_by_set.parquet")
    page = "\n".join(evidence.page(tmp_path))
    assert f"| {row['claim']} | 0.25 | 0.12 to 0.38 | 7 models | confirmed |" in page
    first = by_set.iloc[0]
    assert f"| {first['mean']:.2f} | {first['low']:.2f} to {first['high']:.2f} | 20 images" in page
    assert "Shared invariances" not in page


def test_a_run_without_tables_is_refused(tmp_path):
    done = CliRunner().invoke(app, ["evidence", str(tmp_path)])
    assert done.exit_code == 2
    assert "has not finished" in done.output
