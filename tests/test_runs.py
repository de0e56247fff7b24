"""Runs and records on the disk: whole, verified, and cleared of what was interrupted."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from click.testing import CliRunner
from filelock import FileLock
from helpers import TINY

from cifarcam import _closure, _devices, _files, _store, cli, data, explain, runs, training
from cifarcam.errors import CifarcamError
from cifarcam.studies import measurements, records
from cifarcam.training import experiment, loop, prediction


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def sample():
    return data.load("sample")


@pytest.fixture
def tiny():
    return experiment.parse(TINY, "tiny", "tiny.toml")


@pytest.fixture(scope="module")
def made(tmp_path_factory, sample):
    """A finished run, not to be changed, made where a killed process left files."""
    tiny = experiment.parse(TINY, "tiny", "tiny.toml")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        leave_behind(home / "runs", "tiny")
        leave_behind(home / "runs", "tiny-seed1")
        checkpoint = runs.checkpoint_path(tiny.fingerprint(sample.digest))
        checkpoint.parent.mkdir(parents=True)
        checkpoint.with_name(f".{checkpoint.name}.u3").write_bytes(b"half")
        return runs.make(tiny, home / "runs" / "tiny", dataset=sample)


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the finished run."""
    return Path(shutil.copytree(made.directory, tmp_path / "runs" / "tiny"))


def leave_behind(place, name):
    """Write what a process leaves that is killed while it writes a run."""
    half = place / f".{name}.x7k"
    half.mkdir(parents=True)
    (half / "history.csv").write_text("epoch\n1\n")
    (place / f".{name}.toml.q2").touch()  # of another file that begins alike
    return half


@pytest.mark.slow
def test_make_removes_what_a_killed_process_left(made):
    place = made.directory.parent
    assert sorted(path.name for path in place.iterdir()) == [
        ".tiny-seed1.toml.q2",
        ".tiny-seed1.x7k",  # of another run, which may be in progress
        ".tiny.toml.q2",
        "tiny",
    ]
    stored = [path.name for path in place.parent.rglob("*.safetensors*")]
    assert stored == ["weights.safetensors"]


def test_clear_leftovers_puts_back_a_run_that_was_moved_aside(copy):
    aside = copy.parent / ".tiny.old.k2"
    aside.mkdir()
    copy.rename(aside / "tiny")
    leave_behind(copy.parent, "tiny")
    _files.clear_leftovers(copy)
    assert runs.read(copy).experiment.name == "tiny"
    assert [path.name for path in copy.parent.glob(".tiny.*")] == [".tiny.toml.q2"]


def test_clean_removes_checkpoints_and_half_runs_but_nothing_in_progress(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    half = leave_behind(tmp_path / "runs", "tiny")
    checkpoints = _files.cache_dir() / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name in ("aa.safetensors", "bb.safetensors", ".aa.safetensors.t6", ".cc.safetensors.t6"):
        (checkpoints / name).touch()
    with FileLock(checkpoints / "bb.lock"):
        removed = CliRunner().invoke(cli.main, ["runs", "--clean"]).output
        assert sorted(path.name for path in checkpoints.glob("*.safetensors*")) == [
            "bb.safetensors"
        ]
        assert half.is_dir()
    assert removed.count("removed") == 3
    assert str(checkpoints / "aa.safetensors") in removed
    CliRunner().invoke(cli.main, ["runs", "--clean"])
    assert not list(checkpoints.glob("*.safetensors*"))
    assert not half.exists()
    assert "nothing was left" in CliRunner().invoke(cli.main, ["runs", "--clean"]).output


def test_make_refuses_a_place_that_cannot_be_written_before_training(tiny, sample, monkeypatch):
    monkeypatch.setattr(training, "train", None)
    with pytest.raises(CifarcamError, match="cannot write to /proc"):
        runs.make(tiny, Path("/proc/tiny"), dataset=sample)


@pytest.mark.slow
def test_seal_makes_a_run_of_an_older_version_readable(copy, made):
    provenance = json.loads((copy / "provenance.json").read_text())
    digests = provenance.pop("files")
    del provenance["sha256"]
    provenance["weights_sha256"] = digests["weights.safetensors"]
    (copy / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(CifarcamError, match="older version"):
        runs.read(copy)
    done = CliRunner().invoke(cli.main, ["runs", "--seal", str(copy)])
    assert done.exit_code == 0, done.output
    assert runs.read(copy).provenance == made.provenance
    (copy / "provenance.json").write_text(json.dumps(provenance | {"weights_sha256": "0" * 64}))
    with pytest.raises(CifarcamError, match="not the weights that this run evaluated"):
        _store.seal_run(copy)


def test_run_without_weights_is_read_but_has_no_model(copy):
    (copy / "weights.safetensors").unlink()
    with pytest.raises(CifarcamError, match="too large to come with the run"):
        runs.read(copy).model()


def test_find_run_refuses_a_damaged_provenance(copy, tiny, sample):
    path = copy / "provenance.json"
    path.write_text(path.read_text().replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(CifarcamError, match=r"provenance\.json: damaged"):
        _store.find_run(tiny.fingerprint(sample.digest), copy.parent)


def test_every_run_is_read_once_and_its_provenance_as_well(copy, sample, monkeypatch, tmp_path):
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.copytree(copy, place / "same")
    monkeypatch.setenv("CIFARCAM_RUNS", str(place))
    monkeypatch.chdir(tmp_path)
    read, paths = _files.read_json, []
    monkeypatch.setattr(_files, "read_json", lambda path, r: paths.append(path) or read(path, r))
    directories = [run.directory for run in runs.every(sample) if tmp_path in run.directory.parents]
    assert directories == [place / "same"]
    assert len(paths) == len(set(paths))


def test_places_begin_with_the_place_given_and_cifarcam_runs(tmp_path, monkeypatch):
    given, named, upwards = tmp_path / "given", tmp_path / "named", tmp_path / "work" / "runs"
    for directory in (given, named, upwards):
        directory.mkdir(parents=True)
    monkeypatch.chdir(upwards.parent)
    beside = Path(_store.__file__).parents[1] / "runs"
    assert _store.places(given) == [given, upwards, beside]
    monkeypatch.setenv("CIFARCAM_RUNS", str(named))
    assert _store.places(given) == [given, named, upwards, beside]
    assert _store.places() == [named, upwards, beside]
    assert _store.places(named) == [named, upwards, beside]
    assert _store.places(tmp_path / "not-yet-made") == [named, upwards, beside]


def test_find_run_looks_first_in_the_place_given_then_in_cifarcam_runs(
    copy, made, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # whose runs/ holds `copy`
    assert _store.find_run(made.fingerprint) == copy
    monkeypatch.setenv("CIFARCAM_RUNS", str(made.directory.parent))
    assert _store.find_run(made.fingerprint) == made.directory
    assert _store.find_run(made.fingerprint, copy.parent) == copy


def test_places_refuse_a_cifarcam_runs_that_is_no_directory(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in ("file", "nothing"):
        monkeypatch.setenv("CIFARCAM_RUNS", str(tmp_path / name))
        with pytest.raises(CifarcamError, match=rf"^CIFARCAM_RUNS is .*{name}, not a directory; "):
            _store.places()
    monkeypatch.setenv("CIFARCAM_RUNS", "")
    _store.places()


def test_record_outdated_by_names_what_changed(copy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    settings = tmp_path / "experiments" / "tiny.toml"
    settings.write_text(TINY)
    run, sample = runs.read(copy), data.load("sample")
    inputs = records.inputs(sample, [experiment.find("tiny")], [run])
    path = measurements.write("classical", {"inputs": inputs}, tmp_path / "runs")
    record = records.load("classical")
    assert records.outdated_by(record) is None
    assert records.outdated_by(record | {"code": "0" * 64}) == "other code"
    assert _closure.code_digest("cifarcam.studies.classical") == record["code"]
    other = {"datasets": {"sample": "0" * 64}}
    assert records.outdated_by(record | {"inputs": inputs | other}) == "another dataset sample"
    settings.write_text(TINY.replace("dropout = 0.5", "dropout = 0.4"))
    assert records.outdated_by(record) == "another experiment tiny-seed3"
    settings.write_text(TINY)
    other = {"runs": {"tiny-seed3": "0" * 64}}
    assert records.outdated_by(record | {"inputs": inputs | other}) == "another run of tiny-seed3"
    assert _store.read_record(path) == record


def test_hand_out_notes_what_was_read(copy, sample, monkeypatch, tmp_path):
    monkeypatch.setattr(_store, "_handed_out", {})
    monkeypatch.chdir(tmp_path)
    run = runs.read(copy)
    data.load("sample")
    experiment.find("speedrun-seed3")
    assert _store.handed_out("runs")[run.fingerprint]["digest"] == _store.run_digest(copy)
    assert _store.handed_out("datasets") == {"sample": {"digest": sample.digest}}
    assert list(_store.handed_out("experiments")) == ["speedrun"]
    assert _store.handed_out("inventory") == {}
    assert run.name in [one.name for one in runs.every(sample)]
    assert "tiny" in _store.handed_out("inventory")["all"]["names"]


def test_training_out_of_memory_names_the_setting_to_lower(tiny, sample):
    wide = replace(tiny.options, filters=(1024, 1024))
    huge = replace(tiny, options=wide, training=replace(tiny.training, batch_size=50_000))
    with pytest.MonkeyPatch.context() as patch:
        # What TensorFlow raises where the system refuses it memory; this one has too much to try.
        error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        patch.setattr(loop, "_train_epoch", lambda *args: (_ for _ in ()).throw(error))
        with pytest.raises(CifarcamError, match=r"lower training\.batch_size"):
            training.train(huge, sample)


@pytest.fixture
def rounding():
    """TensorFlow as it starts: float32 may be rounded to TF32."""
    tf.config.experimental.enable_tensor_float_32_execution(True)
    yield tf.config.experimental.tensor_float_32_execution_enabled
    tf.config.experimental.enable_tensor_float_32_execution(False)


@pytest.mark.slow
def test_float32_has_no_tf32_in_training_predicting_and_explaining(
    tiny, sample, made, rounding, monkeypatch
):
    seen = []
    training.train(tiny, sample, report=lambda progress: seen.append(rounding()))
    assert set(seen) == {False}
    model = made.model()
    tf.config.experimental.enable_tensor_float_32_execution(True)

    class Watching(type(model)):
        def predict(self, *args, **kwargs):
            seen.append(rounding())
            return super().predict(*args, **kwargs)

    model.__class__ = Watching
    images = sample.test.images[:2]
    prediction.predict(model, images)
    classifier = explain.Classifier(model)
    explainer = explain.GradCAM(classifier)

    def watched(function):
        def call(*args):
            seen.append(rounding())
            return function(*args)

        return call

    monkeypatch.setattr(explainer, "_heatmap_batch", watched(explainer._heatmap_batch))
    monkeypatch.setattr(classifier, "_score_batch", watched(classifier._score_batch))
    explainer(images)
    classifier.scores(images)
    assert len(seen) > 4
    assert set(seen) == {False}
    assert rounding()  # as it was


@pytest.mark.slow
def test_tf32_of_an_experiment_is_used_and_recorded(tiny, sample, rounding, monkeypatch, tmp_path):
    asking = replace(tiny, training=replace(tiny.training, precision="tf32", epochs=1))
    assert asking.fingerprint("") != tiny.fingerprint("")
    seen = []
    monkeypatch.setattr(_devices, "bfloat16_units", lambda: "GPU")
    run = runs.make(
        asking, tmp_path / "tf32", dataset=sample, report=lambda progress: seen.append(rounding())
    )
    assert set(seen) == {True}
    assert not rounding()
    assert run.provenance["precision"] == "tf32"
    monkeypatch.setattr(_devices, "bfloat16_units", lambda: None)
    assert _devices.resolve_precision("tf32") == "float32"
    assert experiment.parse(experiment.serialize(asking), "tiny", "x.toml") == asking
