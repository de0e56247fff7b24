"""The reference pages, written from docstrings: one for each method and each public module.

The source is read by griffe and never imported, so that Sphinx stays free of TensorFlow. Pages are
MyST text under ``book/reference/``, which git ignores.
"""

from __future__ import annotations

import ast
import logging
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from cifarcam import _files
from cifarcam.errors import CifarcamError

PACKAGE = "cifarcam"
FOLDER = Path("book") / "reference"
# Modules with a page, below the package. A star stands for all public modules of a package.
MODULES = (
    *("errors", "data", "data.corruptions", "data.duplicates", "data.evidence", "data.others"),
    *("data.people", "data.quality", "models", "models.*", "pretrained"),
    *("explain", "explain.metrics", "explain.metrics.*"),
    *("evaluation", "training", "runs", "export", "sweeps", "figures", "studies.*", "report"),
)
# The name of each explanation method in text, and its paper's key in ``book/references.bib``.
METHODS = {
    "grad-cam": ("Grad-CAM", "selvaraju2017"),
    "hires-cam": ("HiResCAM", "draelos2020"),
    "grad-cam++": ("Grad-CAM++", "chattopadhay2018"),
    "xgrad-cam": ("XGrad-CAM", "fu2020xgradcam"),
    "layer-cam": ("LayerCAM", "jiang2021"),
    "score-cam": ("Score-CAM", "wang2020scorecam"),
    "ablation-cam": ("Ablation-CAM", "desai2020"),
    "eigen-cam": ("Eigen-CAM", "muhammad2020"),
    "shapley-cam": ("ShapleyCAM", "cai2025"),
    "finer-cam": ("Finer-CAM", "zhang2025finercam"),
    "saliency": ("Saliency", "simonyan2014"),
    "integrated-gradients": ("Integrated gradients", "sundararajan2017"),
    "smoothgrad": ("SmoothGrad", "smilkov2017"),
    "smoothgrad-squared": ("SmoothGrad-Squared", "hooker2019"),
    "vargrad": ("VarGrad", "adebayo2018local"),
    "expected-gradients": ("Expected gradients", "erion2021"),
    "guided-backpropagation": ("Guided backpropagation", "springenberg2015"),
    "full-grad": ("FullGrad", "srinivas2019"),
    "occlusion": ("Occlusion", "zeiler2014"),
    "rise": ("RISE", "petsiuk2018"),
    "lime": ("LIME", "ribeiro2016"),
    "shap": ("SHAP", "lundberg2017"),
    "attention-rollout": ("Attention rollout", "abnar2020"),
    "attention-relevance": ("Attention relevance", "chefer2021"),
    "random": ("Random map", None),
    "centre": ("Centre blob", None),
}
METHODS_INTRODUCTION = """# Explanation methods

Each method is a class of `cifarcam.explain`, and all are used alike: bind a method to a model, call
it with images, and get one heatmap for each image. `explain.METHODS` finds them by name.
"""
MODULES_INTRODUCTION = """# Modules

The public modules of the package, in the order in which data moves through them. Names that begin
with an underscore are private and may change without notice.
"""
METHOD = """# {title}

In code
: `explain.METHODS["{name}"]`, on the command line `--method {name}`

Source
: {source}

Cost for each image
: {cost}

:::{{py:currentmodule}} {package}.explain
:::

{body}
"""
LONGEST_VALUE = 100  # letters of a constant's value; a longer value is left out
SECTIONS = {
    griffe.DocstringSectionKind.parameters: "Parameters",
    griffe.DocstringSectionKind.other_parameters: "Other parameters",
    griffe.DocstringSectionKind.attributes: "Attributes",
    griffe.DocstringSectionKind.returns: "Returns",
    griffe.DocstringSectionKind.yields: "Yields",
    griffe.DocstringSectionKind.raises: "Raises",
}


def write_pages(project: Path) -> None:
    """Write the reference pages of a checkout that has the package; leave unchanged pages alone.

    Raises
    ------
    CifarcamError
        When a method has no entry in `METHODS`, or a page cannot be written.
    """
    if not (project / PACKAGE / "explain").is_dir():
        return
    pages = {project / FOLDER / f"{name}.md": text for name, text in build_pages(project).items()}
    for path in (project / FOLDER).rglob("*.md"):
        if path not in pages:
            path.unlink()
    for path, text in pages.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            with _files.writing_to(path.parent), _files.atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def build_pages(project: Path) -> dict[str, str]:
    """The text of every reference page, by its path below `FOLDER` without the ending.

    Raises
    ------
    CifarcamError
        When a method has no entry in `METHODS`.
    """
    # Docstrings are checked by a test; a build says nothing about them.
    logging.getLogger("griffe").setLevel(logging.ERROR)
    loader = griffe.GriffeLoader(search_paths=[project], docstring_parser="numpy")
    package: Any = loader.load(PACKAGE)
    # `import *`, and a module's `__all__` within that of another
    loader.expand_exports(package["explain"])
    loader.expand_wildcards(package["explain"])
    methods = _methods(package)
    pages = {f"methods/{name}": _method_page(name, cls) for name, cls in methods.items()}
    pages["methods"] = METHODS_INTRODUCTION + "".join(
        f"\n[{METHODS[name][0]}](methods/{name}.md)\n: {_summary(cls)}\n"
        for name, cls in methods.items()
    )
    modules = _modules(package)
    documented = {cls.canonical_path: f"{PACKAGE}.explain.{cls.name}" for cls in methods.values()}
    # The most specific module first: it documents what the modules above it export again.
    for module in sorted(modules, key=lambda module: -module.path.count(".")):
        pages[f"modules/{_short(module)}"] = _module_page(module, documented)
    pages["modules"] = MODULES_INTRODUCTION + "".join(
        f"\n[`{_short(module)}`](modules/{_short(module)}.md)\n: {_summary(module)}\n"
        for module in modules
    )
    return pages


def _methods(package: griffe.Module) -> dict[str, griffe.Class]:
    """The classes of the explanation methods by name, in the order of `METHODS`."""
    methods = {}
    for name in package["explain"].exports or ():
        obj = _target(package["explain"][name])
        if (
            obj is not None
            and obj.is_class
            and "reference" in obj.members
            and "name" in obj.members
        ):
            value = obj.members["name"].value
            if value is not None:
                methods[str(value).strip("'\"")] = obj
    for name in methods:
        if name not in METHODS:
            raise CifarcamError(
                f"explanation method {name}: not in METHODS of {PACKAGE}/publish/reference.py; "
                "add its name in text and its paper's key"
            )
    return {name: methods[name] for name in METHODS if name in methods}


def _modules(package: griffe.Module) -> list[griffe.Module]:
    modules = []
    for name in MODULES:
        parent, star, _ = name.partition(".*")
        if star:
            modules += [
                child
                for key, child in sorted(package[parent].members.items())
                if not child.is_alias and child.is_module and not key.startswith("_")
                if _public(child)
            ]
        else:
            modules.append(package[parent])
    return modules


def _public(module: griffe.Module) -> dict[str, Any]:
    """What a module exports (`__all__`), else the public members that it defines itself."""
    names = module.exports
    if names is None:
        names = [
            name
            for name, member in module.members.items()
            if not name.startswith("_") and not member.is_alias and not member.is_module
            if member.has_docstring
        ]
    public = {}
    for name in map(str, names):
        obj = _target(module.members.get(name))
        if obj is not None and obj.is_module:  # perhaps the module of a function of the same name
            obj = obj.members.get(name)
        if obj is not None:
            public[name] = obj
    return public


def _target(obj: Any) -> Any:
    """What a name stands for; None when it is not of this package."""
    try:
        return obj.final_target if obj is not None and obj.is_alias else obj
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return None


def _short(module: griffe.Module) -> str:
    return module.path.removeprefix(f"{PACKAGE}.")


def _summary(obj: Any) -> str:
    return _text(obj).split("\n\n")[0].replace("\n", " ")


def _text(obj: Any) -> str:
    return obj.docstring.value if obj.docstring else ""


def _method_page(name: str, cls: Any) -> str:
    title, key = METHODS[name]
    return METHOD.format(
        title=title,
        name=name,
        source=f"{{cite:t}}`{key}`" if key else "no paper: a null baseline",
        cost=_class_value(cls, "cost"),
        package=PACKAGE,
        body="\n".join(_render(cls, cls.name)),
    )


def _class_value(cls: Any, name: str) -> Any:
    """The literal that the body of a class, or of the nearest of its bases, assigns to a name.

    Of a name that `__init__` assigns as well griffe keeps the later value.
    """
    for each in (cls, *cls.mro()):
        (definition,) = ast.parse(textwrap.dedent(each.source)).body
        assert isinstance(definition, ast.ClassDef)
        for node in definition.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return ast.literal_eval(node.value)
    raise CifarcamError(f"class {cls.name}: no value of {name}; give it one in the class's body")


def _module_page(module: griffe.Module, documented: dict[str, str]) -> str:
    """A module's page; enters what it describes into `documented`: canonical to public path."""
    lines = [f"# {_short(module)}", "", _text(module), ""]
    lines += [f":::{{py:currentmodule}} {module.path}", ":::", ""]
    elsewhere = []
    for name, obj in _public(module).items():
        if obj.canonical_path in documented:
            elsewhere.append(f"{{py:obj}}`~{documented[obj.canonical_path]}`")
            continue
        documented[obj.canonical_path] = f"{module.path}.{name}"
        lines += _render(obj, name)
    if elsewhere:
        lines += [f"Exported here and described on other pages: {', '.join(elsewhere)}.", ""]
    return "\n".join(lines)


def _render(obj: Any, name: str, colons: int = 5) -> Iterator[str]:
    """The lines of a MyST directive that describes an object and its public members."""
    fence = ":" * colons
    kind, signature = _directive(obj, name)
    yield f"{fence}{{py:{kind}}} {signature}"
    if obj.is_attribute and obj.annotation is not None:
        yield f":type: {obj.annotation}"
    if kind == "data" and obj.value is not None and len(str(obj.value)) <= LONGEST_VALUE:
        yield f":value: {obj.value}"
    yield ""
    yield from _sections(obj)
    if obj.is_class:
        for key, member in obj.members.items():
            is_public = not key.startswith("_") or key == "__call__"
            if is_public and not member.is_alias and member.has_docstring:
                yield from _render(member, key, colons - 1)
    yield from (fence, "")


def _directive(obj: Any, name: str) -> tuple[str, str]:
    """The kind of an object in Sphinx's Python domain, and its signature."""
    in_class = obj.parent.is_class
    if obj.is_attribute:
        member = "property" if "property" in obj.labels else "attribute"
        return member if in_class else "data", name
    if obj.is_class:
        constructor = _target(obj.all_members.get("__init__"))
        return "class", constructor.signature(name=name, return_type=False) if constructor else name
    return "method" if in_class else "function", obj.signature(name=name)


def _sections(obj: Any) -> Iterator[str]:
    """A docstring as MyST: text as it is, the lists of NumPy's sections as definitions."""
    if not obj.docstring:
        return
    for section in obj.docstring.parsed:
        if section.kind in SECTIONS:
            yield f"**{SECTIONS[section.kind]}**"
            yield ""
            for item in section.value:
                yield from _definition(item)
        elif section.kind is griffe.DocstringSectionKind.examples:
            yield "**Examples**"
            yield ""
            for kind, text in section.value:
                code = kind is griffe.DocstringSectionKind.examples
                yield from ("```python", text, "```", "") if code else (text, "")
        elif section.kind is griffe.DocstringSectionKind.admonition:
            yield from (f"**{section.title}**", "", section.value.description, "")
        else:
            yield from (section.value, "")


def _definition(item: Any) -> Iterator[str]:
    name, annotation = getattr(item, "name", None), item.annotation
    kind = f"`{annotation}`" if annotation else ""
    yield f"`{name}`" + (f" ({kind})" if kind else "") if name else kind
    yield ": " + item.description.strip().replace("\n", "\n  ")
    yield ""
