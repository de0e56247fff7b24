"""Networks that others trained on ImageNet, with verified weights, read without PyTorch.

ResNet-18 comes from the publisher of its weights and needs the extra ``train``. Where the extra is
missing or the publisher cannot be reached, EfficientNet-Lite0 comes from a package of the Python
package index.
"""

from cifarcam.errors import check_backend

check_backend()  # before Keras is imported

from cifarcam.pretrained.networks import NETWORKS, Network, class_names, imagenet

__all__ = ["NETWORKS", "Network", "class_names", "imagenet"]
