"""ONNX graphs of programs, by torch's exporter, and onnxruntime to run them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gancli.checkpoint import KEY

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram


def serialized(program: ExportedProgram, about: Mapping[str, Any]) -> bytes:
    """A program as the bytes of an .onnx file.

    Args:
        program: of torch.export.
        about: the document that the file contains under the key ``gancli``, with the names of inputs and outputs.
    """
    import torch

    with contextlib.redirect_stdout(io.StringIO()):  # the exporter reports its progress there
        exported = torch.onnx.export(
            program, input_names=list(about["inputs"]), output_names=list(about["outputs"]), dynamo=True, verbose=False
        )
    assert exported is not None
    model = exported.model_proto
    graph = model.graph
    for value in (*graph.input, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = "batch"
    # Shapes in between are inferred again by what reads the file; paths of source files are of no use elsewhere.
    graph.ClearField("value_info")
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
    model.producer_name, model.producer_version = "gancli", ""
    model.metadata_props.clear()
    model.metadata_props.add(key=KEY, value=json.dumps(about, sort_keys=True))
    return model.SerializeToString(deterministic=True)


def running(content: bytes) -> Callable[[dict[str, Tensor]], Tensor]:
    """The bytes of an .onnx file, run on the CPU by onnxruntime."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run(None, {name: v.numpy() for name, v in inputs.items()})[0])
