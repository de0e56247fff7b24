"""Import closures: the digest of code changes with code that runs, and with nothing else."""

import shutil
from pathlib import Path

import pytest
from helpers import ROOT

from cifarcam import _closure


def digests(*modules):
    """The code digests of modules."""
    return [_closure.code_digest(f"cifarcam.{name}") for name in modules]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The directory of a copy of the package, whose files are digested where they differ."""
    code = shutil.ignore_patterns("sample", "__pycache__")
    copy = shutil.copytree(ROOT / "cifarcam", tmp_path / "cifarcam", ignore=code)
    digest = _closure.module_digest

    def module_digest(module):
        path = copy.joinpath(*module.split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path.read_text() == (ROOT / path.relative_to(tmp_path)).read_text():
            return digest(module)
        with monkeypatch.context() as patch:
            patch.setattr(_closure, "_ROOT", copy)
            return digest.__wrapped__(module)

    monkeypatch.setattr(_closure, "module_digest", module_digest)
    return tmp_path


def change(package, module, before, after):
    path = package / "cifarcam" / module
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_code_digest_ignores_comments_docstrings_and_the_order_of_imports(package):
    names = ("studies.classical", "studies.ablation")
    before = digests(*names)
    classical = "studies/classical.py"
    change(package, classical, "TREES = 300\n", "TREES = 300  # in all\n\n# more\n")
    change(package, classical, '    """Pixels scaled', '    """Other words: pixels scaled')
    change(package, classical, "import time\n", "")
    change(package, classical, "import numpy as np\n", "import numpy as np\nimport time\n")
    change(package, classical, "LEAVES = (1, 4)", "LEAVES = (\n    1,\n    4,\n)")
    change(package, "errors.py", '"""', '"""Other words: ')
    change(package, "data/__init__.py", '"obtain"]', '"obtain", "name"]')
    assert digests(*names) == before


@pytest.mark.parametrize(
    ("module", "before", "after", "outdated"),
    [
        ("studies/classical.py", "TREES = 300", "TREES = 301", {"classical"}),
        ("studies/ablation.py", "EPOCHS = 8", "EPOCHS = 9", {"ablation"}),
        (
            "training/augment.py",
            "import tensorflow as tf\n",
            "import itertools\n\nimport tensorflow as tf\n",
            {"ablation", "architecture_search", "faithfulness"},
        ),
        (
            "explain/metrics/robustness.py",
            "import numpy as np\n",
            "import itertools\n\nimport numpy as np\n",
            {"faithfulness"},
        ),
        ("data/dataset.py", "VALIDATION_FRACTION = 0.15", "VALIDATION_FRACTION = 0.1", None),
    ],
)
def test_code_digest_changes_for_the_studies_that_import_the_changed_code(
    package, module, before, after, outdated
):
    names = ("classical", "ablation", "architecture_search", "faithfulness")
    modules = [f"studies.{name}" for name in names]
    first = digests(*modules)
    change(package, module, before, after)
    second = digests(*modules)
    changed = {name for name, a, b in zip(names, first, second, strict=True) if a != b}
    assert changed == (set(names) if outdated is None else outdated)


def test_closure_follows_imports_through_packages_but_not_those_for_types():
    names = set(_closure.closure(["cifarcam.explain", "numpy"]))
    assert {
        "cifarcam",
        "cifarcam.explain",
        "cifarcam.explain.methods.grad_cam",
        "cifarcam.errors",
    } <= names
    assert not {"cifarcam.runs", "cifarcam.report", "cifarcam.publish.chapters"} & names
    assert "cifarcam.runs" not in _closure.closure(["cifarcam.report"])


def test_imported_by_reads_imports_at_any_place():
    code = "import os.path\nfrom cifarcam import data as d, runs\ndef f():\n    import seaborn\n"
    assert _closure.imported_by(code) == [
        "cifarcam",
        "cifarcam.data",
        "cifarcam.runs",
        "os.path",
        "seaborn",
    ]


def test_distributions_include_requirements_of_requirements():
    names = _closure.distributions(["cifarcam.data"])
    # Imported by another name, by another module, and only required by another distribution.
    assert {"scikit-learn", "pillow", "numpy", "joblib", "urllib3"} <= set(names)
    assert not {"ruff", "pytest", "seaborn", "cifarcam", "tensorflow"} & set(names)
    assert "seaborn" in _closure.distributions(["seaborn.objects"])


def test_pins_of_the_given_distributions_only():
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


def test_module_digest_differs_between_modules():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(Path(_closure.__file__).parent.rglob("*.py"))
    ]
    digest = {_closure.module_digest(name) for name in names}
    assert len(digest) > len(names) - 3  # `__init__` files without code are equal
