"""What is answered by the judges of the ledger: do perturbed networks come back, are they another minimum, and are two
models more alike than independent runs?"""

import math
from collections.abc import Sequence

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims import checkpoints, perturbed
from weight_atlas.reporting.claims.measured import Measured
from weight_atlas.reporting.exhibits.checkpoints import answers as of_checkpoints
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import FLIP
from weight_atlas.reporting.exhibits.perturbed.paths import CONNECTED
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number, settle
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, plural, shares, whole
from weight_atlas.stats import Decision, Statement

BACK = Statement(high=math.log(0.9))  # at least a tenth nearer than the distortion put it
APART = Statement(low=0.0, high=0.0, margin=0.1)  # a correlation below 0.1 is small (Cohen 1988)
WALL = Statement(low=CONNECTED, margin=CONNECTED)

Words = dict[Decision, tuple[Verdict, str]]


def _told(numbers: Sequence[Measured], statement: Statement, words: Words, after: str) -> list[Answer]:
    """An answer per original: the words of its decision, its number, and what stands after it."""
    made = []
    for one in numbers:
        tests = statement.tests(*one.evidence[1:])
        verdict, text = words[Decision(str(stats.decide([tests.for_it], [tests.against_it])))]
        made.append(_answer([one], f"{text} {_number(one)}, {after}.", verdict, _needed([one], statement), one.about))
    return made


def _answer(
    numbers: Sequence[Measured], sentence: str, verdict: Verdict | None = None, seeds: int = 0, about: str = ""
) -> Answer:
    """An answer that rests on these numbers; seeds: how many would decide it."""
    decide = settle(seeds, "decide it") if verdict == Verdict.UNDECIDED else ""
    counts = whole(one.evidence.n for one in numbers)
    made = tuple(number(f"{one.words} ({one.about})", one.json, _number(one)) for one in numbers)
    return Answer(sentence, verdict, about, made, f"95 % intervals, n = {counts}", decide)


def _needed(numbers: Sequence[Measured], statement: Statement) -> int:
    """How many replicates would decide the statement on all of these, by their spread; 0 where no more, or unknown."""
    evidence = [one.evidence for one in numbers if one.evidence.error > 0]
    most = max((statement.seeds(own.error * math.sqrt(own.n), own.mean) or 0 for own in evidence), default=0)
    return most if most > min((own.n for own in evidence), default=0) else 0


def _number(one: Measured) -> str:
    """ "0.33 [0.31, 0.35], n = 3"."""
    return one.text.removeprefix(one.words).strip()


def distortion(tables: Tables) -> list[Answer]:
    """Whether networks come back after a small distortion, each original by itself, and how far they drift anyway. The
    control is the original trained on without a distortion, in the same order."""
    sound = tables.learnt()
    words = {
        Decision.CONTRADICTED: (Verdict.NO, "It does not come back. It ends"),
        Decision.REPRODUCED: (Verdict.YES, "It comes back. It ends"),
        Decision.UNDECIDED: (Verdict.UNDECIDED, "It ends"),
    }
    made = _told(perturbed.amplification(sound), BACK, words, "times as far from its control as the distortion put it")
    beside = "times as far from the original as its control"
    drift = [_answer([one], f"it ends {_number(one)}, {beside}.", about=one.about) for one in perturbed.drift(sound)]
    return [*made, *drift]


def flip(tables: Tables) -> list[Answer]:
    """Whether a flipped and retrained network is another minimum, by the barrier that is left without symmetries, and
    what part of the distance the flip itself makes."""
    if FLIP not in set(families.family(tables)["what"]):
        raise NothingToShow("nothing is flipped.")
    on_the_line = "on the line to the original accuracy falls by"
    words = {
        Decision.REPRODUCED: (Verdict.NO, f"It is another minimum: {on_the_line}"),
        Decision.CONTRADICTED: (Verdict.YES, f"It is the same minimum: {on_the_line}"),
        Decision.UNDECIDED: (Verdict.UNDECIDED, "On the line to the original accuracy falls by"),
    }
    try:
        made = _told(perturbed.barrier(tables.learnt()), WALL, words, "symmetries removed")
    except NothingToShow as why:
        made = [Answer(f"Whether it is another minimum is not known: {why}", Verdict.UNDECIDED)]
    rows = perturbed.flipped(tables.keeping("done"))
    lost = rows[~rows["again"]].groupby("network", sort=False).size()
    if len(lost):
        each = [f"{plural(int(count), 'replicate')} of {network}" for network, count in lost.items()]
        made.append(Answer(f"Not counted, since they did not learn again: {enumerated(each)}."))
    parts = []
    for network, own in rows.groupby("network", sort=False):
        by = own.assign(part=own["start"] / own["distance"]).groupby("branch")["part"].mean()
        parts.append(f"{shares(by)} in {network}")
    sure = f"means over {plural(len(rows), 'replicate')}, those that did not learn again included"
    return [
        *made,
        Answer(f"The distance alone cannot tell: the flip itself makes {enumerated(parts)} of it.", sure=sure),
    ]


def returned(tables: Tables) -> list[Answer]:
    """Whether perturbed networks return: after small distortions and after flips, as far as a study has them."""
    made, why = [], []
    for answer in (distortion, flip):
        try:
            made += answer(tables)
        except NothingToShow as reason:
            why.append(reason)
    if not made:
        raise why[0]
    return made


def likeness(tables: Tables) -> list[Answer]:
    """Whether two models are more alike than independent runs, then the largest correlations."""
    return [*_alike(tables), *of_checkpoints.largest(tables)]


def conclusion(tables: Tables) -> list[Answer]:
    """Whether trained weights end higher, and whether two models are more alike than independent runs."""
    return [*of_checkpoints.conclusion(tables), *_alike(tables)]


def _alike(tables: Tables) -> list[Answer]:
    """Whether the weights of each pair of models correlate as those of independent runs do, layer by layer."""
    try:
        every = checkpoints.alike(tables.learnt())
    except NothingToShow as why:
        return [Answer(f"Whether the models become alike is not known: {why}", Verdict.UNDECIDED)]
    found = {group: [one for one in every if one.group == group] for group in dict.fromkeys(one.group for one in every)}
    return [_pair(group, own) for group, own in found.items()]


def _pair(name: str, numbers: Sequence[Measured]) -> Answer:
    """The answer of one pair of models."""
    tests = [APART.tests(*one.evidence[1:]) for one in numbers]
    decision = Decision(str(stats.decide([test.for_it for test in tests], [test.against_it for test in tests])))
    near = sum(bool(test.for_it <= stats.LEVEL) for test in tests)
    verdict, words = {
        Decision.REPRODUCED: (Verdict.NO, "are no more alike than those of independent runs"),
        Decision.CONTRADICTED: (Verdict.YES, "are not as alike as those of independent runs"),
        Decision.UNDECIDED: (Verdict.UNDECIDED, "may be more alike than those of independent runs, or not"),
    }[decision]
    furthest = max(numbers, key=lambda one: abs(one.evidence.mean))
    text = (
        f"The weights of {name} {words}: of {len(numbers)} differences of r {near} are shown to lie within "
        f"± {APART.margin:g}. The largest is {furthest.text.removeprefix(f'{name}: ')}."
    )
    return _answer(numbers, text, verdict, _needed(numbers, APART))
