"""What is known of each test image: masks and sentences on hand-made cases, and on CIFAR-10."""

import numpy as np
import pytest

from cifarcam import data
from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.data.evidence import LabelVotes, Twins
from cifarcam.errors import CifarcamError
from cifarcam.studies import image_facts, people, records

NAMES = ("cat", "frog", "ship")


def votes_of(*rows):
    """Rows of image, label, suggested class, and votes for label, suggestion, both, neither."""
    return LabelVotes(*np.array(rows, np.int64).reshape(-1, 7).T)


@pytest.mark.parametrize(
    ("votes", "said", "verdict"),
    [
        ((2, 3, 0, 0), "3 say frog, 2 say cat", "A majority corrects the label cat to frog."),
        ((3, 2, 0, 0), "3 say cat, 2 say frog", "A majority confirms the label cat."),
        (
            (2, 2, 0, 1),
            "2 say cat, 2 say frog, 1 says neither",
            "No majority confirms the label cat.",
        ),
        ((0, 1, 0, 4), "1 says frog, 4 say neither", "No majority confirms the label cat."),
        ((5, 0, 0, 0), "5 say cat", "A majority confirms the label cat."),
        ((0, 4, 1, 0), "4 say frog, 1 says both", "A majority corrects the label cat to frog."),
    ],
)
def test_votes_sentence_counts_five_answers(votes, said, verdict):
    sentence = image_facts.votes_sentence(votes_of((7, 0, 1, *votes)), 0, NAMES)
    assert sentence == f"Five people were asked whether this is a cat or a frog: {said}. {verdict}"


def gathered(**changes):
    labels = np.array([0, 1, 2, 2])
    arguments = {
        "twins": Twins(np.array([2, 0]), np.array([9, 8]), np.zeros(2), np.array([True, False])),
        "votes": votes_of((3, 2, 0, 0, 5, 0, 0)),
        "doubtful": np.array([3]),
        "published": {"one": np.array([0, 0, 2, 0]), "two": np.array([0, 1, 2, 1])},
        "people": np.array([0, 1, 2, 3]),
    }
    return image_facts.gather(labels, NAMES, **arguments | changes)


def test_gather_marks_images_and_says_each_fact():
    facts = gathered()
    assert facts.twins.tolist() == [True, False, True, False]
    assert facts.doubtful.tolist() == [False, False, False, True]
    assert facts.missed.tolist() == [False, False, False, True]
    assert facts.people.tolist() == [0, 1, 2, 3]
    assert facts.sentences == (
        (
            "The training images hold a near twin of this image, a photograph that looks very much "
            "like it.",
            image_facts.PEOPLE[0],
            "All 2 published networks predict the label.",
        ),
        (image_facts.PEOPLE[1], "Of the 2 published networks, 1 predicts the label."),
        (
            "The training images hold a near twin of this image, made from the same photograph.",
            image_facts.PEOPLE[2],
            "All 2 published networks predict the label.",
        ),
        (
            "Five people were asked whether this is a ship or a cat: 5 say cat. "
            "A majority corrects the label ship to cat.",
            image_facts.PEOPLE[3],
            image_facts.DOUBT,
            "None of the 2 published networks predicts the label.",
        ),
    )


@pytest.mark.parametrize(
    "change",
    [{"published": {}}, {"published": {"one": np.zeros(3)}}, {"people": np.zeros(5, np.int64)}],
)
def test_gather_refuses_other_numbers_of_images(change):
    with pytest.raises(CifarcamError, match="facts about 4 images"):
        gathered(**change)


def test_facts_of_cifar10_are_those_that_were_published():
    labels, votes = evidence.test_labels(), evidence.label_votes()
    facts = image_facts.gather(
        labels,
        CLASS_NAMES,
        twins=evidence.twins(),
        votes=votes,
        doubtful=votes.images[votes.doubtful],
        published=evidence.published_predictions(),
        people=people.agreement(records.load(people.RECORD)),
    )
    counts = [int(mask.sum()) for mask in (facts.twins, facts.doubtful, facts.missed)]
    assert counts == [286, 54, 28]
    assert int((facts.people == 3).sum()) == 122
    # A frog that is labelled cat.
    assert facts.sentences[2405] == (
        "Five people were asked whether this is a cat or a frog: 5 say frog. "
        "A majority corrects the label cat to frog.",
        image_facts.PEOPLE[3],
        image_facts.DOUBT,
        "None of the 30 published networks predicts the label.",
    )


def test_nothing_is_known_of_the_samples_images():
    assert image_facts.of_dataset(data.load("sample"), []) is None
