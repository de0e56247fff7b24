"""Makes resnet18.npz: logits and Grad-CAM of torchvision's ResNet-18 with drawn weights.

Needs PyTorch and torchvision, which the project itself does not:

    python tests/reference/make_resnet18.py
"""

from pathlib import Path

import numpy as np
import resnet18_weights
import torch
import torchvision

model = torchvision.models.resnet18().eval()
theirs = {k: tuple(v.shape) for k, v in model.state_dict().items() if v.ndim}
assert theirs == resnet18_weights.shapes()
drawn = {name: torch.from_numpy(value) for name, value in resnet18_weights.draw().items()}
model.load_state_dict(drawn, strict=False)

pixels = resnet18_weights.images().astype(np.float32) / 255
normalised = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
batch = torch.from_numpy(normalised.astype(np.float32)).permute(0, 3, 1, 2)

kept = {}
model.layer4.register_forward_hook(lambda module, given, result: kept.update(maps=result))
logits = model(batch)
maps = kept["maps"]
score = sum(logits[i, c] for i, c in enumerate(resnet18_weights.CLASSES))
(gradient,) = torch.autograd.grad(score, maps)
weights = gradient.mean(dim=(2, 3), keepdim=True)
signed = (weights * maps).sum(dim=1, keepdim=True)
heatmaps = torch.nn.functional.interpolate(
    torch.relu(signed), size=(224, 224), mode="bilinear", align_corners=False
)
np.savez_compressed(
    Path(__file__).with_name("resnet18.npz"),
    logits=logits.detach().numpy(),
    signed=signed.detach().numpy()[:, 0],
    heatmaps=heatmaps.detach().numpy()[:, 0, ::8, ::8],
    torch=torch.__version__,
    torchvision=torchvision.__version__,
)
