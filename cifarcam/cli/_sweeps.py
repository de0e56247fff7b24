"""The commands that make many things side by side: training runs, and the parts of a measurement."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cifarcam.cli._base import quiet_tensorflow, run_line, written_runs
from cifarcam.errors import CifarcamError

if TYPE_CHECKING:
    from cifarcam.sweeps import Job, Outcome


def _side_by_side(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where jobs are made."""
    jobs = click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        help="How many to make side by side on this machine; one if not given.",
    )
    scheduler = click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Make them on the workers of the Dask scheduler at this address instead.",
    )
    return jobs(scheduler(command))


@click.command("sweep")
@click.argument("names", metavar="EXPERIMENT...", nargs=-1, required=True)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    help="Train each experiment with this many seeds, 0, 1, 2, ..., instead of its own.",
)
@click.option("--dataset", help="cifar10 or sample instead of the experiments' own dataset.")
@written_runs
@_side_by_side
def sweep_command(
    names: tuple[str, ...],
    seeds: int | None,
    dataset: str | None,
    place: Path,
    jobs: int | None,
    scheduler: str | None,
) -> None:
    """Train each EXPERIMENT, a name in experiments/ or a TOML file, with several seeds.

    The runs are the same as those of `cifarcam train`, and existing ones are kept. After an
    interruption the same command continues. The exit status is 1 if a training run failed.
    """
    _check(jobs, scheduler)
    with quiet_tensorflow():
        from cifarcam import runs, sweeps

    planned = sweeps.plan(names, seeds=seeds, dataset=dataset, place=place)
    outcomes = _make(planned, place, jobs, scheduler, "after the last whole epochs")
    for outcome in outcomes:
        if outcome.result is not None:
            click.echo(run_line(runs.read(outcome.result)))
    _refuse_failed(outcomes, "training runs")


@click.command("measure")
@click.argument("name")
@_side_by_side
def measure_command(name: str, jobs: int | None, scheduler: str | None) -> None:
    """Make the measurement NAME and write its record; `cifarcam measure list` names them all.

    With --jobs or --scheduler a measurement of hours is cut into parts, which are made side by side.
    The results are the same.
    """
    _check(jobs, scheduler)
    with quiet_tensorflow():
        from cifarcam.studies import measurements

    place = Path("runs")
    if name == "list":
        for label, measurement in measurements.MEASUREMENTS.items():
            click.echo(f"{label}: {(measurement.__doc__ or '').splitlines()[0]}")
    elif jobs is None and scheduler is None:
        click.echo(f"wrote {measurements.measure(name, place)}")
    else:
        from cifarcam import sweeps

        planned = sweeps.plan_parts(name, place)
        outcomes = _make(planned, place, jobs, scheduler, "with the parts that are not measured")
        _refuse_failed(outcomes, "parts")
        click.echo(f"wrote {sweeps.finish(name, outcomes, place)}")


def _check(jobs: int | None, scheduler: str | None) -> None:
    if jobs is not None and scheduler is not None:
        raise CifarcamError("--jobs is for this machine, --scheduler for a cluster; give one")


def _make(
    planned: Sequence[Job], place: Path, jobs: int | None, scheduler: str | None, goes_on: str
) -> list[Outcome]:
    """What became of jobs, on this machine or on a cluster."""
    from cifarcam import sweeps

    try:
        sweeps.obtain_data(planned)
        if scheduler is not None:
            click.echo(f"looking at the workers of {scheduler}", err=True)
            workers: sweeps.Workers = sweeps.Cluster(scheduler, place)
        else:
            workers = sweeps.Local(jobs or 1)
        return sweeps.sweep(planned, workers, sweeps.Display(planned))
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command continues {goes_on}", err=True)
        sys.exit(130)


def _refuse_failed(outcomes: Sequence[Outcome], what: str) -> None:
    """Name the jobs that failed, if any did."""
    failed = [outcome for outcome in outcomes if outcome.result is None]
    if failed:
        sentences = "; ".join(f"{outcome.job.name}: {outcome.failure}" for outcome in failed)
        raise CifarcamError(f"{len(failed)} of {len(outcomes)} {what} failed: {sentences}")
