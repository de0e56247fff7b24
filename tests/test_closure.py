"""What code rests on: the digest changes with what runs, and with nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from cifarcam import _closure

ASK = """
import sys
from cifarcam import _closure
print(*(closure.code_digest(f"cifarcam.{name}") for name in sys.argv[1:]))
"""


def digests(package, *modules):
    """The digests of modules, as a fresh process finds them in a copy of the package."""
    command = [sys.executable, "-c", ASK, *modules]
    environment = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run(
        command, cwd=package, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture
def package(tmp_path):
    shutil.copytree(ROOT / "cifarcam", tmp_path / "cifarcam")
    return tmp_path


def change(package, module, before, after):
    path = package / "cifarcam" / module
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_comments_docstrings_and_the_order_of_imports_change_no_digest(package):
    before = digests(package, "classical", "ablation")
    change(package, "classical.py", "TREES = 300\n", "TREES = 300  # in all\n\n# more\n")
    change(package, "classical.py", '    """Pixels as they are', '    """Other words: pixels')
    change(package, "classical.py", "import time\n", "")
    change(package, "classical.py", "import numpy as np\n", "import numpy as np\nimport time\n")
    change(package, "classical.py", "LEAVES = (1, 4)", "LEAVES = (\n    1,\n    4,\n)")
    change(package, "errors.py", '"""The one exception', '"""One exception')
    assert "import time\nfrom skimage" in (package / "cifarcam" / "classical.py").read_text()
    assert digests(package, "classical", "ablation") == before


@pytest.mark.parametrize(
    ("module", "before", "after", "outdated"),
    [
        ("classical.py", "TREES = 300", "TREES = 301", {"classical"}),
        ("ablation.py", "EPOCHS = 8", "EPOCHS = 9", {"ablation"}),
        ("augment.py", "0.5", "0.25", {"ablation", "search", "trust"}),
        ("explain/faithfulness/stability.py", "samples: int = 64", "samples: int = 65", {"trust"}),
        ("data.py", "VALIDATION_FRACTION = 0.15", "VALIDATION_FRACTION = 0.1", None),
        (
            "explain/lime.py",
            "import keras\n",
            "import itertools\n\nimport keras\n",
            {"ablation", "search", "trust"},
        ),
    ],
)
def test_a_change_of_what_runs_outdates_what_rests_on_it_alone(
    package, module, before, after, outdated
):
    names = ("classical", "ablation", "search", "trust")
    first = digests(package, *names)
    change(package, module, before, after)
    second = digests(package, *names)
    changed = {name for name, a, b in zip(names, first, second, strict=True) if a != b}
    assert changed == (set(names) if outdated is None else outdated)


def test_the_closure_follows_imports_through_packages_and_not_those_for_types():
    names = set(_closure.closure(["cifarcam.explain", "numpy"]))
    assert {
        "cifarcam",
        "cifarcam.explain",
        "cifarcam.explain.methods.grad_cam",
        "cifarcam.errors",
    } <= names
    assert not {"cifarcam.runs", "cifarcam.report", "cifarcam.publish.chapters"} & names
    assert "cifarcam.runs" not in _closure.closure(["cifarcam.report"])


def test_what_source_imports_is_found_wherever_it_stands():
    code = "import os.path\nfrom cifarcam import data as d, runs\ndef f():\n    import seaborn\n"
    assert _closure.imported_by(code) == [
        "cifarcam",
        "cifarcam.data",
        "cifarcam.runs",
        "os.path",
        "seaborn",
    ]


def test_distributions_are_those_imported_and_those_that_these_require():
    found = _closure.distributions(["cifarcam.data"])
    # By another name, through another module, and only required by another distribution.
    assert {"scikit-learn", "pillow", "numpy", "joblib", "urllib3"} <= set(found)
    assert not {"ruff", "pytest", "seaborn", "cifarcam", "tensorflow"} & set(found)
    assert "seaborn" in _closure.distributions(["seaborn.objects"])


def test_pins_are_those_of_the_distributions_asked_for():
    lock = """numpy==2.4.6 ; python_version >= '3.12'
numpy==2.2.0 ; python_version < '3.12'
    # via scipy==1
scikit_learn==1.9
ruff==1.0"""
    assert _closure.pins(lock, ["NumPy", "scikit-learn"]) == {
        "numpy": "numpy==2.4.6 ; python_version >= '3.12'\nnumpy==2.2.0 ; python_version < '3.12'",
        "scikit-learn": "scikit_learn==1.9",
    }
    real = _closure.pins((ROOT / "requirements.txt").read_text(), _closure.distributions(["keras"]))
    assert "h5py" in real
    assert "ruff" not in real


def test_every_module_has_a_digest_of_its_own():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(Path(_closure.__file__).parent.rglob("*.py"))
    ]
    digest = {_closure.module_digest(name) for name in names}
    assert len(digest) > len(names) - 3  # but for `__init__` files that say nothing
