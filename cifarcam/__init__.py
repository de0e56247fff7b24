"""A convolutional network on CIFAR-10 and, by Grad-CAM, what it looks at."""

import os

# TensorFlow's C++ start-up notes would land in the cells of every chapter; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"
