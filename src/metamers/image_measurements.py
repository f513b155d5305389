"""Image metrics of many conditions, each computed once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from metamers import quality
from metamers.evaluation import Subject
from metamers.store import Store


def measure(
    subjects: Sequence[Subject], store: Store, batch_size: int, revision: int
) -> pd.DataFrame:
    """Return the rows of table ``image_metrics`` for some conditions.

    What the store has is taken from it.
    """
    parts = []
    for subject in subjects:
        key = subject.key({"metrics": sorted(quality.METRICS)}, revision)
        if not store.has(key):
            logging.info("%s", subject.condition)
            frame = quality.measure(
                subject.metamers.pixels,
                subject.reference_pixels,
                subject.metamers.image_ids,
                batch_size=batch_size,
            )
            store.put(key, {"image_metrics": frame.assign(**subject.condition.columns())})
        parts.append(store.get(key)["image_metrics"])
    return pd.concat(parts, ignore_index=True)
