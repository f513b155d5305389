"""The XCiT converter, for `metamers.converters`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_JOINT = re.compile(r"^(cls_attn_blocks\.\d+\.attn)\.qkv\.(weight|bias)$")


def xcit(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return timm's names for an XCiT as its authors, or those who trained it on, save it.

    The entries are bare or under ``model``, as timm's own conversion takes them
    (`timm.models.xcit.checkpoint_filter_fn`). The position encoding is spelled anew, and the
    class attention's joint projection is cut into query, key and value. Entries that already
    have timm's names stay.
    """
    entries: dict[str, Tensor] = {}
    for name, value in content.get("model", content).items():
        joint = _JOINT.match(name)
        if joint:
            for part, third in zip("qkv", value.chunk(3), strict=True):
                entries[f"{joint[1]}.{part}.{joint[2]}"] = third
        else:
            entries[name.replace("pos_embeder.", "pos_embed.", 1)] = value
    return entries
