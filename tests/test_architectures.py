"""Layer lists and parameter counts against the papers' and a count by hand."""

import pytest

from cifarcam.models import custom_cnn, summary
from cifarcam.report import architectures as tables
from cifarcam.studies import architectures

PUBLISHED = {  # parameters, convolutions, dense layers
    "alexnet": (60_965_224, 5, 3),
    "vgg19": (143_667_240, 16, 3),
    "resnet50": (25_636_712, 53, 1),  # 49 in the main path, 4 projections
    "densenet121": (8_062_504, 120, 1),
}


@pytest.fixture(scope="module")
def networks():
    return architectures.networks()


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_blocks_add_up_to_the_published_counts(networks, name):
    network = networks[name]
    assert (network.parameters, network.convolutions, network.dense) == PUBLISHED[name]
    assert network.million == network.parameters / 1e6
    assert sum(block.parameters for block in network.blocks) == network.parameters
    assert network.blocks[0].kind == "input"
    repeats = [block.repeat for block in network.blocks if block.repeat > 1]
    assert (
        repeats
        == {
            "alexnet": [],
            "vgg19": [2, 2, 4, 4, 4],
            "resnet50": [3, 4, 6, 3],
            "densenet121": [6, 12, 24, 16],
        }[name]
    )


@pytest.mark.slow
def test_rows_of_the_networks_are_their_counts(networks):
    assert networks.keys() == PUBLISHED.keys()
    rows = tables.published_rows(networks.values())
    assert rows[1][:5] == ["VGG-19", "2014", "16", "3", "143,667,240"]


def test_custom_network_has_the_parameters_counted_by_hand():
    model = custom_cnn.build(custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2))
    by_hand = [3 * 9 * 32 + 32, 32 * 9 * 64 + 64, 64 * 9 * 128 + 128, 2048 * 64 + 64, 64 * 10 + 10]
    blocks = summary.blocks(model)
    assert [block.parameters for block in blocks if block.parameters] == by_hand
    assert model.count_params() == sum(by_hand) == 225_034
    assert [layer.name for layer in model.layers[-2:]] == ["logits", "softmax"]
    assert [block.output_shape for block in blocks][:3] == [(32, 32, 3), (32, 32, 32), (16, 16, 32)]
