"""Checkpoints to read, honest and hostile."""

from __future__ import annotations

import torch

torch.set_num_threads(1)


def assert_equal(met, expected):
    assert list(met) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(met[name].to(tensor.dtype), tensor), name


def save(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    return tmp_path / "net.pth"
