import os
import unicodedata

import pytest

from metamers.images.errors import ImagesError
from metamers.images.folder import read_labels, read_list
from metamers.images.sources import candidates


@pytest.fixture
def folder(tmp_path):
    """Return a folder of empty files; a source opens none of them."""
    root = tmp_path / "my pictures"
    (root / "more").mkdir(parents=True)
    for name in ("a cat.jpg", "more/Überraschung 写真.png", "dog.webp", ".DS_Store"):
        (root / name).touch()
    (root / ".hidden").mkdir()
    (root / ".hidden" / "old.jpg").touch()
    return root


def found_in(folder, **more):
    return candidates({"source": "folder", "path": str(folder)} | more)


def problems_of(call, *arguments):
    with pytest.raises(ImagesError) as caught:
        call(*arguments)
    return list(caught.value.problems)


def test_pictures_of_a_folder_need_no_labels(folder):
    found = found_in(folder)
    assert [image.image_id for image in found] == [
        "a cat.jpg",
        "dog.webp",
        "more/Überraschung 写真.png",
    ]
    assert {image.label for image in found} == {None}
    assert all(image.path.is_file() for image in found)


@pytest.mark.parametrize(
    ("column", "cat", "dog"), [("label", "281", "207"), ("wnid", "n02123045", "n02099601")]
)
def test_labels_of_a_folder_are_read(folder, column, cat, dog):
    (folder / "labels.csv").write_text(
        f"file,{column},note\na cat.jpg,{cat},mine\ndog.webp, {dog} ,\n"
        "more/Überraschung 写真.png,,no label\n",
        encoding="utf-8",
    )
    assert [image.label for image in found_in(folder)] == [281, 207, None]
    assert [image.category for image in found_in(folder)] == ["cat", "dog", None]


def test_labels_saved_by_a_spreadsheet_are_read(folder):
    rows = "file,label\r\na cat.jpg,281\r\ndog.webp,207\r\n\r\nmore/Überraschung 写真.png,\r\n"
    (folder / "labels.csv").write_bytes(rows.encode("utf-8-sig"))
    assert [image.label for image in found_in(folder)] == [281, 207, None]


def test_labels_and_files_that_do_not_agree_are_all_named(folder):
    table = folder / "labels.csv"
    table.write_text("file,label\na cat.jpg,281\ncow.jpg,345\n")
    assert problems_of(found_in, folder) == [
        f"{table}: names 'cow.jpg', which is not there",
        f"{table}: has no row for 'dog.webp'",
        f"{table}: has no row for 'more/Überraschung 写真.png'",
    ]


def test_strange_labels_are_all_named(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na,1000\nb,-1\nc,cat\na,1\n,2\nd,3.0\n")
    assert problems_of(read_labels, table) == [
        f"{table}, line 2: met label '1000', expected 0..999",
        f"{table}, line 3: met label '-1', expected 0..999",
        f"{table}, line 4: met label 'cat', expected 0..999",
        f"{table}, line 5: met file 'a', expected each file once",
        f"{table}, line 6: met file '', expected each file once",
        f"{table}, line 7: met label '3.0', expected 0..999",
    ]


def test_strange_wordnet_ids_are_named(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,wnid\na,n02123045\nb,tabby\n")
    (problem,) = problems_of(read_labels, table)
    assert problem == f"{table}, line 3: met wnid 'tabby', expected one of the 1000 of ILSVRC-2012"


@pytest.mark.parametrize("text", ["", "\n", "picture,class\na,1\n", "file;label\na;1\n"])
def test_other_columns_are_refused(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    (problem,) = problems_of(read_labels, tmp_path / "labels.csv")
    assert "expected file,label or file,wnid" in problem


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    (problem,) = problems_of(read_labels, tmp_path / "labels.csv")
    assert "expected UTF-8" in problem


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.jpg\n\xff\n")
    (problem,) = problems_of(read_list, tmp_path / "list.txt")
    assert problem == f"{tmp_path}/list.txt: met byte 6 of no text, expected UTF-8"


def test_short_and_long_rows_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na\nb,1,2,3\n")
    assert [p.split(": ", 1)[1] for p in problems_of(read_labels, tmp_path / "labels.csv")] == [
        "met 1 cells, expected 2",
        "met 4 cells, expected 2",
    ]


def test_names_are_the_same_from_a_system_that_decomposes_accents(tmp_path):
    decomposed = unicodedata.normalize("NFD", "é.jpg")
    (tmp_path / decomposed).touch()
    (tmp_path / "labels.csv").write_text("file,label\né.jpg,1\n", encoding="utf-8")
    (image,) = found_in(tmp_path)
    assert image.image_id == "é.jpg" != decomposed
    assert image.path.name == decomposed
    assert image.label == 1


def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    (tmp_path / b"caf\xe9.jpg".decode(errors="surrogateescape")).touch()
    (problem,) = problems_of(found_in, tmp_path)
    assert "the file's name is not valid Unicode" in problem
    assert problem.encode()


def test_an_empty_folder_is_refused(tmp_path):
    (problem,) = problems_of(found_in, tmp_path)
    assert problem == f"{tmp_path}: met no files, expected pictures"


def test_a_path_that_is_a_file_is_refused(folder):
    (problem,) = problems_of(found_in, folder / "dog.webp")
    assert problem == f"data.path is '{folder}/dog.webp': met a file, expected a folder"


def test_a_list_names_files_by_their_name_or_their_path(folder):
    files = ["Überraschung 写真.png", "dog.webp"]
    assert [i.image_id for i in found_in(folder, files=files)] == [
        "dog.webp",
        "more/Überraschung 写真.png",
    ]
    files = ["more/Überraschung 写真.png"]
    assert [i.image_id for i in found_in(folder, files=files)] == files


def test_a_name_that_means_two_files_is_refused(folder):
    (folder / "more" / "dog.webp").touch()
    (problem,) = problems_of(lambda: found_in(folder, files=["dog.webp"]))
    assert "'dog.webp', which the source has 2 times; expected once" in problem


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_an_empty_list_is_refused(tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    (problem,) = problems_of(read_list, tmp_path / "list.txt")
    assert "met an empty list" in problem


def test_a_list_that_is_not_there_or_empty_is_refused(folder):
    (problem,) = problems_of(lambda: found_in(folder, files="nowhere.txt"))
    assert problem == "data.files is 'nowhere.txt': met no such file, expected a list"
    (problem,) = problems_of(lambda: found_in(folder, files=[]))
    assert problem == "data.files is empty; expected names of files"


@pytest.mark.parametrize(
    "name",
    ["a 'b' \"c\".png", "<script>alert(1)<!--.png", "a..png", "a;b&c|d$(e).png", "é\u202f.png"],
)
def test_strange_names_are_kept_as_they_are(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"")
    assert [image.source for image in found_in(tmp_path)] == [f"in/{name}"]


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[2Jb.png", "a\u2028b.png", "a\rb.png"])
def test_a_name_with_a_control_character_is_refused_and_shown_escaped(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    (problem,) = problems_of(found_in, tmp_path)
    assert repr(str(tmp_path / name)) in problem
    assert problem.isprintable()


def test_links_within_the_folder_are_followed_and_others_refused(tmp_path):
    outside = tmp_path / "secret.png"
    outside.write_bytes(b"")
    root = tmp_path / "mine"
    root.mkdir()
    (root / "a.png").write_bytes(b"")
    (root / "b.png").symlink_to(root / "a.png")
    assert [image.source for image in found_in(root)] == ["a.png", "b.png"]
    (root / "c.png").symlink_to(outside)
    (root / "d.png").symlink_to("../secret.png")
    (root / "e.png").symlink_to("/dev/zero")
    problems = problems_of(found_in, root)
    assert [problem.partition(":")[0] for problem in problems] == [
        str(root / name) for name in ("c.png", "d.png", "e.png")
    ]
    assert str(outside) in problems[0]


def test_a_labels_table_cannot_name_files_outside_the_folder(folder):
    (folder / "labels.csv").write_text("file,label\n../cat.png,3\n")
    assert any(
        "'../cat.png', which is not there" in problem for problem in problems_of(found_in, folder)
    )


def test_a_column_that_is_there_twice_is_refused(folder):
    (folder / "labels.csv").write_text("file,label,label\na.png,3,4\n")
    (problem,) = problems_of(found_in, folder)
    assert "expected each name once" in problem


def test_a_labels_table_that_is_a_pipe_is_refused_without_waiting(folder):
    (folder / "labels.csv").unlink(missing_ok=True)
    os.mkfifo(folder / "labels.csv")
    (problem,) = problems_of(found_in, folder)
    assert "labels.csv: cannot be read" in problem


def test_a_name_in_quotes_may_have_a_lines_end_and_lines_are_counted_rightly(tmp_path):
    (tmp_path / "labels.csv").write_text('file,label\n"a\nb",1\nc,1000\n')
    (problem,) = problems_of(read_labels, tmp_path / "labels.csv")
    assert "line 4: met label '1000'" in problem
