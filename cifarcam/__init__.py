"""A convolutional network on CIFAR-10 and, by Grad-CAM, what it looks at."""

import os

# TensorFlow reads both when it is first imported, before or after this package.
# Its C++ start-up notes would land in the cells of every chapter; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# It keeps oneDNN's convolutions for processors with AVX512-VNNI unless told; they are faster
# with AVX2 too (benchmarks/README.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
