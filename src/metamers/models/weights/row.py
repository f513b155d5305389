"""What a row of the zoo says of its weights. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layout:
    """How a checkpoint's names become the architecture's.

    Attributes
    ----------
    nested
        Keys to descend, for example ``("model",)`` in ``{"model": state_dict}``.
    keep
        Prefix of the entries to keep, which is then removed; others are left out.
    drop
        Names that are left out.
    rename
        Regular expressions and what replaces them, applied to each name in this order.
    by_order
        Entries are matched by their order, shapes checked.
    convert
        Name of a converter of `metamers.models.weights.state_dict`, for other layouts.
    """

    nested: tuple[str, ...] = ()
    keep: str = ""
    drop: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    by_order: bool = False
    convert: str = ""


@dataclass(frozen=True)
class WeightsRow:
    """Where a model's weights come from, and how to recognise the right ones.

    Attributes
    ----------
    source
        ``package`` (installed), ``sdist``, ``wheel`` (a file in a package of these forms), ``url``,
        ``huggingface`` (the URL names the commit), ``archive`` (a member of a tar at a URL),
        ``gdrive``, ``local`` (a path of the user's), ``factory`` (the architecture's own function
        loads them) or ``random`` (drawn from a seed).
    file
        Name in the cache, of one model only.
    path
        Place inside the package or archive, or the path of a local file, or of the one that the
        factory loads.
    size, size_about
        Bytes: exact (checked; 0: unknown), and about (only shown).
    sha256, sha256_prefix
        Of the file, where its source publishes it; else `config/weights.lock` records it.
    """

    source: str
    file: str = ""
    path: str = ""
    package: str = ""
    package_sha256: str = ""
    url: str = ""
    sha256: str = ""
    sha256_prefix: str = ""
    size: int = 0
    size_about: int = 0
    licence: str = ""
    seed: int = 0
    note: str = ""
    layout: Layout = field(default_factory=Layout)

    @property
    def has_file(self) -> bool:
        """Return whether there is a file to locate and verify."""
        return self.source not in ("factory", "random")
