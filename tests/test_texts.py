"""Texts of options: ranges, and classes by name or number."""

import pytest

from cifarcam.cli._texts import class_index, range_of_text
from cifarcam.errors import CifarcamError
from cifarcam.explain.input_range import checked_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,1", (0, 1)),
        ("-1, 1", (-1, 1)),
        ("0:255", (0, 255)),
        (
            "-103.9,-116.8,-123.7:151.1,138.2,131.3",
            ([-103.9, -116.8, -123.7], [151.1, 138.2, 131.3]),
        ),
    ],
)
def test_input_range_is_read_from_text(text, expected):
    assert range_of_text(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1", "1,2,3", "a,b", "0,1:2", "0:1:2", "1;2", ":", "\ud800", "0,1e300", "0," + "9" * 5000],
)
def test_other_texts_are_no_input_range(text):
    with pytest.raises(CifarcamError, match=r"--input-range is .*; give LOW,HIGH"):
        range_of_text(text)


@pytest.mark.parametrize("text", ["1,1", "nan,1", "0,0:1,1"])
def test_input_range_that_fits_no_model_is_refused(text):
    with pytest.raises(CifarcamError, match="input_range is"):
        checked_range(range_of_text(text), 3)


def test_class_index_by_name_or_number():
    names = ["cat", "dog", "cat", "7"]
    assert class_index("dog", names) == 1
    assert class_index("3", names) == 3
    assert class_index("7", names) == 3
    for wrong in ("cat", "cow", "4", "-1", "", "\u00b2", "9" * 5000, "1.0", "\ud800"):
        with pytest.raises(CifarcamError):
            class_index(wrong, names)
