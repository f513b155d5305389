"""Is the configuration right? All that is wrong with it, before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from metamers.config import checks
from metamers.config.plain_data import UnboundedError, flaws, plain, read_mapping
from metamers.config.plan import Plan
from metamers.models.zoo import has_head

# Sections of named entries: one that is wrong does not hide the errors of the others.
_NAMED = ("references", "stages", "bounds", "recipes", "model_sets", "experiments")
_LONGEST_MESSAGE = 400

# Whole floats (10.0) are no counts: one spelling for one meaning.
_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


Networks = Callable[[Mapping[str, Any], Mapping[str, Mapping[str, Any]]], list[str]]
"""Returns what is wrong with the networks of a configuration's rows."""


class ConfigurationError(ValueError):
    """The configuration is wrong; the message lists everything that is."""


def read(overlays: Iterable[Path], default: Path = Path("config/config.yaml")) -> dict[str, Any]:
    """Return the configuration that ``snakemake --configfile <overlays>`` runs with.

    Sections are merged key by key, lists are replaced, and ``null`` stands for itself (it takes
    an experiment out): by Snakemake's own function.

    Raises
    ------
    ConfigurationError
        If a file is not there, or not a mapping of keys, each given once.
    """
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for path in (default, *overlays):
        try:
            values = plain(read_mapping(path))
        except UnboundedError as error:
            raise ConfigurationError(f"{str(path)!r} is not plain data: {error}") from error
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        update_config(merged, values)
    return merged


def find(path: str, base: str | Path) -> Path:
    """Return a file that is named relative to the working directory, or to the Snakefile."""
    here = Path(path)
    return here if here.exists() or here.is_absolute() else Path(base) / path


def plan_of(
    config: Mapping[str, Any],
    base: str | Path,
    files: Iterable[str | Path] = (),
    networks: Networks | None = None,
) -> Plan:
    """Return the plan of a configuration, whose zoo is read and which is found right.

    Parameters
    ----------
    config
        As Snakemake read it.
    base
        Folder of the Snakefile, where the schemas are.
    files
        The files that it was read from; a key that one of them gives twice is an error.
    networks
        Says what is wrong with the networks themselves (`metamers.preflight.networks.problems`);
        without it they are not looked at.

    Raises
    ------
    ConfigurationError
        Listing each error: the key, the value met, and what is allowed.
    """
    for path in files:
        read([], Path(path))
    rows = rows_of(config, base)
    require(config, rows, base, networks)
    return Plan.from_config(config, rows)


def rows_of(config: Mapping[str, Any], base: str | Path) -> dict[str, dict[str, Any]]:
    """Return the rows of the configuration's zoo.

    Raises
    ------
    ConfigurationError
        If there is no such file, or it is not a mapping of rows.
    """
    path = config.get("zoo")
    try:
        if not isinstance(path, str) or not path:
            raise ValueError(f"{type(path).__name__} is not the path of a file")
        return read_mapping(find(path[:1000], base))
    except ValueError as error:
        raise ConfigurationError(f"the configuration, key 'zoo': {error}") from error


def require(
    config: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    base: str | Path,
    networks: Networks | None = None,
) -> None:
    """Raise `ConfigurationError`, which lists the `problems`, if there are any."""
    errors = problems(config, rows, base, networks)
    if errors:
        listed = "\n".join(f"  {number}. {error}" for number, error in enumerate(errors, 1))
        raise ConfigurationError(
            f"the configuration has {len(errors)} error{'s' * (len(errors) > 1)} "
            f"(each key is explained in config/README.md):\n{listed}"
        )


def problems(
    config: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    base: str | Path,
    networks: Networks | None = None,
) -> list[str]:
    """Return all that is wrong with a configuration and the rows that it uses, in words.

    Parameters
    ----------
    config
        As Snakemake read it.
    rows
        The rows of the zoo; those that the configuration does not use are not looked at.
    base
        Folder of the Snakefile, where the schemas are.
    """
    schemas = Path(base) / "workflow" / "schemas"
    try:
        values = plain(config)
    except UnboundedError as error:
        return [f"the configuration is not plain data: {error}"]
    found = list(_by_schema(values, schemas / "config.schema.yaml"))
    sound = _sound(_with_texts_as_keys(values), [key for key, _ in found])
    declared = {name: _names(values.get(name)) for name in _NAMED} | {"zoo": list(rows)}
    declared["headless"] = [
        n for n, row in rows.items() if isinstance(row, dict) and not has_head(row)
    ]
    errors = [f"configuration, key {_shown(key)}: {message}" for key, message in found]
    errors += [_short(error) for error in checks.check(sound, declared)]
    used = checks.used_models(sound)
    wrong = list(_rows(rows, used, schemas / "models.schema.yaml"))
    if networks and not wrong and sound.keys() >= {"preprocessing", "stages", "weights_cache"}:
        wrong = networks(sound, {name: rows[name] for name in used if name in rows})
    return errors + [_short(error) for error in wrong]


def _rows(rows: Mapping[str, Any], used: list[str], schema: Path) -> Iterator[str]:
    """Yield what is wrong with the rows of the zoo that are used."""
    try:
        chosen = plain({name: rows[name] for name in used if name in rows})
    except UnboundedError as error:
        yield f"the zoo is not plain data: {error}"
        return
    if chosen:
        for key, message in _by_schema(chosen, schema):
            yield f"zoo, key {_shown(key)}: {message}"


def _by_schema(value: dict[str, Any], path: Path) -> list[tuple[tuple[str, ...], str]]:
    """Return key and message of each error; what is not plain data comes first."""
    found = list(flaws(value))
    flawed = {key for key, _ in found}
    errors = _validator(path).iter_errors(_with_texts_as_keys(value))
    for error in sorted(errors, key=lambda e: list(map(str, e.path))):
        leaf: ValidationError = best_match([error]) or error
        key = tuple(map(str, leaf.absolute_path))
        if key not in flawed:
            found.append((key, _message(leaf)))
    return found


@cache
def _validator(schema: Path) -> Draft202012Validator:
    return _Validator(yaml.safe_load(schema.read_text()))


def _message(error: ValidationError) -> str:
    value = error.instance
    whole = error.validator == "type" and isinstance(value, float) and value.is_integer()
    hint = f"; write {int(value)}" if whole and error.validator_value == "integer" else ""
    if error.context:  # alternatives that come equally far
        return _short("; or ".join(dict.fromkeys(inner.message for inner in error.context)))
    return _short(error.message + hint)


def _with_texts_as_keys(value: Any) -> Any:  # noqa: ANN401
    """Return a value without the keys that are no text, which are errors of their own."""
    if isinstance(value, dict):
        return {k: _with_texts_as_keys(v) for k, v in value.items() if isinstance(k, str)}
    return [_with_texts_as_keys(item) for item in value] if isinstance(value, list) else value


def _sound(values: dict[str, Any], wrong: list[tuple[str, ...]]) -> dict[str, Any]:
    """Return the configuration without the sections, or their entries, that have errors."""
    sound = dict(values)
    for section, *rest in filter(None, wrong):
        if section in _NAMED and rest and isinstance(sound.get(section), dict):
            sound[section] = {k: v for k, v in sound[section].items() if str(k) != rest[0]}
        else:
            sound.pop(section, None)
    return sound


def _names(section: Any) -> list[str]:  # noqa: ANN401
    return [str(name) for name in section] if isinstance(section, dict) else []


def _shown(key: tuple[str, ...]) -> str:
    return repr(_short(".".join(key)) or "(top level)")


def _short(text: str) -> str:
    if len(text) <= _LONGEST_MESSAGE:
        return text
    return f"{text[: _LONGEST_MESSAGE * 2 // 3]} [...] {text[-_LONGEST_MESSAGE // 3 :]}"
