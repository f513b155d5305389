"""Published results of Feather et al. (2023), whose source and licence stand beside the data."""

from __future__ import annotations

from importlib import resources

import pandas as pd

CITATION = "Feather et al. 2023"
PHOTOGRAPHS = ("natural_image", "input_after_preproc")


def people() -> pd.DataFrame:
    """Return what people saw in metamers: a row per person, network and layer.

    Columns experiment, network, participant, layer, human (share of trials answered rightly, of
    16 categories) and network_itself. Photographs are left out.
    """
    return _read("human.csv")


def networks() -> pd.DataFrame:
    """Return what networks saw in metamers: a row per maker, layer and judge.

    Columns maker, judge, layer, n_images, correct_16 and correct_1000 (shares answered rightly).
    Photographs are left out.
    """
    return _read("network_network.csv")


def _read(name: str) -> pd.DataFrame:
    path = resources.files("metamers").joinpath("data/feather2023", name)
    with path.open() as file:
        table = pd.read_csv(file)
    return table[~table["layer"].isin(PHOTOGRAPHS)].reset_index(drop=True)
