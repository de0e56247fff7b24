"""Makes keras2.h5 with Keras 2, and prints what its `predict` returns for drawn images.

Needs the package tf_keras, which the project itself does not:

    python tests/reference/make_keras2.py
"""

from pathlib import Path

import numpy as np
import tf_keras
from tf_keras import layers

tf_keras.utils.set_random_seed(0)
inputs = tf_keras.Input((8, 8, 3))
x = layers.Rescaling(1 / 255)(inputs)
x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
x = layers.ReLU()(layers.BatchNormalization(name="bn")(x))
x = layers.GlobalAveragePooling2D()(x)
top = tf_keras.initializers.RandomNormal(stddev=3.0)
x = layers.Dense(3, activation="softmax", name="top", kernel_initializer=top)(x)
model = tf_keras.Model(inputs, x)
model.save(Path(__file__).parent / "keras2.h5")
images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.float32)
print(model.predict(images, verbose=0))
