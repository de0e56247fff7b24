"""The command line: thin commands over the library."""

from __future__ import annotations

import errno
import io
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cifarcam import __version__
from cifarcam.errors import CifarcamError, check_readable, file_mode, printable

# Errors of a disk, a memory or permissions. Any other OSError that reaches the command line is a
# fault of ours, and keeps its traceback.
SYSTEM_ERRORS = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
)


class _Group(click.Group):
    """A group of commands that shows the library's errors as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):  # the terminal may lack letters of a name
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise click.UsageError(printable(error.format_message()), error.ctx) from error
        except CifarcamError as error:
            raise click.ClickException(printable(str(error))) from error
        except OSError as error:
            if error.errno not in SYSTEM_ERRORS or error.filename is None:
                raise
            raise click.ClickException(printable(f"{error.filename}: {error.strerror}")) from error


class _Path(click.ParamType):
    """A path that the system accepts and that is no device or pipe, which may have no end."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value):
            self.fail("an empty name", param, ctx)
        path = Path(value)
        mode = file_mode(path)
        if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise CifarcamError(f"{path}: a device or a pipe; give a file")
        return path


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A reproducible report on CIFAR-10 and Grad-CAM."""


@main.command("data")
@click.option("--dataset", default="cifar10", show_default=True, help="cifar10 or sample.")
@click.option(
    "--from",
    "local",
    type=_Path(),
    help="A downloaded archive of CIFAR-10, or the folder unpacked from it.",
)
def data_command(dataset: str, local: Path | None) -> None:
    """Download and verify CIFAR-10, and print how many images each split has."""
    from cifarcam import data

    if local is not None:
        data.obtain(local)
    loaded = data.load(dataset)
    for name in ("train", "validation", "test"):
        click.echo(f"{name:10s} {len(getattr(loaded, name)):6,d} images")
    click.echo(f"SHA-256    {loaded.digest}")


@main.command()
@click.argument("name", metavar="EXPERIMENT")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="A seed instead of the experiment's own."
)
@click.option("--dataset", help="cifar10 or sample instead of the experiment's own dataset.")
@click.option(
    "--runs",
    "place",
    type=_Path(),
    default=Path("runs"),
    show_default=True,
    help="The directory of runs in which the run is looked up first and written.",
)
@click.option("--again", is_flag=True, help="Train even if the run exists, and replace it.")
def train(name: str, seed: int | None, dataset: str | None, place: Path, again: bool) -> None:
    """Train EXPERIMENT, a name in experiments/ or a TOML file, and write its run.

    After an interruption the same command continues and ends with the same weights.
    """
    with _quiet_tensorflow():
        from cifarcam import _store, data, runs
        from cifarcam.training import experiment as experiments

    experiment = experiments.find(name).with_changes(seed=seed, dataset=dataset)
    fingerprint = experiment.fingerprint(data.DIGESTS[experiment.data.dataset])
    existing = _store.find_run(fingerprint, place)
    if existing is not None and not again:
        click.echo(f"{existing} is this run; --again trains it once more")
        return
    try:
        run = runs.make(
            experiment, place / experiment.run_name, report=runs.show_progress(experiment)
        )
    except KeyboardInterrupt:
        click.echo("interrupted; the same command continues after the last whole epoch", err=True)
        sys.exit(130)
    click.echo(_line(run))


@main.command("runs")
@click.option(
    "--clean",
    is_flag=True,
    help="Remove what interrupted training runs left: checkpoints, from which they would continue, "
    "and incomplete runs. Files of training that is in progress stay.",
)
@click.option(
    "--seal",
    type=_Path(),
    help="The directory of a run of an older version, into which the digests of its files are "
    "written.",
)
@click.option("--runs", "place", type=_Path(), help="A directory of runs to list first.")
def runs_command(clean: bool, seal: Path | None, place: Path | None) -> None:
    """List the runs that are available here.

    Runs are looked up in --runs, in the directory that CIFARCAM_RUNS names, in runs/ of the working
    directory and of those above it, in the user's cache, and in the checkout.
    """
    with _quiet_tensorflow():
        from cifarcam import _store, runs

    _check_directory(place)
    if place is not None and (clean or seal is not None):
        raise CifarcamError("--runs is for the list of runs; leave it out with --clean and --seal")
    if seal is not None:
        _store.seal_run(seal)
        click.echo(f"{_line(runs.read(seal))}  {seal}")
    elif clean:
        removed = runs.clean(Path("runs"))
        for path in removed:
            click.echo(f"removed {path}")
        if not removed:
            click.echo("nothing was left behind")
    else:
        for directory in _store.run_directories(place):
            click.echo(f"{_line(runs.read(directory))}  {directory}")


class _Methods(click.Command):
    """A command whose help lists the methods, which only this help imports."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with _quiet_tensorflow():
            from cifarcam import explain as explainers
        with formatter.section("Methods"):
            formatter.write_dl(
                [
                    (name, f"{(method.__doc__ or '').splitlines()[0]} {method.reference}.")
                    for name, method in explainers.METHODS.items()
                ]
            )


@main.command(cls=_Methods)
@click.argument("images", nargs=-1, required=True, type=_Path())
@click.option("--run", "name", help="The run to explain.  [default: baseline]")
@click.option(
    "--runs", "place", type=_Path(), help="A directory in which runs are looked up first."
)
@click.option(
    "--model",
    "model_file",
    type=_Path(),
    help="A Keras model file to explain instead of a run.",
)
@click.option(
    "--classes",
    "classes_file",
    type=_Path(),
    help="The model's class names: a UTF-8 text file with one name per line, in order.",
)
@click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    help="Number by which pixels (0-255) are divided for a --model without a rescaling layer, such "
    "as 255. Networks behind preprocess_input, which take pixels from -1 to 1 or minus a mean, need "
    "more than a division: explain them from Python.",
)
@click.option("--method", default="grad-cam", show_default=True, help="The method, see below.")
@click.option(
    "--layer",
    multiple=True,
    help="The layer to explain; by default the last spatial layer. Give the option several times "
    "for the mean over several layers.",
)
@click.option(
    "--target", help="The class to explain, by name or number; by default the predicted class."
)
@click.option("--output-head", "head", help="The output to explain, if a model has several.")
@click.option(
    "-o",
    "--output",
    type=_Path(),
    default=Path("explanation.png"),
    show_default=True,
    help="The picture to write: a PNG, SVG or PDF file by its ending. A file is replaced only if "
    "cifarcam wrote it and it is not an input.",
)
def explain(
    images: tuple[Path, ...],
    name: str | None,
    place: Path | None,
    model_file: Path | None,
    classes_file: Path | None,
    scale: float,
    method: str,
    layer: tuple[str, ...],
    target: str | None,
    head: str | None,
    output: Path,
) -> None:
    """Explain how a run's network, or your own Keras model, classifies your IMAGES.

    A picture may have any size and mode. It gets the model's number of channels, its shorter side
    is scaled to the model's input, and its centre is cropped.
    """
    with _quiet_tensorflow():
        from cifarcam import _files, figures
        from cifarcam import explain as explainers

    if method not in explainers.METHODS:
        raise CifarcamError(f"method {method!r} is not one of {', '.join(explainers.METHODS)}")
    own_files = [path for path in (model_file, classes_file) if path is not None]
    figures.check_output(output, [*images, *own_files])
    _check_source(name, place, model_file, scale)
    _check_images(images, figures.MOST_ROWS)
    model, default_names = _model(name, place, model_file)
    classifier = explainers.Classifier(model, head)
    names = explainers.class_names(classifier, classes_file, default_names)
    with _files.stderr_aside():  # the notes of decoders
        pictures = [explainers.read_picture(path, classifier.image_shape[:2]) for path in images]
    layers = list(layer) if len(layer) > 1 else next(iter(layer), None)
    explained = explainers.explain_pictures(
        explainers.METHODS[method](classifier, layers),
        pictures,
        [path.name for path in images],
        class_names=names,
        target=None if target is None else explainers.class_index(target, names),
        scale=scale,
    )
    figures.save(figures.explanations(explained), output)
    for item in explained:
        click.echo(printable(_answer(item)))
    click.echo(printable(f"wrote {output}"))


def _check_source(
    name: str | None, place: Path | None, model_file: Path | None, scale: float
) -> None:
    """Refuse options that do not fit a run, or do not fit a model file."""
    if model_file is None and scale != 1:
        raise CifarcamError(
            "--scale is for a --model; the networks of runs take pixels as they are"
        )
    if model_file is not None and (name is not None or place is not None):
        raise CifarcamError("--run and --runs are for a run; leave them out with --model")
    _check_directory(place)


def _check_images(images: Sequence[Path], most: int) -> None:
    """Refuse too many pictures, and files that cannot be read, before a run is trained."""
    if len(images) > most:
        raise CifarcamError(f"{len(images)} pictures; give at most {most} at a time")
    for path in images:
        check_readable(path)


def _answer(item: Any) -> str:
    """An explained picture on one line: its likeliest classes with their probabilities."""
    top = ", ".join(f"{label} {share:.1%}" for label, share in item.top)
    nothing = "" if item.heatmap.any() else f"; no positive evidence for {item.target}"
    return f"{item.name}: {top}{nothing}"


def _check_directory(place: Path | None) -> None:
    if place is not None and not place.is_dir():
        raise CifarcamError(f"{place}: no such directory; give a directory of runs")


def _model(
    name: str | None, place: Path | None, model_file: Path | None
) -> tuple[Any, Sequence[str] | None]:
    """The Keras model of a run, with its class names, or of a file, which has no class names."""
    with _quiet_tensorflow():
        if model_file is not None:
            from cifarcam import explain as explainers

            return explainers.read_model(model_file), None
        from cifarcam import data, runs
    return runs.load(name or "baseline", place=place).model(), data.CLASS_NAMES


@main.command()
@click.argument("name")
def measure(name: str) -> None:
    """Make the measurement NAME and write its record; `cifarcam measure list` names them all."""
    with _quiet_tensorflow():
        from cifarcam.studies import measurements

    if name == "list":
        for label, measurement in measurements.MEASUREMENTS.items():
            click.echo(f"{label}: {(measurement.__doc__ or '').splitlines()[0]}")
        return
    click.echo(f"wrote {measurements.measure(name, Path('runs'))}")


@main.command("claims")
@click.option("--json", "output", type=_Path(), help="Write the ledger to this file instead.")
@click.option(
    "--diff",
    "old",
    type=_Path(),
    help="Print what differs from the ledger in this file: claims.json of a build, or --json.",
)
def claims_command(output: Path | None, old: Path | None) -> None:
    """Judge every claim of the original report from the runs and records at hand.

    Prints each condition of each claim with its verdict and the measured effect: value, 95%
    interval, unit, and what the interval covers.
    """
    with _quiet_tensorflow():
        from cifarcam.report import claims

    before = None if old is None else claims.read(old)
    if output is not None:
        claims.check_output(output)
    entries = claims.ledger(claims.Sources())
    if output is not None:
        claims.write(entries, output)
        click.echo(f"wrote {output}")
    if before is not None:
        changes = claims.difference(before, entries)
        for sentence in changes or [f"nothing differs: {claims.summary(claims.counts(entries))}"]:
            click.echo(printable(sentence))
    if output is None and before is None:
        click.echo(claims.text(entries, shutil.get_terminal_size().columns))


@main.command()
@click.option("--kernel", help="The Jupyter kernel that executes the chapters.")
@click.option("--dataset", help="cifar10 or sample.")
@click.option("--run", help="The experiment whose runs the chapters show.")
@click.option("--chapter", multiple=True, help="Only this chapter; may be given several times.")
def report(
    kernel: str | None, dataset: str | None, run: str | None, chapter: tuple[str, ...]
) -> None:
    """Execute the chapters that are stale; `jupyter-book build book` then typesets them.

    Kernel, dataset and run stay the same for the next builds until they are changed here.
    """
    from cifarcam.publish import chapters, execution

    project = chapters.find_project()
    chapters.check_names(project, chapter)  # before anything is stored
    if run is not None:
        with _quiet_tensorflow():
            from cifarcam.training import experiment as experiments
        if run.endswith(".toml"):
            raise CifarcamError(f"{run}: give the name of an experiment, not its file")
        experiments.find(run)
        experiments.find(f"{run}-early-stopping")  # the chapters compare the two
    options = {"kernel": kernel, "dataset": dataset, "run": run}
    parameters = chapters.choose_parameters(
        project, {key: value for key, value in options.items() if value is not None}
    )
    executed = execution.execute_stale(project, parameters, only=chapter, say=click.echo)
    if not executed:
        click.echo("every chapter is up to date")


@main.command("colab")
@click.argument("repository")
def colab_command(repository: str) -> None:
    """Set the REPOSITORY on GitHub, owner/name, for the notebooks in Colab.

    Writes the address into the book's configuration, and into every notebook a badge and a cell
    that installs the library; "" removes them all.
    """
    from cifarcam.publish import chapters, colab

    changed = colab.set_repository(chapters.find_project(), repository)
    click.echo(f"wrote {', '.join(changed)}" if changed else "every notebook agrees already")


def _line(run: Any) -> str:
    """A run on one line: accuracy with its interval, epochs, parameters, duration."""
    test = run.metrics["test"]
    low, high = test["accuracy_interval"]
    return (
        f"{run.name:32s} test accuracy {test['accuracy']:.2%} ({low:.1%} to {high:.1%})  "
        f"weights of epoch {run.provenance['kept_epoch']}/{run.provenance['epochs']}  "
        f"{run.provenance['parameters']:,} parameters  "
        f"{run.provenance['training_seconds'] / 60:.1f} min"
    )


@contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Prepare the device, without the notes that TensorFlow prints in C++ on import."""
    from cifarcam import _files

    with _files.stderr_aside():
        from cifarcam import _devices

        _devices.prepare()
        _devices.describe()
        yield
