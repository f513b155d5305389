"""Code and files that decide a model's results are known by their contents."""

import pytest

from metamers.files import sha256_of
from metamers.models.weights import contents


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of own code: a package with a relative import, and modules beside it."""
    (tmp_path / "nets").mkdir()
    files = {
        "nets/__init__.py": "from . import parts\n",
        "nets/big.py": "import torch\nfrom .parts import block\nfrom shared.layers import conv\n",
        "nets/parts.py": "block = 1\n",
        "nets/unused.py": "1\n",
        "shared/layers.py": "import helper\nconv = 2\n",  # a folder without __init__.py
        "helper.py": "raise SystemExit  # whoever reads it runs none of it\n",
        "alone.py": "import torch\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["nets/__init__.py", "nets/big.py", "nets/parts.py", "shared/layers.py", "helper.py"]
)
def test_code_is_that_of_all_own_modules_that_are_imported(own, name):
    before = contents.code_of("nets.big")
    (own / name).write_text((own / name).read_text() + "# another\n")
    assert contents.code_of("nets.big") != before


@pytest.mark.parametrize("name", ["nets/unused.py", "alone.py"])
def test_code_that_is_not_imported_does_not_count(own, name):
    before = contents.code_of("nets.big")
    (own / name).write_text("2\n")
    assert contents.code_of("nets.big") == before


def test_a_module_that_imports_nothing_of_its_own_is_its_file(own):
    assert contents.code_of("alone") == sha256_of(own / "alone.py")


def test_of_an_installed_package_the_module_alone_counts():
    assert contents.code_of("timm.models.resnet") == sha256_of(
        contents.module_file("timm.models.resnet")
    )


def test_code_that_is_not_there_or_cannot_be_read_is_no_error(own):
    assert contents.code_of("nosuch.thing") is None
    (own / "alone.py").write_text("not python (")
    assert contents.code_of("alone") == sha256_of(own / "alone.py")


def row(**weights):
    return {"architecture": "import:alone:network", "weights": weights}


def test_a_file_that_a_factory_loads_decides_by_its_contents(own):
    (own / "mine.pth").write_bytes(b"one")
    mine = row(source="factory", path=str(own / "mine.pth"))
    before = contents.hashes_of(mine, own / "cache")
    assert before["sha256"] == sha256_of(own / "mine.pth")
    (own / "mine.pth").write_bytes(b"other")
    assert contents.hashes_of(mine, own / "cache")["sha256"] != before["sha256"]
    assert "sha256" not in contents.hashes_of(row(source="factory"), own / "cache")
