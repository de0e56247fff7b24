"""Damage to every kind of stored file: noticed in one sentence that names the file, always.

``python tests/test_fuzz_damage.py 1000`` runs the long campaign.
"""

import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY

from cifarcam import _devices, _files, _store, data, runs, training
from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters
from cifarcam.studies import measurements
from cifarcam.training import experiment, state
from cifarcam.training.settings import EarlyStopping


class Stored:
    """One file of each kind, in a folder, and how each is read."""

    def __init__(self, folder):
        self.sample = data.load("sample")
        tiny = experiment.parse(TINY, "tiny", "tiny.toml")
        self.tiny = replace(tiny, early_stopping=EarlyStopping(patience=2))
        self.run = runs.make(self.tiny, folder / "runs" / "tiny", dataset=self.sample).directory
        self.other = runs.make(
            self.tiny.with_changes(seed=4), folder / "runs" / "tiny-seed4", dataset=self.sample
        ).directory
        self.checkpoint = folder / "checkpoint.safetensors"
        training_stopped(self.tiny, self.sample, self.checkpoint)
        content = {"inputs": {"datasets": {"sample": self.sample.digest}}, "rows": [0.5, 1 / 3]}
        self.record = measurements.write("classical", content, folder / "runs")
        self.project = folder / "project"
        chapters.choose_parameters(self.project, {"dataset": "sample"})
        self.measured = folder / "measured.json"
        _files.write_json(self.measured, {"validation": 0.5, "seconds": 1.25})
        self.readers = dict.fromkeys(sorted(self.run.iterdir()), self.read_run) | {
            self.checkpoint: self.read_checkpoint,
            self.record: lambda: _store.read_record(self.record),
            chapters._parameters_path(self.project): lambda: chapters.read_parameters(self.project),
            self.measured: lambda: _files.read_json(self.measured, "delete it"),
        }

    def read_run(self):
        run = runs.read(self.run)
        run.model()
        return run

    def read_checkpoint(self):
        fresh = state.initial_state(self.tiny, self.sample.train)
        fingerprint = self.tiny.fingerprint(self.sample.digest)
        state.restore(fresh, self.checkpoint, fingerprint)
        return fresh


def training_stopped(wanted, sample, checkpoint):
    """Leave the checkpoint of a training that was interrupted in its second epoch."""

    def interrupt(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(wanted, sample, checkpoint=checkpoint, report=interrupt)


def bit(content, draw):
    place = draw.integers(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.integers(8)]) + content[place + 1 :]


def digit(content, draw):
    """Another digit where there is one, as in a number of a text."""
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    place = places[draw.integers(len(places))]
    other = (content[place] - 48 + draw.integers(1, 10)) % 10 + 48
    return content[:place] + bytes([other]) + content[place + 1 :]


def truncation(content, draw):
    return content[: draw.choice([len(content) - 1, draw.integers(len(content))])]


def zeros(content, draw):
    start = draw.integers(len(content))
    stop = draw.choice([len(content), min(len(content), start + draw.integers(1, 65))])
    return content[:start] + bytes(stop - start) + content[stop:]


def garbage(content, draw):
    start = draw.integers(len(content))
    stop = min(len(content), start + int(draw.integers(1, 65)))
    return content[:start] + draw.bytes(stop - start) + content[stop:]


def insertion(content, draw):
    place = draw.integers(len(content) + 1)
    return content[:place] + draw.bytes(int(draw.integers(1, 9))) + content[place:]


DAMAGES = (bit, digit, truncation, zeros, garbage, insertion)


def campaign(stored, count, seed=0):
    """How many damages were noticed, ended in a foreign error, or changed something silently.

    Returns
    -------
    tuple
        A Counter of outcomes, and a line for each that was not noticed.
    """
    draw = np.random.default_rng(seed)
    outcomes, failures = Counter(), []
    paths = list(stored.readers)
    for case in range(count):
        path, damage = paths[case % len(paths)], DAMAGES[draw.integers(len(DAMAGES))]
        content = path.read_bytes()
        damaged = damage(content, draw)
        if damaged == content:
            outcomes["nothing changed"] += 1
            continue
        path.write_bytes(damaged)
        try:
            stored.readers[path]()
            outcome = "silent"
        except CifarcamError as error:
            is_sentence = path.name in str(error) and "\n" not in str(error)
            outcome = "noticed" if is_sentence else "noticed without its name"
        except Exception as error:
            outcome = f"foreign {type(error).__name__}"
        finally:
            path.write_bytes(content)
        outcomes[outcome] += 1
        if outcome != "noticed":
            failures.append(f"{path.name}, {damage.__name__}, case {case}: {outcome}")
    return outcomes, failures


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    usual = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    try:
        yield Stored(folder)
    finally:
        if usual is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = usual


@pytest.mark.slow
def test_stored_files_without_damage_hold_what_was_written(stored):
    run, checkpoint, record, parameters, measured = list(stored.readers.values())[-5:]
    assert run().fingerprint == stored.tiny.fingerprint(stored.sample.digest)
    assert [epoch.epoch for epoch in checkpoint().history] == [1]
    assert record()["rows"] == [0.5, 1 / 3]
    assert parameters() == chapters.Parameters("sample")
    assert measured() == {"validation": 0.5, "seconds": 1.25}


@pytest.mark.slow
def test_damage_to_stored_files_is_always_noticed(stored):
    outcomes, failures = campaign(stored, 300)
    assert not failures
    assert outcomes["noticed"] > 280


@pytest.mark.slow
def test_stored_files_in_the_wrong_place_are_noticed(stored):
    for path in sorted(stored.run.iterdir()):
        content = path.read_bytes()
        path.write_bytes((stored.other / path.name).read_bytes())
        try:
            if path.name != "experiment.toml":  # the two differ
                with pytest.raises(CifarcamError):
                    stored.read_run()
        finally:
            path.write_bytes(content)
        path.unlink()
        with pytest.raises(CifarcamError, match=path.name):
            stored.read_run()
        path.write_bytes(content)
    other = stored.record.with_name("ablation.json")
    other.write_bytes(stored.record.read_bytes())
    with pytest.raises(CifarcamError, match="the record of 'classical'"):
        _store.read_record(other)


if __name__ == "__main__":
    _devices.prepare()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder + "/cache"
        print(*campaign(Stored(Path(folder)), int(sys.argv[1])), sep="\n")
