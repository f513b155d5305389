"""The report has a section for every figure."""

from metamers.config import sections
from metamers.figures import registry


def test_every_figure_has_a_section_and_every_section_a_figure():
    shown = [figure for figures in sections.SECTIONS.values() for figure in figures]
    assert sorted(shown) == sorted(registry.FIGURES)
    assert {sections.section_of(name) for name in registry.FIGURES} == set(sections.SECTIONS)
