"""The names that users of the library import from `metamers` itself."""

import inspect
import subprocess
import sys

import pytest

import metamers

CHECK = "import sys, metamers; dir(metamers); sys.exit('torch' in sys.modules)"


def test_importing_the_library_imports_no_torch():
    assert subprocess.run([sys.executable, "-c", CHECK], check=False).returncode == 0


@pytest.mark.parametrize("name", metamers.EXPORTS)
def test_public_name_is_documented(name):
    assert len(inspect.getdoc(getattr(metamers, name)) or "") > 40


@pytest.mark.parametrize("name", metamers.EXPORTS)
def test_public_name_is_that_of_its_module(name):
    assert getattr(metamers, name).__module__ == metamers.EXPORTS[name]


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Metamer'"):
        metamers.Metamer  # noqa: B018


def test_public_names_are_listed():
    assert {"synthesize", "Bound", "load_model"} <= set(dir(metamers))
