"""How people label the CIFAR-10 test images: CIFAR-10H, of Peterson et al. (2019).

About fifty people each named the class of each test image. Their answers are published at
https://github.com/jcpeterson/cifar-10h under the license CC BY-NC-SA 4.0 and are no part of this
project: the table is fetched from there, or given as a file, and kept in the user's cache.
"""

from __future__ import annotations

import numpy as np

from cifarcam.data.publication import Publication

TABLE = Publication(
    name="cifar-10h/cifar10h-probs.npy",
    title="the table of people's labels (CIFAR-10H)",
    url="https://raw.githubusercontent.com/jcpeterson/cifar-10h/master/data/cifar10h-probs.npy",
    sha256="436ae98620e00073f9d08585ac870573b588853e7af9f54eb1647408114af77d",
    size=800_128,
    remedy="download that file elsewhere and run `cifarcam data --dataset cifar10h --from FILE`",
)


def people() -> np.ndarray:
    """The share of people who gave each class to each test image.

    The table is read from the user's cache, or fetched, and its SHA-256 is verified at each reading.

    Returns
    -------
    numpy.ndarray
        float64, 10,000 x 10, rows summing to 1, in the images' usual order.

    Raises
    ------
    CifarcamError
        When the table cannot be fetched, or the cache cannot be written.
    """
    table: np.ndarray = np.load(TABLE.obtain(), allow_pickle=False)
    return table
