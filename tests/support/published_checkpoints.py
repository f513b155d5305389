"""Checkpoints of each source's format and names, with made-up values, for every row.

What is known of the formats is written here a second time, apart from the rows' layouts: from
the training codes (robustness, timm, DeiT, XCiT, MEAL-V2, CORnet), from torchvision's own loaders
and from the loader of RobustBench. Each tensor holds one number, so a file is small although the
shapes are the real ones.
"""

import re

import torch


def constants(state):
    """Return the names of a state dict, each with one number of its own in all its entries."""
    return {
        name: torch.tensor(float(number)).to(tensor.dtype).expand(tensor.shape)
        for number, (name, tensor) in enumerate(state.items())
    }


def content(name, entries):
    """Return what the published file of a row holds."""
    return FORMATS.get(name, dict)(entries)


def prefixed(prefix, entries):
    return {f"{prefix}{name}": value for name, value in entries.items()}


def robustness(entries):
    """MadryLab's robustness library: the model twice, the second time inside the attacker."""
    scale = torch.zeros(3, 1, 1)
    model = prefixed("module.model.", entries) | prefixed("module.attacker.model.", entries)
    for place in ("module.normalizer", "module.attacker.normalize"):
        model |= {f"{place}.new_mean": scale, f"{place}.new_std": scale}
    return {"model": model, "optimizer": {"state": {0: scale}}, "schedule": {}, "epoch": 90}


def data_parallel(entries):
    return prefixed("module.", entries)


def robustbench_wrapped(entries):
    return {"state_dict": prefixed("module.model.", entries), "epoch": 300}


def under_model(entries):
    return {"model": entries}


def cornet(entries):
    state = prefixed("module.", entries)
    return {"flags": {"lr": 0.1}, "epoch": 43, "state_dict": state, "optimizer": {}}


def densenet(entries):
    """A dot in `norm.1`, and no counters: PyTorch 0.3."""
    return {
        re.sub(r"(denselayer\d+\.(norm|conv))([12])", r"\1.\3", name): value
        for name, value in entries.items()
        if not name.endswith("num_batches_tracked")
    }


def old_vit(entries):
    names = {".mlp.0.": ".mlp.linear_1.", ".mlp.3.": ".mlp.linear_2."}
    for new, old in names.items():
        entries = {name.replace(new, old): value for name, value in entries.items()}
    return entries


def half(entries):
    return {n: v.half() if v.is_floating_point() else v for n, v in entries.items()}


def old_timm_swin(entries):
    """Timm 0.6: downsampling at a stage's end, `head.weight`, and buffers that follow."""
    old = {}
    for name, value in entries.items():
        moved = re.sub(r"^layers\.(\d)\.downsample", _one_stage_back, name)
        old[moved.replace("head.fc.", "head.")] = value
    old["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    old["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49).long()
    return robustbench_wrapped(old)


def _one_stage_back(match):
    return f"layers.{int(match[1]) - 1}.downsample"


def original_xcit(entries):
    """The authors' names: one joint projection in class attention, `pos_embeder`."""
    original = {}
    for name, value in entries.items():
        joint = re.match(r"(cls_attn_blocks\.\d\.attn)\.([qkv])\.(weight|bias)", name)
        if joint is None:
            original[name.replace("pos_embed.", "pos_embeder.")] = value
        elif joint[2] == "q":
            parts = [entries[f"{joint[1]}.{part}.{joint[3]}"] for part in "qkv"]
            original[f"{joint[1]}.qkv.{joint[3]}"] = torch.cat(parts)
    return {"model": original}


FORMATS = {
    "alexnet_robust": robustness,
    "resnet50_robust": robustness,
    "resnet18_robust": robustness,
    "wide_resnet50_robust": robustness,
    "convnext_base_robust": robustbench_wrapped,
    "deit_small": under_model,
    "deit_small_robust": under_model,
    "vit_base": old_vit,
    "vit_base_robust": data_parallel,
    "swin_base_robust": old_timm_swin,
    "xcit_small": original_xcit,
    "xcit_small_robust": under_model,
    "meal_v1_resnet50": data_parallel,
    "meal_v2_resnet50": data_parallel,
    "meal_v2_efficientnet_b0": data_parallel,
    "cornet_s": cornet,
    "densenet": densenet,
    "wide_resnet50": half,
}
