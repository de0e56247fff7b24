"""The book's prose: short sentences in plain words."""

import re

import pytest
from helpers import ROOT

PAGES = [ROOT / "book" / f"{name}.md" for name in ("index", "introduction", "conclusion")]
PAGES += sorted((ROOT / "notebooks").glob("*.md"))
MEAN = 20  # words of a sentence, on average over a page
LONGEST = 45  # words of a sentence
# Stand-ins for a noun, inversions, and words that say nothing.
FORBIDDEN = (
    r"\b(?:that|those) of (?:the|a|an|each|all|both|its|our)\b",
    r"\b(?:the|another|an other) ones?\b",
    r"\bthe (?:former|latter)\b",
    r"\btrainings\b",
    r"\ba training\b(?!\s(?:run|image|picture|set|split|step|accuracy|recipe|example|time|loss))",
    r"\b(?:i\.e\.|e\.g\.|respectively|utili[sz]e\w*|leverag\w+|crucial\w*|delve\w*)",
    r"\b(?:notably|importantly|interestingly)\b(?! low)",  # the original says "notably low"
    r"—",
    r";",
)


def prose(text):
    """Paragraphs, list items and boxes as plain words; a value that is put in counts as a word."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(
        r"^```+\{(?:code-cell|math|glossary|raw|bibliography).*?^```+$", "", text, flags=re.M | re.S
    )
    text = re.sub(r"^\$\$.*?\$\$.*?$", "", text, flags=re.M | re.S)
    text = re.sub(r"^(?:#|:::|```|\(|:\w+:).*$", "", text, flags=re.M)
    text = re.sub(r"\{glue:text\}`[^`]*-(?:sentence|everywhere|short|text)(?::s)?`", " ", text)
    text = re.sub(r"\{term\}`([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", text)
    text = re.sub(r"\{cite[:\w]*\}`[^`]*`", "", text)
    text = re.sub(r"\{\w[\w:]*\}`[^`]*`|\$[^$]*\$|`[^`]*`", "X", text)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[*_]{1,2}|<[^>]*>|&\w+;", "", text)


def sentences(words):
    for block in re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", words, flags=re.M):
        block = re.sub(r"\s+", " ", block).strip()
        yield from filter(None, re.split(r"(?<=[.?!:])[)\"”]? (?=[A-Z“\"(])", block))


def length(sentence):
    return len(re.findall(r"[\w’'−+.,%-]*\w[\w’'%-]*", sentence))


def test_words_of_a_page_are_found():
    text = "# T\n\nOne {glue:text}`a:d` two {cite}`b`. Three $x; y$ four `c; d`: Five.\n\n- Six; seven.\n"
    found = list(sentences(prose(text)))
    assert found == ["One X two .", "Three X four X:", "Five.", "Six; seven."]
    assert [length(one) for one in found] == [3, 4, 1, 2]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_sentences_are_short(path):
    lengths = {one: length(one) for one in sentences(prose(path.read_text()))}
    lengths = {one: words for one, words in lengths.items() if words > 2}
    assert sum(lengths.values()) / len(lengths) <= MEAN
    assert [one for one, words in lengths.items() if words > LONGEST] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_words_are_plain(path):
    text = prose(path.read_text())
    found = [
        text[max(0, match.start() - 40) : match.end() + 20].replace("\n", " ")
        for pattern in FORBIDDEN
        for match in re.finditer(pattern, text)
    ]
    assert found == []
