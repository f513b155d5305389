"""What in a mixed set makes its metamers transfer: size, robustness, family, or single models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray

from metamers import bootstrap
from metamers.analysis.mixed_sets import require_one_setting
from metamers.models.zoo import ModelSpec
from metamers.storage import result_tables

Array = NDArray[np.float64]

_EXACT = 1 - 1e-9
_UNKNOWN = dict.fromkeys(("coefficient", "low", "high", "p_value", "p_adjusted"), np.nan)


def regression(mixed: pd.DataFrame, zoo: Mapping[str, ModelSpec]) -> pd.DataFrame:
    """Return two regressions of the sets' adjusted recognizability.

    `composition` has the set's size, and the shares of its members that are robust, that have
    random weights, and that are of each family but the commonest. `members` has one indicator
    per model; they sum to the size, which is thereby held fixed. Ordinary least squares over
    sets, errors HC3 (sets judged by few evaluators are noisier), Holm's correction in each.

    A term that the sets cannot tell apart from others has no coefficient, and says why.

    Parameters
    ----------
    mixed
        Frame with the columns of the table `mixed_sets`.
    zoo
        The rows of the models.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `mixed_regression`; no row without sets.
    """
    require_one_setting(mixed)
    if mixed.empty:
        return pd.DataFrame(columns=result_tables.MIXED_REGRESSION.schema.names)
    experiment = str(mixed["experiment"].iat[0])
    values = mixed["adjusted"].to_numpy(dtype=np.float64)
    makers = {"composition": _composition(mixed, zoo), "members": _indicators(mixed)}
    parts = [
        fitted(values, terms, units).assign(regression=name, experiment=experiment)
        for name, (terms, units) in makers.items()
    ]
    frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return frame


def fitted(values: Array, terms: pd.DataFrame, units: Mapping[str, str]) -> pd.DataFrame:
    """Return least squares of values on terms and a constant, one row per term.

    Sets that a term alone singles out are fitted exactly: they say nothing of the errors, and
    are left out together with that term, which changes no other coefficient.
    """
    kept = _not_exact(terms)
    rank = np.linalg.matrix_rank(_design(terms[kept]))
    degrees = int(kept.sum() - rank)
    names = [str(name) for name in terms]
    status = [_status(name, terms, kept, rank, degrees) for name in names]
    known = [name for name, said in zip(names, status, strict=True) if said == "estimated"]
    shared = {"n": int(kept.sum()), "degrees": degrees}
    estimates = _estimates(values[kept], terms[kept], known)
    rows = [
        {"term": name, "unit": units[name], "status": said} | shared | estimates.get(name, _UNKNOWN)
        for name, said in zip(names, status, strict=True)
    ]
    return pd.DataFrame(rows, columns=result_tables.MIXED_REGRESSION.schema.names)


def _estimates(values: Array, terms: pd.DataFrame, known: list[str]) -> dict[str, dict[str, float]]:
    if not known:
        return {}
    columns = list(known)
    for name in map(str, terms):
        rank = np.linalg.matrix_rank(_design(terms[[*columns, name]]))
        columns += [name] if name not in columns and rank == len(columns) + 2 else []
    result = sm.OLS(values, _design(terms[columns])).fit(cov_type="HC3", use_t=True)
    intervals = result.conf_int(1 - bootstrap.LEVEL)
    adjusted = bootstrap.holm(result.pvalues[1 : 1 + len(known)])
    return {
        name: {
            "coefficient": result.params[at],
            "low": intervals[at, 0],
            "high": intervals[at, 1],
            "p_value": result.pvalues[at],
            "p_adjusted": adjusted[at - 1],
        }
        for at, name in enumerate(known, start=1)
    }


def _composition(
    mixed: pd.DataFrame, zoo: Mapping[str, ModelSpec]
) -> tuple[pd.DataFrame, dict[str, str]]:
    members = mixed["members"]
    every = pd.Series([zoo[model].family for models in members for model in models], dtype="str")
    families = sorted(every.unique())
    commonest = every.value_counts().sort_index().idxmax() if len(every) else ""
    terms: dict[str, Any] = {"size": mixed["size"].to_numpy(dtype=np.float64)}
    for training in ("robust", "random"):
        terms[training] = [np.mean([zoo[m].training == training for m in row]) for row in members]
    for family in families:
        if family != commonest:
            terms[family] = [np.mean([zoo[m].family == family for m in row]) for row in members]
    units = dict.fromkeys(terms, "no member to all members") | {"size": "one more model"}
    return pd.DataFrame(terms, dtype=np.float64), units


def _indicators(mixed: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    names = sorted({model for models in mixed["members"] for model in models})
    terms = {name: [float(name in models) for models in mixed["members"]] for name in names}
    return pd.DataFrame(terms, dtype=np.float64), dict.fromkeys(names, "absent to present")


def _design(terms: pd.DataFrame) -> Array:
    return np.column_stack([np.ones(len(terms)), terms.to_numpy(dtype=np.float64)])


def _not_exact(terms: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which sets are left once those of leverage 1 are taken out."""
    kept = np.ones(len(terms), dtype=bool)
    while kept.any():
        design = _design(terms[kept])
        leverage = np.einsum("ij,ji->i", design, np.linalg.pinv(design))
        if (leverage < _EXACT).all():
            break
        kept[np.flatnonzero(kept)[leverage >= _EXACT]] = False
    return kept


def _status(
    name: str, terms: pd.DataFrame, kept: NDArray[np.bool_], rank: int, degrees: int
) -> str:
    if terms[name].nunique() < 2:
        return "not estimable: no set differs in it"
    if degrees < 1 or terms.loc[kept, name].nunique() < 2:
        return f"not estimable: {len(terms)} sets are too few, or only one differs in it"
    if np.linalg.matrix_rank(_design(terms[kept].drop(columns=name))) == rank:
        return "not estimable: other terms determine it"
    return "estimated"
