"""What is done to an ONNX file after its conversion: names, float16, int8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cifarcam.export.network import halved


def name_ends(path: Path) -> None:
    """Name the input ``image`` and the output ``probabilities``."""
    import onnx

    network = onnx.load(path)
    names = {network.graph.input[0].name: "image", network.graph.output[0].name: "probabilities"}
    for node in network.graph.node:
        for ends in (node.input, node.output):
            for place, name in enumerate(ends):
                ends[place] = names.get(name, name)
    for end in (network.graph.input[0], network.graph.output[0]):
        end.name = names[end.name]
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
    _save(network, path)


def halve(path: Path) -> None:
    """Store float32 kernels as float16, each followed by a cast to float32.

    ONNX Runtime casts them once, when it reads the file.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network = onnx.load(path)
    graph = network.graph
    casts = []
    for one in graph.initializer:
        name, value = one.name, halved(numpy_helper.to_array(one))
        if value.dtype == np.float16:
            one.CopyFrom(numpy_helper.from_array(value, f"{name}_float16"))
            casts.append(helper.make_node("Cast", [one.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _save(network, path)


def quantise(path: Path, images: Iterator[np.ndarray]) -> None:
    """Quantise weights and activations to int8: weights by output channel, symmetric.

    The softmax stays in float32, so that probabilities are not rounded to multiples of 1/256.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hands the images to the calibration one by one."""

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(images, None)
            return None if image is None else {"image": image}

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Folds batch normalisations into the kernels.
        shape_inference.quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(path),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_nodes(prepared, "Softmax"),
        )


def _nodes(path: Path, kind: str) -> list[str]:
    import onnx

    return [node.name for node in onnx.load(path).graph.node if node.op_type == kind]


def check(path: Path) -> None:
    """Let the ONNX checker look at the file: it refuses operations that ONNX does not have."""
    import onnx

    onnx.checker.check_model(path, full_check=True)


def _save(network: Any, path: Path) -> None:
    path.write_bytes(network.SerializeToString())
