"""Plain data from YAML files that strangers wrote: read strictly, and bounded in size."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

DEEPEST = 30
MOST_VALUES = 100_000
LARGEST = 2**53  # beyond it, whole numbers are no longer exact as floats
LONGEST = 4096


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    Raises
    ------
    ValueError
        If the file is not there or not YAML, holds no mapping, gives a key twice, or holds an
        alias of itself; the message names the file.
    """
    try:
        return _read(path)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise ValueError(f"{str(path)!r} is nested too deeply, or contains itself") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} is not YAML: {error}") from error
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        _refuse_repeated_keys(node, set())
        values = loader.construct_document(node) if node else None
    finally:
        loader.dispose()
    if not isinstance(values, dict):
        raise ValueError(f"the file holds {type(values).__name__}; expected are keys and values")
    return values


def _refuse_repeated_keys(node: yaml.Node | None, seen: set[int]) -> None:
    if node is None or id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, seen)
        return
    keys: set[tuple[str, str]] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in keys:
            line = key.start_mark.line + 1
            raise ValueError(f"line {line}: the key {key.value[:100]!r} is given twice")
        keys.add((key.tag, str(key.value)) if isinstance(key, yaml.ScalarNode) else ("", str(key)))
        _refuse_repeated_keys(value, seen)


class UnboundedError(ValueError):
    """A value contains itself, or is too deep or too large to look at."""


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return nested mappings and sequences as dictionaries and lists.

    Raises
    ------
    UnboundedError
        If it is deeper than 30 levels or holds more than 100,000 values, aliases counted each
        time.
    """
    return _plain(value, 0, [0])


def _plain(value: Any, depth: int, count: list[int]) -> Any:  # noqa: ANN401
    count[0] += 1
    if depth > DEEPEST:
        raise UnboundedError(f"it is nested more than {DEEPEST} levels deep, or contains itself")
    if count[0] > MOST_VALUES:
        raise UnboundedError(f"it holds more than {MOST_VALUES} values, aliases counted each time")
    if isinstance(value, Mapping):
        return {key: _plain(item, depth + 1, count) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1, count) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def flaws(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ANN401
    """Yield key and message of what no configuration may hold, of values that `plain` returned.

    That are numbers that are not finite or too large, very long texts, keys that are no text,
    what is neither a number, text, truth value, list nor mapping (a date, for example), and markup:
    the report holds the configuration and the zoo's rows as they are.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(name, str) and len(name) <= LONGEST:
                yield from _markup(name, (*key, name))
                yield from flaws(item, (*key, name))
            else:
                shown = repr(name)[:60]
                yield (*key, shown), f"the key {shown} is not a text of at most {LONGEST} letters"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from flaws(item, (*key, str(index)))
    elif isinstance(value, str):
        if len(value) > LONGEST or "\0" in value:
            yield key, f"the text {value[:40]!r}... is longer than {LONGEST} letters or holds \\0"
        yield from _markup(value, key)
    elif isinstance(value, int | float):
        if not math.isfinite(value) if isinstance(value, float) else abs(value) > LARGEST:
            shown = repr(value) if isinstance(value, float) else f"of {value.bit_length()} bits"
            yield key, f"the number {shown} is not finite, or is beyond 2^53"
    elif value is not None:
        yield key, f"{str(value)[:60]!r} is of type {type(value).__name__}; quote it if it is text"


def _markup(text: str, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if "<" in text or ">" in text:
        yield key, f"the text {text[:60]!r} holds '<' or '>', which pages would take for markup"
