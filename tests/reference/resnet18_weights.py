"""Weights and images drawn by NumPy, the same for PyTorch's ResNet-18 and for ours."""

import numpy as np


def shapes():
    """The shape of every tensor of torchvision's ResNet-18, by name."""
    found = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    norms = {"bn1": 64}
    for stage, (narrow, wide) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512)), start=1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            inputs = wide if block else narrow
            found[f"{name}.conv1.weight"] = (wide, inputs, 3, 3)
            found[f"{name}.conv2.weight"] = (wide, wide, 3, 3)
            norms |= {f"{name}.bn1": wide, f"{name}.bn2": wide}
            if inputs != wide:
                found[f"{name}.downsample.0.weight"] = (wide, inputs, 1, 1)
                norms[f"{name}.downsample.1"] = wide
    for name, channels in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.{part}"] = (channels,)
    return found


def draw():
    """Tensors by name: He-normal kernels, statistics and scales away from zero and one."""
    rng = np.random.default_rng(18)
    tensors = {}
    for name, shape in sorted(shapes().items()):
        if len(shape) > 1:
            value = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        elif name.endswith(("running_var", "weight")):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(0, 0.1, shape)
        tensors[name] = value.astype(np.float32)
    return tensors


def images():
    """Pixels 0-255, uint8, 2 x 224 x 224 x 3, smooth enough to be told apart."""
    rng = np.random.default_rng(81)
    coarse = rng.integers(0, 256, (2, 14, 14, 3))
    return np.kron(coarse, np.ones((1, 16, 16, 1))).astype(np.uint8)


CLASSES = (3, 700)  # explained, one an image
