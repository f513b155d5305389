import json

import altair as alt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from metamers import seals
from metamers.figures import style
from metamers.images import references
from metamers.seals import Record, SealError
from metamers.storage import raw_tables, tables


def record(path):
    text = "-->  <script>--</script> — ü"
    return Record(path, "draw", {"figure": "f"}, {"seed": 1, "label": text}, {"a": {"seal": "0"}})


@pytest.fixture
def written(tmp_path):
    """A small file of each format, by its suffix, written as the workflow writes it."""
    names = ["t.parquet", "i.safetensors", "n.json", "c.svg", "c.png", "c.html", "page.md"]
    paths = {name: tmp_path / name for name in names}
    seals.expect({str(path): record(name) for name, path in paths.items()})
    row = {"references": "r", "image_id": "a", "label": 1, "wnid": None, "category": None}
    row |= {"source": "a.jpg", "sha256": "0", "crop": "whole"}
    tables.write(raw_tables.REFERENCES, pd.DataFrame([row]), paths["t.parquet"])
    references.save(paths["i.safetensors"], ["a"], np.zeros((1, 3, 4, 4), np.uint8))
    chart = alt.Chart({"values": [{"x": 1}]}).mark_point().properties(width=9, height=9)
    style.save(chart, tmp_path / "c")
    paths["n.json"].write_text(json.dumps({"model": "m"}))
    paths["page.md"].write_text("# Page\n")
    for name in names[2:]:
        seals.seal_page(paths[name])
    yield {path.suffix: path for path in paths.values()}
    seals.expect({})


def test_every_format_carries_its_record_in_full(written):
    assert set(written) == set(seals.FORMATS)
    for path in written.values():
        assert seals.opened(path)[0] == record(path.name)
        assert seals.seal_of(path) == seals.opened(path)[1]


def test_sealed_files_are_still_of_their_format(written):
    assert len(tables.read(raw_tables.REFERENCES, written[".parquet"])) == 1
    assert references.load(written[".safetensors"])[0] == ["a"]
    assert json.loads(written[".json"].read_text())["model"] == "m"
    with Image.open(written[".png"]) as picture:
        picture.verify()
    page = written[".html"].read_text()
    assert "<script>--</script>" not in page[page.index(seals.KEY) :]
    assert page.rstrip().endswith("-->")


@pytest.mark.parametrize("suffix", seals.FORMATS)
def test_one_flipped_bit_is_found_wherever_it_is(written, suffix):
    path = written[suffix]
    content = path.read_bytes()
    places = np.linspace(0, len(content) - 1, 400).astype(int)
    places = {*places, *range(min(16, len(content))), *range(len(content) - 200, len(content))}
    for place in sorted(places):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(SealError):
            seals.opened(path)


@pytest.mark.parametrize("suffix", seals.FORMATS)
def test_a_file_that_is_cut_off_or_longer_is_damaged(written, suffix):
    path = written[suffix]
    content = path.read_bytes()
    for length in (0, 1, 8, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(SealError):
            seals.opened(path)
    path.write_bytes(content + b"\n")
    with pytest.raises(SealError):
        seals.opened(path)


def test_files_of_equal_content_have_equal_bytes(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)
    paths = [tmp_path / f"{number}.safetensors" for number in range(20)]
    for path in paths:
        references.save(path, ["a"], pixels)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_file_of_no_job_is_written_without_record(tmp_path):
    seals.expect({})
    frame = pd.DataFrame(columns=raw_tables.REFERENCES.schema.names)
    tables.write(raw_tables.REFERENCES, frame, tmp_path / "t.parquet")
    assert b"metamers.record" not in pq.read_metadata(tmp_path / "t.parquet").metadata
    with pytest.raises(SealError, match="no seal"):
        seals.opened(tmp_path / "t.parquet")
