"""Read the weights of an ONNX file, which is plain data: the graph is not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metamers.models.weights import verification
from metamers.models.weights.errors import TruncatedFileError, UnreadableFileError
from metamers.models.weights.row import WeightsRow

UNNAMED = "onnx::"
"""How torch's exporter begins the names of weights that it has transposed or computed."""


def read(path: Path) -> dict[str, Tensor]:
    """Return the weights of a network that torch exported, by the names of its modules.

    Those that the exporter left unnamed are called by the node that takes them: the factor of a
    linear layer ``weight``, transposed back as torch has it, any other like the node itself.
    Integers, which are shapes and indices, are left out.

    Raises
    ------
    WebPageError, TruncatedFileError, UnreadableFileError
        If it is a web page, ends too early, is no ONNX file, or keeps weights in another file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    verification.check_form(path, WeightsRow(source="local", file=path.name))
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError as error:
        raise TruncatedFileError(f"{str(path)!r} is not a complete ONNX file: {error}") from error
    takers = {name: node for node in graph.node for name in node.input}
    weights: dict[str, Tensor] = {}
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UnreadableFileError(f"{str(path)!r} keeps {tensor.name!r} in another file")
        array = onnx.numpy_helper.to_array(tensor)
        if not np.issubdtype(array.dtype, np.floating):
            continue
        name, node = tensor.name, takers.get(tensor.name)
        if name.startswith(UNNAMED) and node is not None:
            name = node.name.strip("/").replace("/", ".")
            if node.op_type == "MatMul":
                name, array = f"{name.removesuffix('.MatMul')}.weight", array.T
        weights[name] = torch.from_numpy(np.array(array, order="C"))
    if not weights:
        raise UnreadableFileError(f"{str(path)!r} has no weights, or is not an ONNX file")
    return weights
