"""The command line: thin commands over the library."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cifarcam import __version__
from cifarcam.cli._base import (
    FilePath,
    Group,
    check_directory,
    quiet_tensorflow,
    run_line,
    written_runs,
)
from cifarcam.cli._explain import explain
from cifarcam.cli._export import export_command
from cifarcam.cli._sweeps import measure_command, sweep_command
from cifarcam.errors import CifarcamError, printable

if TYPE_CHECKING:
    from cifarcam import training


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A reproducible report on CIFAR-10 and Grad-CAM."""


main.add_command(explain)
main.add_command(export_command)
main.add_command(sweep_command)
main.add_command(measure_command)


@main.command("data")
@click.option(
    "--dataset",
    default="cifar10",
    show_default=True,
    help="cifar10 or sample; or what some sections and measurements use besides: cifar10.1-v4, "
    "cifar10.1-v6, cifar100, cifar10h (people's labels).",
)
@click.option(
    "--from",
    "local",
    type=FilePath(),
    help="A downloaded archive of CIFAR-10, or the folder unpacked from it. Of CIFAR-10.1 a folder "
    "with its two files; of CIFAR-100 and CIFAR-10H the published file, or its folder.",
)
def data_command(dataset: str, local: Path | None) -> None:
    """Download and verify a dataset.

    Prints how many images each split has, or the SHA-256 of each file of the other datasets.
    """
    from cifarcam import data
    from cifarcam.data import others, people, publication

    files = {**others.FILES, "cifar10h": {people.TABLE.path.name: people.TABLE}}
    names = ("cifar10", "sample", *files)
    if dataset not in names:
        raise CifarcamError(f"dataset {dataset!r} is not one of {', '.join(names)}")
    if dataset == "sample" and local is not None:
        raise CifarcamError("the sample comes with the package; leave out --from")
    if dataset in files:
        publication.obtain_all(files[dataset], local)
        for name, file in files[dataset].items():
            click.echo(f"{name}  SHA-256 {file.sha256}")
        return
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
@written_runs
@click.option("--again", is_flag=True, help="Train even if the run exists, and replace it.")
def train(name: str, seed: int | None, dataset: str | None, place: Path, again: bool) -> None:
    """Train EXPERIMENT, a name in experiments/ or a TOML file, and write its run.

    After an interruption the same command continues and ends with the same weights.
    """
    with quiet_tensorflow():
        from cifarcam import _devices, _energy, _store, data, runs
        from cifarcam.training import experiment as experiments

    experiment = experiments.find(name).with_changes(seed=seed, dataset=dataset)
    fingerprint = experiment.fingerprint(data.DIGESTS[experiment.data.dataset])
    existing = _store.find_run(fingerprint, place)
    if existing is not None and not again:
        click.echo(f"{existing} is this run; --again trains it once more")
        return
    device = _devices.describe()
    click.echo(
        f"{experiment.run_name}: trains on {device['device']} ({_threads(device)}) in "
        f"{_devices.resolve_precision(experiment.training.precision)}",
        err=True,
    )
    meter, show = _energy.Meter(), runs.show_progress(experiment)

    def report(progress: training.Progress) -> None:
        meter.update()
        show(progress)

    began = time.monotonic()
    try:
        run = runs.make(experiment, place / experiment.run_name, report=report)
    except KeyboardInterrupt:
        click.echo("interrupted; the same command continues after the last whole epoch", err=True)
        sys.exit(130)
    click.echo(run_line(run))
    energy = _energy.spent(time.monotonic() - began, device, meter.update())
    if energy is not None:
        click.echo(
            f"energy of this command: {energy.joules / 1000:.1f} kJ, {energy.source}", err=True
        )


def _threads(device: Mapping[str, Any]) -> str:
    """How much of a device computes."""
    if device["kind"] == "GPU":
        return "GPU"
    return "1 thread" if device["threads"] == 1 else f"{device['threads']} threads"


@main.command("runs")
@click.option(
    "--clean",
    is_flag=True,
    help="Remove what interrupted training runs left: checkpoints, from which they would continue, "
    "and incomplete runs. Files of training that is in progress stay.",
)
@click.option(
    "--seal",
    type=FilePath(),
    help="The directory of a run of an older version, into which the digests of its files are "
    "written.",
)
@click.option("--runs", "place", type=FilePath(), help="A directory of runs to list first.")
def runs_command(clean: bool, seal: Path | None, place: Path | None) -> None:
    """List the runs that are available here.

    Runs are looked up in --runs, in the directory that CIFARCAM_RUNS names, in runs/ of the working
    directory and of those above it, in the user's cache, and in the checkout.
    """
    with quiet_tensorflow():
        from cifarcam import _store, runs

    check_directory(place)
    if place is not None and (clean or seal is not None):
        raise CifarcamError("--runs is for the list of runs; leave it out with --clean and --seal")
    if seal is not None:
        _store.seal_run(seal)
        click.echo(f"{run_line(runs.read(seal))}  {seal}")
    elif clean:
        removed = runs.clean(Path("runs"))
        for path in removed:
            click.echo(f"removed {path}")
        if not removed:
            click.echo("nothing was left behind")
    else:
        for directory in _store.run_directories(place):
            click.echo(f"{run_line(runs.read(directory))}  {directory}")


@main.command("claims")
@click.option("--json", "output", type=FilePath(), help="Write the ledger to this file instead.")
@click.option(
    "--diff",
    "old",
    type=FilePath(),
    help="Print what differs from the ledger in this file: claims.json of a build, or --json.",
)
def claims_command(output: Path | None, old: Path | None) -> None:
    """Judge every claim of the original report from the runs and records at hand.

    Prints each condition of each claim with its verdict and the measured effect: value, 95%
    interval, unit, and what the interval covers.
    """
    with quiet_tensorflow():
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
        with quiet_tensorflow():
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
