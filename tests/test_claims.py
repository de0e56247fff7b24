"""The ledger of claims: rules of verdict, what is read for a condition, JSON, differences, the page."""

import base64
import json
import math
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner
from docutils import nodes
from docutils.core import publish_doctree
from matplotlib.backends.backend_agg import FigureCanvasAgg
from myst_parser.parsers.docutils_ import Parser

from cifarcam import _closure, _files, _store, cli, figures
from cifarcam.errors import CifarcamError
from cifarcam.publish import sphinx_ext
from cifarcam.report import claims, claims_page
from cifarcam.studies.claims import (
    CLAIMS,
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    judge,
    phrases,
)
from cifarcam.studies.claims import sources as sources_module
from cifarcam.studies.claims.base import (
    sentence_of,
    verdict_by_seed,
    verdict_of,
    verdict_of_range,
)
from cifarcam.studies.inference import Effect

NAN = math.nan


def effect(low, high, *, null=0.0, count=3, over="seeds"):
    return Effect((low + high) / 2, low, high, "points", over, count, "Student's t", 0.5, null)


# ---- verdicts ----


@pytest.mark.parametrize(
    ("low", "high", "claimed", "verdict"),
    [
        (0.01, 1.0, "above", Verdict.REPRODUCED),
        (0.0, 1.0, "above", Verdict.UNDECIDED),
        (-1.0, 0.0, "above", Verdict.UNDECIDED),
        (-1.0, -0.01, "above", Verdict.CONTRADICTED),
        (-1.0, -0.01, "below", Verdict.REPRODUCED),
        (-1.0, 0.0, "below", Verdict.UNDECIDED),
        (0.01, 1.0, "below", Verdict.CONTRADICTED),
        (0.0, 0.0, "above", Verdict.UNDECIDED),
        (NAN, NAN, "above", Verdict.UNDECIDED),
    ],
)
def test_verdict_needs_the_whole_interval_on_one_side(low, high, claimed, verdict):
    assert verdict_of(effect(low, high), claimed=claimed) is verdict
    shifted = effect(low + 5, high + 5, null=5.0)
    assert verdict_of(shifted, claimed=claimed) is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (2.0, 4.0, Verdict.REPRODUCED),
        (1.99, 4.0, Verdict.UNDECIDED),
        (2.0, 4.01, Verdict.UNDECIDED),
        (1.0, 5.0, Verdict.UNDECIDED),
        (1.0, 1.99, Verdict.CONTRADICTED),
        (4.01, 5.0, Verdict.CONTRADICTED),
        (1.0, 2.0, Verdict.UNDECIDED),
        (NAN, NAN, Verdict.UNDECIDED),
    ],
)
def test_verdict_of_range_needs_the_whole_interval_inside_or_outside(low, high, verdict):
    assert verdict_of_range(effect(low, high), 2.0, 4.0) is verdict


def test_verdict_over_seeds_needs_three_of_them():
    for count, over, verdict in (
        (2, "seeds", Verdict.UNDECIDED),
        (3, "seeds", Verdict.REPRODUCED),
        (2, "test images", Verdict.REPRODUCED),
    ):
        assert verdict_of(effect(1.0, 2.0, count=count, over=over)) is verdict
        assert verdict_of_range(effect(1.0, 2.0, count=count, over=over), 0.0, 3.0) is verdict


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        ([True] * 3, Verdict.REPRODUCED),
        ([False] * 3, Verdict.CONTRADICTED),
        ([True, True, False], Verdict.UNDECIDED),
        ([True] * 2, Verdict.UNDECIDED),
        ([], Verdict.UNDECIDED),
        (np.array([True, True, True, True]), Verdict.REPRODUCED),
    ],
)
def test_verdict_by_seed_needs_all_of_three_seeds_to_agree(holds, verdict):
    assert verdict_by_seed(holds) is verdict


def test_verdict_refuses_another_side():
    with pytest.raises(CifarcamError, match="'over'; give 'above' or 'below'"):
        verdict_of(effect(1.0, 2.0), claimed="over")


def test_each_verdict_of_a_rule_has_its_sentence():
    sentences = {"reproduced": "It does.", "contradicted": "It does not.", "undecided": "It may."}
    for verdict, sentence in sentences.items():
        assert sentence_of(Verdict(verdict), **sentences) == sentence
    with pytest.raises(KeyError):
        sentence_of(Verdict.FITTED, **sentences)


def test_phrases_have_a_typeset_minus_and_speak_of_one_seed():
    assert phrases.points(effect(-1.0, 2.0)) == (
        "(+0.5 points, 95% interval over 3 seeds −1.0 to +2.0)"
    )
    assert (
        phrases.points(replace(effect(NAN, NAN, count=1), value=-2.0)) == "(−2.0 points, one seed)"
    )
    assert (phrases.seeds(1), phrases.seeds(3)) == ("one seed", "3 seeds")
    assert (phrases.p_value(0.0009), phrases.p_value(0.001)) == ("p < 0.001", "p = 0.001")


# ---- the claims ----


def test_claims_and_conditions_have_unique_ids_and_whole_entries():
    conditions = [condition for claim in CLAIMS for condition in claim.conditions]
    for ids in ([claim.id for claim in CLAIMS], [condition.id for condition in conditions]):
        assert len(set(ids)) == len(ids)
    for claim in CLAIMS:
        for condition in claim.conditions:
            assert condition.id == claim.id or condition.id.startswith(f"{claim.id}.")
        assert claim.conditions and claim.statement.endswith("."), claim.id
    for condition in conditions:
        assert condition.rule.endswith("."), condition.id
        assert "2026-11-01" <= condition.since <= "2026-12-31", condition.id


def test_judge_refuses_a_claim_that_does_not_exist():
    with pytest.raises(CifarcamError, match="there is no claim 'plateaux'; give one of "):
        judge(None, "plateaux")


# ---- the ledger ----


class Run:
    """Stands for a run: what sources hand out."""

    def __init__(self, name, value):
        self.name, self.fingerprint, self.value = name, f"print-{name}", value


@pytest.fixture
def sources(monkeypatch):
    """Sources with three made-up runs of each experiment, and a record."""
    monkeypatch.setattr(_store, "_handed_out", {})

    def at_hand(name, dataset=None):
        made = [Run(f"{name}-{seed}", float(seed)) for seed in range(3)]
        for run in made:
            _store.hand_out("runs", run.fingerprint, name=run.name, digest=f"digest of {run.name}")
        return made

    def load(name):
        _store.hand_out("records", name, digest=f"digest of {name}")
        return {"value": 2.0}

    monkeypatch.setattr(sources_module.runs, "at_hand", at_hand)
    monkeypatch.setattr(sources_module.records, "load", load)
    return sources_module.Sources()


def measured(values):
    return Finding(Verdict.REPRODUCED, "It is so (1.0).", "three runs", EFFECT, tuple(values))


def unmeasured(scale, value):
    return Finding(Verdict.NOT_TESTED, f"Not tested {{cite}}`a2020` with {value}.", "a record")


def values_of_baseline(sources):
    return (np.array([run.value for run in sources.baseline]),)


def value_of_record(sources):
    return (sources.record("long")["value"],)


EFFECT = Effect(1.0, 0.5, 1.5, "points", "seeds", 3, "Student's t", 0.01)
MADE_UP = (
    Claim(
        "first",
        "The first claim.",
        "Chapter 1",
        (
            Condition(
                "first.measured",
                "measured",
                "It is above 0.",
                "2026-11-24",
                Timing.BEFORE,
                measured,
                values_of_baseline,
            ),
            Condition(
                "first.again",
                "measured again",
                "It is above 0.",
                "2026-11-25",
                Timing.WITH,
                measured,
                values_of_baseline,
            ),
        ),
    ),
    Claim(
        "second",
        "The second claim.",
        "Chapter 2",
        (
            Condition(
                "second",
                "not measured",
                "None.",
                "2026-11-26",
                Timing.AFTER,
                partial(unmeasured, 1.0),
                value_of_record,
            ),
        ),
    ),
)


def test_ledger_has_what_each_condition_was_judged_from(sources):
    first, again, second = claims.ledger(sources, MADE_UP)
    assert (first.claim, first.statement, first.place) == ("first", "The first claim.", "Chapter 1")
    assert (first.condition, first.label, first.rule) == (
        "first.measured",
        "measured",
        "It is above 0.",
    )
    assert (first.since, first.timing) == ("2026-11-24", "before its result")
    assert (first.verdict, first.sentence, first.basis) == (
        "reproduced",
        "It is so (1.0).",
        "three runs",
    )
    assert (first.effect, first.by_seed) == (EFFECT, (0.0, 1.0, 2.0))
    runs = {f"baseline-{seed}": f"digest of baseline-{seed}" for seed in range(3)}
    # What was read before for another condition counts too; what only another one read does not.
    for entry in (first, again):
        assert entry.digests["runs"] == runs
        assert entry.digests["records"] == {}
    assert (second.effect, second.by_seed) == (None, ())
    assert second.digests["runs"] == {}
    assert second.digests["records"] == {"long": "digest of long"}


def test_ledger_has_the_digest_of_the_code_that_judged(sources, monkeypatch):
    monkeypatch.setattr(unmeasured, "__module__", "cifarcam.studies.claims.base")
    monkeypatch.setattr(value_of_record, "__module__", "cifarcam.studies.inference")
    entry = claims.ledger(sources, MADE_UP[1:])[0]
    names = ["cifarcam.studies.claims.base", "cifarcam.studies.inference"]
    assert entry.digests["code"] == {name: _closure.code_digest(name) for name in names}


def test_ledger_survives_its_file_and_has_null_for_nan(sources, tmp_path):
    entries = claims.ledger(sources, MADE_UP)
    gap = replace(EFFECT, low=NAN, high=math.inf, p=NAN)
    entries[0] = replace(entries[0], effect=gap, by_seed=(1.0, NAN))
    path = tmp_path / "claims.json"
    claims.write(entries, path)

    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert content["claims"][0]["effect"]["low"] is None
    assert content["claims"][0]["effect"]["high"] is None
    assert content["claims"][0]["by_seed"] == [1.0, None]
    assert content["claims"][2]["effect"] is None
    read = claims.read(path)
    assert read[1:] == entries[1:]
    assert math.isnan(read[0].effect.low) and math.isnan(read[0].by_seed[1])
    assert claims.difference(read, entries) == []
    assert claims.contents(entries) == path.read_bytes()


def test_findings_of_a_ledger_are_those_that_were_judged(sources):
    found = claims.findings(claims.ledger(sources, MADE_UP))
    assert list(found) == ["first.measured", "first.again", "second"]
    assert found["first.measured"] == measured((0.0, 1.0, 2.0))


def test_power_is_said_of_the_baseline_s_accuracies_in_points(sources, monkeypatch):
    for run in sources.baseline:
        run.metrics = {"test": {"accuracy": 0.7 + 0.01 * run.value}}
    sentence = claims.power(sources)
    assert "over 3 seeds with a standard deviation of 1.00 points" in sentence
    assert "a true difference of 4.6 points" in sentence  # 3.264 times the square root of 2
    monkeypatch.setattr(type(sources), "baseline", sources.baseline[:1])
    assert claims.power(sources).startswith("Here the baseline was trained from one seed only")


def damaged(path):
    path.write_text(path.read_text().replace("first claim", "First claim"))


def foreign(path):
    path.write_text("a,b\n1,2\n")


def not_a_ledger(path):
    _files.write_json(path, {"fingerprint": "f"})


def of_another_version(path):
    _files.write_json(path, {"claims": [{"condition": "a", "effect": None, "by_seed": []}]})


def absent(path):
    path.unlink()


@pytest.mark.parametrize("change", [damaged, foreign, not_a_ledger, of_another_version, absent])
def test_read_refuses_what_is_no_ledger_in_one_sentence(sources, tmp_path, change):
    path = tmp_path / "old.json"
    claims.write(claims.ledger(sources, MADE_UP), path)
    change(path)
    with pytest.raises(CifarcamError) as caught:
        claims.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert message.endswith(claims.REMEDY)


# ---- differences ----


def entry(name="a", verdict="reproduced", effect=EFFECT, rule="It is above 0."):
    return claims.Entry(
        claim=name,
        statement="S.",
        place="P",
        condition=name,
        label="l",
        rule=rule,
        since="2026-11-24",
        timing="before its result",
        verdict=verdict,
        sentence="S.",
        basis="b",
        effect=effect,
        by_seed=(),
        digests={},
    )


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ([entry()], [entry()], []),
        ([entry()], [entry(effect=replace(EFFECT, value=1 + 1e-9))], []),
        ([], [entry()], ["a is new: reproduced."]),
        ([entry()], [], ["a is gone. It was reproduced."]),
        (
            [entry(verdict="undecided")],
            [entry()],
            ["a: the verdict was undecided and is reproduced."],
        ),
        (
            [entry()],
            [entry(rule="It is above 1.")],
            ["a: the rule was “It is above 0.” and is “It is above 1.”"],
        ),
        (
            [entry()],
            [entry(effect=replace(EFFECT, value=1.5))],
            [
                "a: the effect changed within its old interval. It was +1.0 [0.5, 1.5] points over "
                "3 seeds and is +1.5 [0.5, 1.5] points over 3 seeds."
            ],
        ),
        (
            [entry()],
            [entry(effect=replace(EFFECT, value=1.6))],
            [
                "a: the effect left its old interval. It was +1.0 [0.5, 1.5] points over 3 seeds "
                "and is +1.6 [0.5, 1.5] points over 3 seeds."
            ],
        ),
        (
            [entry(effect=replace(EFFECT, low=NAN, high=NAN, count=1))],
            [entry()],
            [
                "a: the effect changed. It was +1.0 points over 1 seed and is +1.0 [0.5, 1.5] "
                "points over 3 seeds."
            ],
        ),
        (
            [entry(effect=None)],
            [entry()],
            [
                "a: an effect is measured now. It is +1.0 [0.5, 1.5] points over 3 seeds.",
            ],
        ),
        (
            [entry()],
            [entry(effect=None)],
            [
                "a: no effect is measured any more. It was +1.0 [0.5, 1.5] points over 3 seeds.",
            ],
        ),
    ],
)
def test_difference_says_what_changed_in_sentences(old, new, sentences):
    assert claims.difference(old, new) == sentences


# ---- the command ----


@pytest.fixture
def command(sources, tmp_path, monkeypatch):
    """Call `cifarcam claims` on the made-up claims."""
    monkeypatch.setattr(claims, "Sources", lambda: sources)
    judged = claims.ledger
    monkeypatch.setattr(claims, "ledger", lambda given: judged(given, MADE_UP))
    monkeypatch.chdir(tmp_path)
    return lambda *options: CliRunner().invoke(cli.main, ["claims", *options])


def test_claims_prints_every_condition_within_the_terminal_s_width(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    done = command()
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 60
    flat = " ".join(done.output.split())
    assert "first: The first claim." in flat
    assert "REPRODUCED first.measured +1.0 [0.5, 1.5] points over 3 seeds It is so (1.0)." in flat
    assert "NOT TESTED second Not tested with 2.0." in flat  # the citation is for the book
    assert flat.endswith(
        "3 conditions of 2 claims: 2 reproduced, 0 contradicted, 0 undecided, 1 not tested, "
        "0 fitted."
    )


def test_claims_writes_the_ledger_and_says_what_differs(command, sources, tmp_path):
    done = command("--json", "new.json")
    assert (done.exit_code, done.output) == (0, "wrote new.json\n")
    entries = claims.read(tmp_path / "new.json")
    done = command("--diff", "new.json")
    assert done.exit_code == 0
    assert done.output.startswith("nothing differs: 3 conditions of 2 claims")
    claims.write([replace(entries[0], verdict="undecided"), *entries[1:]], tmp_path / "new.json")
    done = command("--diff", "new.json", "--json", "new.json")  # the old ledger is read first
    assert done.exit_code == 0
    assert "first.measured: the verdict was undecided and is reproduced.\n" in done.output
    assert claims.read(tmp_path / "new.json") == entries


def test_claims_refuses_a_foreign_file_and_does_not_replace_it(command, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for option, words in (("--diff", claims.REMEDY), ("--json", "give another name")):
        done = command(option, "notes.txt")
        assert done.exit_code == 1
        assert done.output.startswith("Error: notes.txt: ") and words in done.output
        assert done.output.count("\n") == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


# ---- the page ----


def test_halves_hold_every_claim_once_and_are_about_as_long():
    entries = [entry(f"c{index}") for index in range(6)]
    entries += [replace(entry(f"c6.{index}"), claim="c6") for index in range(5)]
    first, second = claims_page.halves(entries)
    assert [len(rows) for _, rows in first + second] == [1] * 6 + [5]
    assert (len(first), len(second)) == (4, 3)  # 4 x 2 lines, and 2 x 2 + 6
    assert claims_page.halves([]) == ([], [])
    for few in ([], entries[:1]):
        for half in claims_page.halves(few):
            figures.claims(half)


def test_figure_of_claims_shows_verdicts_in_words_and_intervals_on_the_side_of_their_null():
    above = entry("above")
    below = entry("below", "contradicted", effect=replace(EFFECT, value=-1.0, low=-1.5, high=-0.5))
    alone = entry("alone", "undecided", effect=replace(EFFECT, low=NAN, high=NAN))
    none = entry("none", "not tested", effect=None)
    groups = [group for half in claims_page.halves([above, below, alone, none]) for group in half]
    figure = figures.claims(groups)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    for verdict in ("reproduced", "contradicted", "undecided", "not tested"):
        assert texts.count(verdict) == 1
    assert texts.count("+1.0 [0.5, 1.5] points") == 1
    assert len({patch.get_facecolor() for patch in axes.patches}) == 4
    assert min(text.get_fontsize() for text in axes.texts) >= 8
    lines = [line.get_xdata() for line in axes.lines]
    # For each effect the null, the interval where there is one, and the point.
    assert [len(line) for line in lines] == [2, 2, 1, 2, 2, 1, 2, 1]
    null = lines[0][0]
    assert null < lines[1][0] < lines[2][0] < lines[1][1]
    assert lines[4][0] < lines[5][0] < lines[4][1] < null
    assert lines[1][1] - null == pytest.approx(null - lines[4][0])


def test_figure_of_claims_breaks_long_labels_into_lines_within_its_width():
    long = replace(entry("a"), label="word " * 20, statement="statement " * 20)
    figure = figures.claims(claims_page.halves([long])[0] + claims_page.halves([long])[1])
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert all(box.x1 <= figure.bbox.x1 and box.y0 >= figure.bbox.y0 for box in boxes)


def test_page_shows_claims_at_their_addresses_and_holds_the_ledger(sources, monkeypatch):
    calls = []
    monkeypatch.setattr(
        claims_page, "display", lambda data, raw, metadata: calls.append((data, metadata))
    )
    entries = claims.ledger(sources, MADE_UP)
    claims_page.show(entries)
    (data, metadata), = calls  # fmt: skip
    file = base64.b64decode(metadata[_store.FILES]["claims.json"])
    assert file == claims.contents(entries)
    markdown = re.sub(r"^```\{.*?^```$", "", data["text/markdown"], flags=re.M | re.S)
    markdown = markdown.replace("{cite}", "")
    settings = {"halt_level": 2, "report_level": 2, "myst_enable_extensions": ["colon_fence"]}
    document = publish_doctree(markdown, parser=Parser(), settings_overrides=settings)
    rubrics = list(document.findall(nodes.rubric))
    assert [rubric.astext() for rubric in rubrics] == ["The first claim.", "The second claim."]
    assert [rubric["ids"] for rubric in rubrics] == [["claim-first"], ["claim-second"]]
    text = document.astext()
    assert text.count("In the original: Chapter 1.") == 1
    assert "Measured: reproduced. It is so (1.0)." in text
    assert "Rule, since 24 November 2026 and before its result: It is above 0." in text
    assert (
        "Effect: +1.0 [0.5, 1.5] points over 3 seeds (Student’s t, p = 0.01). By seed: 0.0, 1.0, 2.0."
        in text.replace("'", "’")
    )
    assert "Rests on: a record." in text
    assert text.count("Effect: ") == 2


def test_extension_writes_the_ledger_of_the_executed_chapter_beside_the_pages(tmp_path):
    packed = {"claims.json": base64.b64encode(b"the ledger").decode()}
    output = nbformat.v4.new_output("display_data", metadata={_store.FILES: packed})
    cell = nbformat.v4.new_code_cell("show()", outputs=[output])
    (tmp_path / "notebooks").mkdir()
    copy = tmp_path / "notebooks" / "claims.ipynb"
    copy.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[cell])))
    for builder in ("latex", "html"):
        app = SimpleNamespace(
            srcdir=tmp_path, outdir=tmp_path / builder, builder=SimpleNamespace(format=builder)
        )
        sphinx_ext._unpack_files(app)
    assert not (tmp_path / "latex").exists()
    assert [path.name for path in (tmp_path / "html").iterdir()] == ["claims.json"]
    assert (tmp_path / "html" / "claims.json").read_bytes() == b"the ledger"
