"""Keras as this package needs it: on TensorFlow, which importing this module makes sure of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cifarcam.errors import CifarcamError, first_line

ADVICE = (
    'set the environment variable KERAS_BACKEND, or "backend" in ~/.keras/keras.json, to '
    "tensorflow before Keras is imported"
)

try:
    import keras
except ImportError as error:  # of the backend that is set, such as torch
    raise CifarcamError(f"Keras cannot be imported ({first_line(error)}); {ADVICE}") from error

if keras.backend.backend() != "tensorflow":
    raise CifarcamError(
        f"Keras runs on {keras.backend.backend()}, where cifarcam needs TensorFlow; {ADVICE}"
    )


@contextmanager
def own_settings(policy: str = "float32") -> Iterator[None]:
    """Build networks as they are written within the block, whatever a user's keras.json says.

    Channels come last, numbers are float32, and layers compute by the policy.
    """
    usual = (
        keras.config.image_data_format(),
        keras.config.floatx(),
        keras.config.dtype_policy(),
    )
    _set("channels_last", "float32", policy)
    try:
        yield
    finally:
        _set(*usual)


def _set(data_format: str, floatx: str, policy: str | keras.DTypePolicy) -> None:
    keras.config.set_image_data_format(data_format)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
