"""Training: the same weights every time, whatever interrupts it, and the right ones."""

import math
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from filelock import FileLock
from helpers import TINY

from cifarcam import _devices, _files, _store, data, models, runs, training
from cifarcam.data import Split
from cifarcam.errors import CifarcamError
from cifarcam.models import custom_cnn
from cifarcam.runs import making
from cifarcam.training import augment, experiment, graphs
from cifarcam.training.settings import EarlyStopping, Schedule
from cifarcam.training.state import initial_state


@pytest.fixture(scope="module")
def sample():
    return data.load("sample")


@pytest.fixture
def tiny():
    return experiment.parse(TINY, "tiny", "tiny.toml")


@pytest.fixture(scope="module")
def trained(sample):
    """The tiny experiment, trained."""
    return training.train(experiment.parse(TINY, "tiny", "tiny.toml"), sample)


@pytest.fixture(scope="module")
def finished(sample, tmp_path_factory):
    """The checkpoint that the tiny experiment's training ends with."""
    path = tmp_path_factory.mktemp("finished") / "checkpoint.safetensors"
    training.train(experiment.parse(TINY, "tiny", "tiny.toml"), sample, checkpoint=path)
    return path


@pytest.fixture
def growing():
    """A network that takes any size, on images of 8 and 16 pixels, then as they are."""
    text = TINY.replace("filters = [4, 4]\ndense = 8\ndropout = 0.5", "filters = [8, 8]")
    text = text.replace("custom_cnn", "speedrun").replace("[data]", "logit_scale = 0.1\n[data]")
    text = text.replace("seed = 3", "seed = 3\nimage_sizes = [8, 16]")
    return experiment.parse(text, "growing", "growing.toml")


@pytest.fixture
def selective():
    """Without dropout, and from its second epoch on with the harder half of the images."""
    text = TINY.replace("dropout = 0.5", "dropout = 0.0").replace("epochs = 3", "epochs = 4")
    text += "[selection]\nshare = 0.5\nfirst = 2\n"
    return experiment.parse(text, "selective", "selective.toml")


def weights_of(trained):
    return [np.asarray(w) for w in trained.model.get_weights()]


def assert_same_bits(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.tobytes() == other.tobytes()


class Interrupt(Exception):
    pass


def interrupting(epoch, share):
    def report(progress):
        if progress.epoch == epoch and progress.share >= share:
            raise Interrupt

    return report


@pytest.mark.slow
def test_training_twice_gives_the_same_bits_and_another_seed_does_not(tiny, sample, trained):
    first = trained
    second = training.train(tiny, sample)
    other = training.train(tiny.with_changes(seed=4), sample)
    assert_same_bits(weights_of(first), weights_of(second))
    losses = [[epoch.train_loss for epoch in t.history] for t in (first, second, other)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.slow
def test_epoch_equals_a_plain_keras_epoch_in_the_same_order(tiny, sample):
    plain = replace(
        tiny,
        options=custom_cnn.Options(filters=(4, 4), dense=8, dropout=0.0),
        training=replace(tiny.training, epochs=1),
    )
    trained = training.train(plain, sample)
    keras.utils.set_random_seed(plain.training.seed)
    model = models.build("custom_cnn", plain.options)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    order = np.random.default_rng([plain.training.seed, 1]).permutation(len(sample.train))
    losses = []
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        loss = model.test_on_batch(sample.train.images[batch], sample.train.labels[batch])
        losses.append(float(loss) * len(batch))
        model.train_on_batch(sample.train.images[batch], sample.train.labels[batch])
    for ours, theirs in zip(weights_of(trained), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
    assert trained.history[0].train_loss == pytest.approx(sum(losses) / len(order), rel=1e-4)
    truth = model.evaluate(sample.validation.images, sample.validation.labels, verbose=0)
    assert trained.history[0].validation_loss == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("size", [7, 16, 32])
def test_shrunken_images_are_those_of_tensorflow_without_its_operation(size, sample):
    """The operation of TensorFlow runs on a CPU alone, and a GPU would wait for it."""
    images = sample.train.images[:3, :, 2:]  # 32 x 30
    expected = tf.image.resize(images, (size, size), antialias=True)
    shrunken = tf.function(lambda x: augment.shrink(x, size)).get_concrete_function(
        tf.constant(images)
    )
    np.testing.assert_allclose(shrunken(images), expected, atol=1e-3)
    kinds = {operation.type for operation in shrunken.graph.get_operations()}
    assert "Einsum" in kinds and not any("Scale" in kind or "Resize" in kind for kind in kinds)


@pytest.mark.slow
def test_image_sizes_are_those_that_each_epoch_sees(growing, sample):
    still = replace(growing.training, learning_rate=1e-8, batch_size=850)
    assert len(sample.train) == still.batch_size
    trained = training.train(replace(growing, training=still), sample)
    logits = keras.Model(trained.model.inputs, trained.model.get_layer("logits").output)
    losses = []
    for size in (8, 16, 32):
        flexible = keras.models.clone_model(
            logits,
            input_tensors=[keras.Input((size, size, 3))],
            clone_function=lambda layer: layer,
        )
        shown = augment.shrink(sample.train.images, size)
        logits_of_size = flexible(shown, training=True)
        cross_entropy = keras.losses.sparse_categorical_crossentropy(
            sample.train.labels, logits_of_size, from_logits=True
        )
        losses.append(float(np.mean(cross_entropy)))
    assert len({round(loss, 3) for loss in losses}) == 3
    assert [epoch.train_loss for epoch in trained.history] == pytest.approx(losses, rel=1e-4)


@pytest.mark.slow
def test_image_sizes_train_the_weights_of_the_full_size(growing, sample):
    small = replace(growing.training, image_sizes=(16,) * 12, epochs=12)
    trained = training.train(replace(growing, training=small), sample)
    assert trained.history[-1].validation_accuracy > 0.2  # at full size; chance is 0.1


def test_image_sizes_that_a_network_does_not_take_are_refused(tiny, sample):
    shrinking = replace(tiny, training=replace(tiny.training, image_sizes=(16,)))
    with pytest.raises(CifarcamError) as refusal:
        training.train(shrinking, sample)
    assert str(refusal.value) == (
        "tiny: training.image_sizes: custom_cnn does not take images of 16 x 16 pixels; "
        "leave image_sizes out"
    )


@pytest.mark.slow
def test_selection_trains_on_the_images_whose_last_loss_was_highest(selective, sample):
    trained = training.train(selective, sample)
    keras.utils.set_random_seed(selective.training.seed)
    model = models.build("custom_cnn", selective.options)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    images, labels = sample.train.images, sample.train.labels
    last, means, sets = np.zeros(len(labels)), [], []
    for epoch in (1, 2, 3, 4):
        order = np.random.default_rng([selective.training.seed, epoch]).permutation(len(labels))
        if epoch > 1:
            hardest = set(np.lexsort((np.arange(len(labels)), -last))[: len(labels) // 2])
            order = np.array([image for image in order if image in hardest])
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            truth = model.predict(images[batch], verbose=0)[np.arange(len(batch)), labels[batch]]
            last[batch] = -np.log(truth)
            model.train_on_batch(images[batch], labels[batch])
        means.append(last[order].mean())
        sets.append(set(order))
    assert sets[1] != sets[2] != sets[3]  # an image left out comes back once the others are easier
    # Two images whose losses agree to a rounding may change places in the order.
    assert [e.train_loss for e in trained.history] == pytest.approx(means, rel=2e-3)


def test_schedule_ends_with_the_last_of_the_selected_images(selective, sample):
    falling = replace(selective, schedule=Schedule("linear", 0.0, 1.0, 0.0))
    optimizer = initial_state(falling, sample.train).optimizer
    steps = 14 + 3 * 7  # of 64 of 850 and of 425 images
    optimizer.iterations.assign(steps - 1)
    assert float(optimizer.learning_rate) == pytest.approx(0.01 / steps)
    assert [falling.images_seen(epoch, 850) for epoch in (1, 2, 4)] == [850, 425, 425]
    assert falling.images_seen(2, 1) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "growing", "selective"])
def test_checkpoint_limits_the_cost_of_an_exception_to_one_epoch(name, request, sample, tmp_path):
    small = request.getfixturevalue(name)
    small = replace(small, training=replace(small.training, batch_size=8))
    whole = training.train(small, sample)
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupt):
        training.train(small, sample, checkpoint=checkpoint, report=interrupting(2, 0.4))
    seen = []
    resumed = training.train(
        small, sample, checkpoint=checkpoint, report=lambda p: seen.append(p.epoch)
    )
    assert min(seen) == 2
    assert_same_bits(weights_of(whole), weights_of(resumed))
    assert [e.train_loss for e in whole.history] == [e.train_loss for e in resumed.history]


@pytest.mark.slow
def test_checkpoint_of_a_killed_process_leads_to_the_bits_of_an_unbroken_training(tmp_path, sample):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.replace("epochs = 3", "epochs = 30"))
    command = [sys.executable, "-m", "cifarcam", "train", str(path), "--runs"]

    def environment(name):
        return os.environ | {"XDG_CACHE_HOME": str(tmp_path / name)}

    process = subprocess.Popen(
        [*command, str(tmp_path / "killed")],
        env=environment("killed-cache"),
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("epoch   7"):
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "killed").glob("tiny*"))
    for place, cache in (("killed", "killed-cache"), ("whole", "whole-cache")):
        subprocess.run(
            [*command, str(tmp_path / place)], env=environment(cache), check=True, text=True
        )
    killed = (tmp_path / "killed" / "tiny-seed3-sample" / "weights.safetensors").read_bytes()
    whole = (tmp_path / "whole" / "tiny-seed3-sample" / "weights.safetensors").read_bytes()
    assert killed == whole
    history = runs.read(tmp_path / "killed" / "tiny-seed3-sample").history
    assert history["epoch"].tolist() == list(range(1, 31))


@pytest.mark.slow
def test_run_that_two_processes_need_is_trained_by_one_while_the_other_waits(
    tmp_path, monkeypatch, sample
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    tiny = experiment.find(str(path))

    def start(*command):
        command = [sys.executable, *command]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    checkpoints = _files.cache_dir() / "checkpoints"
    checkpoints.mkdir(parents=True)
    lock = checkpoints / f"{tiny.fingerprint(sample.digest)}.lock"
    with FileLock(lock, is_singleton=True):  # as `runs.make` takes it, here and in the others
        second = start("-c", f"from cifarcam import runs; print(runs.load({str(path)!r}).name)")
        assert any("no run of tiny" in line for line in second.stderr)  # read up to that line
        refused = start("-m", "cifarcam", "train", str(path))
        assert "trained by another process; wait" in refused.communicate()[1]
        assert refused.returncode != 0
        runs.make(tiny, _files.cache_dir() / "runs" / tiny.run_name, dataset=sample)
    assert "epoch" not in second.communicate()[1]
    assert second.returncode == 0


@pytest.mark.slow
def test_early_stopping_keeps_the_lowest_validation_loss_and_stops_after_patience(tiny, sample):
    stopping = replace(
        tiny,
        training=replace(tiny.training, epochs=60, learning_rate=0.03),
        early_stopping=EarlyStopping(patience=2),
    )
    trained = training.train(stopping, sample)
    losses = [epoch.validation_loss for epoch in trained.history]
    best = int(np.argmin(losses)) + 1
    assert trained.kept_epoch == best
    assert len(losses) == best + 2 < 60
    probabilities = trained.model.predict(sample.validation.images, verbose=0)
    truth = probabilities[np.arange(len(sample.validation)), sample.validation.labels]
    assert -np.log(truth).mean() == pytest.approx(losses[best - 1], rel=1e-4)


def test_last_weights_are_kept_without_early_stopping(trained):
    assert trained.kept_epoch == 3


def test_other_splits_decide_nothing_without_early_stopping(tiny, sample, trained):
    """Neither the test split, which training does not read, nor the labels of validation."""
    shuffled = Split(sample.validation.images, np.roll(sample.validation.labels, 1))
    other = replace(sample, validation=shuffled, test=None)
    assert_same_bits(weights_of(trained), weights_of(training.train(tiny, other)))


def test_checkpoint_of_another_experiment_is_refused(tiny, sample, finished):
    with pytest.raises(CifarcamError, match="another experiment"):
        training.train(tiny.with_changes(seed=9), sample, checkpoint=finished)


def test_checkpoint_of_other_versions_is_refused(tiny, sample, finished, monkeypatch):
    monkeypatch.setattr(_devices, "versions", lambda: {"keras": "another"})
    with pytest.raises(CifarcamError, match="by other versions or in another precision"):
        training.train(tiny, sample, checkpoint=finished)


def test_full_disk_at_the_end_of_an_epoch_is_reported(tiny, sample, tmp_path):
    # Files of this process may not grow beyond a size that no checkpoint fits in.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, limits[1]))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(CifarcamError, match=r"cannot write to .*File too large"):
            training.train(tiny, sample, checkpoint=tmp_path / "checkpoint.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not list(tmp_path.iterdir())


def test_commit_is_named_only_for_code_that_git_holds(tmp_path, monkeypatch):
    module = tmp_path / "environment" / "runs.py"
    module.parent.mkdir()
    module.touch()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "of another project"], check=True)
    monkeypatch.setattr(making, "__file__", str(module))
    assert making._git_commit() is None
    subprocess.run([*git, "add", "."], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert making._git_commit() == head.stdout.strip()


def test_early_stopping_by_a_loss_that_is_no_number_is_refused(tiny, sample, monkeypatch):
    evaluation = graphs.compile_evaluation

    def infinite(model):
        return lambda split: (math.inf, evaluation(model)(split)[1])

    monkeypatch.setattr(graphs, "compile_evaluation", infinite)
    stopping = replace(tiny, early_stopping=EarlyStopping(patience=2))
    with pytest.raises(CifarcamError, match="validation loss of epoch 1 is inf"):
        training.train(stopping, sample)


@pytest.mark.slow
def test_run_that_is_being_written_is_not_found(tiny, sample, tmp_path):
    short = replace(tiny, training=replace(tiny.training, epochs=1))
    run = runs.make(short, tmp_path / "runs" / "tiny", dataset=sample)
    fingerprint = short.fingerprint(sample.digest)
    assert _store.find_run(fingerprint, tmp_path / "runs") == run.directory
    run.directory.rename(run.directory.with_name(".tiny.x7"))  # as `files.atomic_directory` does
    assert _store.find_run(fingerprint, tmp_path / "runs") is None


def test_training_that_diverges_says_which_setting_to_lower(tiny, sample):
    wild = replace(tiny.training)
    object.__setattr__(wild, "learning_rate", 1e38)  # far beyond what an experiment may ask for
    with pytest.raises(CifarcamError, match=r"lower training\.learning_rate"):
        training.train(replace(tiny, training=wild), sample)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="switched on x86 alone")
@pytest.mark.parametrize(("switch", "used"), [(None, True), ("0", False)])
def test_convolutions_use_onednn_unless_it_is_switched_off(switch, used, monkeypatch):
    monkeypatch.setenv("ONEDNN_VERBOSE", "1")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if switch is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", switch)
    convolve = """
import cifarcam, tensorflow as tf
tf.function(tf.nn.conv2d)(tf.ones([2, 8, 8, 16]), tf.ones([3, 3, 16, 32]), 1, "SAME")
"""
    command = [sys.executable, "-c", convolve]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ("exec,cpu,convolution" in output) == used
