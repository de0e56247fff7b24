"""Speed of the explainers beside pytorch-grad-cam, TorchCAM, captum and xplique, all in one run.

The network is that of `explaining.py`, six convolutions for 32 x 32 pixels, once in Keras and once
in PyTorch with the same weights; the script first checks that both give the same scores. xplique
runs on the Keras network without its softmax. All methods explain the same images of CIFAR-10, in turn,
for several rounds; we compare medians. Needs an environment with ``cifarcam[train] torch grad-cam
torchcam captum xplique``:

    python benchmarks/peers.py [ROUNDS]
"""

import os
import statistics
import sys
import time

import cifarcam  # sets what TensorFlow reads when it is imported: oneDNN's convolutions

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads of one library slow the other

# isort: split
import captum.attr
import numpy as np
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

# isort: split
import keras  # behind PyTorch, whose triton crashes where TensorFlow is loaded first
import tensorflow as tf
import xplique.attributions
from explaining import network

from cifarcam import data, explain

IMAGES = 256
BATCH = 64
FEW_IMAGES = 64  # of methods that need dozens of passes an image
DOZENS = ("integrated-gradients", "smoothgrad", "smoothgrad-squared", "vargrad", "occlusion")
FEWEST_IMAGES = 8  # of methods that need hundreds of passes an image
HUNDREDS = ("score-cam", "ablation-cam", "shap", "lime", "rise")
LAYER = "conv6"


def in_torch(model):
    """The Keras network in PyTorch, with its weights; it returns scores before the softmax."""
    nn = torch.nn
    layers, names = [], []
    for layer in model.layers:
        weights = layer.get_weights()
        kind = type(layer).__name__
        if kind == "Conv2D":
            kernel, bias = weights
            made = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            made.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            made.bias.data = torch.from_numpy(bias)
            # A layer of its own, since the heatmap is that after the ReLU, as in Keras.
            layers += [made, nn.ReLU()]
            names += ["", layer.name]
        elif kind == "MaxPooling2D":
            layers.append(nn.MaxPool2d(2))
            names.append("")
        elif kind == "Flatten":
            layers.append(nn.Flatten())
            names.append("")
        elif kind == "Dense":
            kernel, bias = weights
            if layer.name != "logits":  # the first one takes channels first
                kernel = kernel.reshape(4, 4, 128, -1).transpose(2, 0, 1, 3).reshape(2048, -1)
            made = nn.Linear(*kernel.shape)
            made.weight.data = torch.from_numpy(kernel.T.copy())
            made.bias.data = torch.from_numpy(bias)
            layers.append(made)
            names.append("")
            if layer.name != "logits":
                layers.append(nn.ReLU())
                names.append("")
    whole = nn.Sequential(*layers).eval()
    return whole, whole[names.index(LAYER)]


def batches(array, count):
    return [array[start : start + BATCH] for start in range(0, count, BATCH)]


def pytorch_grad_cam_of(method, net, layer, inputs, classes):
    targets = [ClassifierOutputTarget(int(one)) for one in classes]

    def run(count):
        with method(model=net, target_layers=[layer]) as cam:
            return np.concatenate(
                [
                    cam(
                        input_tensor=batch,
                        targets=targets[place * BATCH : place * BATCH + len(batch)],
                    )
                    for place, batch in enumerate(batches(inputs, count))
                ]
            )

    return run


def torchcam_of(method, net, layer, inputs, classes):
    def run(count):
        maps = []
        with method(net, layer) as extract:
            for place, batch in enumerate(batches(inputs, count)):
                scores = net(batch)
                labels = [int(one) for one in classes[place * BATCH : place * BATCH + len(batch)]]
                maps.append(extract(labels, scores)[0].detach())
        small = torch.cat(maps)[:, None]
        return torch.nn.functional.interpolate(small, size=32, mode="bilinear")[:, 0].numpy()

    return run


def captum_of(attribute, inputs, classes):
    labels = torch.from_numpy(classes)

    def run(count):
        parts = []
        for place, batch in enumerate(batches(inputs, count)):
            some = labels[place * BATCH : place * BATCH + len(batch)]
            parts.append(attribute(batch, some).detach().abs().amax(1).numpy())
        return np.concatenate(parts)

    return run


def xplique_of(explainer, images, classes):
    targets = np.eye(10, dtype=np.float32)[classes]
    return lambda count: np.asarray(explainer(images[:count], targets[:count]))


def cifarcam_of(name, model, images, classes):
    layer = LAYER if explain.METHODS[name].takes_layer else None
    explainer = explain.METHODS[name](model, layer)
    return lambda count: explainer(images[:count], classes[:count], batch_size=BATCH)


def candidates(model, images):
    """Functions of a number of images: by method, by library."""
    net, layer = in_torch(model)
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy() / np.float32(255))
    classifier = explain.Classifier(model)
    scores = classifier.scores(images)
    with torch.no_grad():
        np.testing.assert_allclose(net(inputs).numpy(), scores, atol=1e-3)
    classes = scores.argmax(axis=1)
    cams, other, attr = pytorch_grad_cam, torchcam.methods, captum.attr
    mask = (torch.arange(32)[:, None] // 4 * 8 + torch.arange(32)[None] // 4)[None, None]
    pg = {
        "grad-cam": cams.GradCAM,
        "grad-cam++": cams.GradCAMPlusPlus,
        "hires-cam": cams.HiResCAM,
        "xgrad-cam": cams.XGradCAM,
        "layer-cam": cams.LayerCAM,
        "eigen-cam": cams.EigenCAM,
        "score-cam": cams.ScoreCAM,
        "ablation-cam": cams.AblationCAM,
    }
    tc = {
        "grad-cam": other.GradCAM,
        "grad-cam++": other.GradCAMpp,
        "xgrad-cam": other.XGradCAM,
        "layer-cam": other.LayerCAM,
        "score-cam": other.ScoreCAM,
    }
    saliency, path = attr.Saliency(net), attr.IntegratedGradients(net)
    tunnel, window = attr.NoiseTunnel(attr.Saliency(net)), attr.Occlusion(net)
    guided = attr.GuidedBackprop(net)
    values, linear = attr.ShapleyValueSampling(net), attr.Lime(net)
    ct = {
        "saliency": lambda x, t: saliency.attribute(x, t),
        "integrated-gradients": lambda x, t: path.attribute(
            x, target=t, n_steps=32, internal_batch_size=32 * BATCH
        ),
        "smoothgrad": lambda x, t: tunnel.attribute(
            x, target=t, nt_type="smoothgrad", nt_samples=32, nt_samples_batch_size=1, stdevs=0.15
        ),
        "guided-backpropagation": lambda x, t: guided.attribute(x, t),
        "occlusion": lambda x, t: window.attribute(
            x, (3, 8, 8), target=t, strides=(3, 4, 4), perturbations_per_eval=8
        ),
        "shap": lambda x, t: values.attribute(
            x, target=t, feature_mask=mask, n_samples=8, perturbations_per_eval=8
        ),
        "lime": lambda x, t: torch.cat(
            [
                linear.attribute(
                    x[[k]],
                    target=t[[k]],
                    feature_mask=mask,
                    n_samples=512,
                    perturbations_per_eval=64,
                )
                for k in range(len(x))
            ]
        ),
    }
    xp, options = xplique.attributions, {"batch_size": BATCH}
    bare = keras.Model(model.inputs, model.get_layer("logits").output)
    xq = {
        "grad-cam": xp.GradCAM(bare, conv_layer=LAYER, **options),
        "grad-cam++": xp.GradCAMPP(bare, conv_layer=LAYER, **options),
        "saliency": xp.Saliency(bare, **options),
        "integrated-gradients": xp.IntegratedGradients(bare, steps=32, **options),
        "smoothgrad": xp.SmoothGrad(bare, nb_samples=32, noise=0.15 * 255, **options),
        "smoothgrad-squared": xp.SquareGrad(bare, nb_samples=32, noise=0.15 * 255, **options),
        "vargrad": xp.VarGrad(bare, nb_samples=32, noise=0.15 * 255, **options),
        "guided-backpropagation": xp.GuidedBackprop(bare, **options),
        "occlusion": xp.Occlusion(bare, patch_size=8, patch_stride=4, **options),
        "rise": xp.Rise(bare, nb_samples=1000, grid_size=8, **options),
    }
    made = {}
    for name in explain.METHODS:
        others = {
            "pytorch-grad-cam": pg.get(name)
            and pytorch_grad_cam_of(pg[name], net, layer, inputs, classes),
            "TorchCAM": tc.get(name) and torchcam_of(tc[name], net, layer, inputs, classes),
            "captum": ct.get(name) and captum_of(ct[name], inputs, classes),
            "xplique": xq.get(name) and xplique_of(xq[name], images, classes),
        }
        others = {library: run for library, run in others.items() if run}
        if others:
            made[name] = {"cifarcam": cifarcam_of(name, model, images, classes), **others}
    return made


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    images = data.load().test.images[:IMAGES].astype(np.float32)
    made = candidates(network(), images)
    print(f"{threads} threads, {rounds} rounds; medians; cifarcam {cifarcam.__version__}")
    print("| method | images | cifarcam, images/s | times faster than |")
    print("|---|---|---|---|")
    for name, runs in made.items():
        count = FEWEST_IMAGES if name in HUNDREDS else FEW_IMAGES if name in DOZENS else IMAGES
        times = {library: [] for library in runs}
        for run in runs.values():
            run(count)
        for _ in range(rounds):
            for library, run in runs.items():
                began = time.perf_counter()
                run(count)
                times[library].append(time.perf_counter() - began)
        medians = {library: statistics.median(values) for library, values in times.items()}
        own = medians.pop("cifarcam")
        ratios = ", ".join(f"{library} {value / own:.1f}" for library, value in medians.items())
        print(f"| `{name}` | {count} | {count / own:,.0f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
