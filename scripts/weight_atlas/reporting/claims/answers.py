"""What perturbed networks answer, by the judges of the ledger: do they come back, and are they another minimum?"""

import math
from collections.abc import Sequence

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims import perturbed
from weight_atlas.reporting.claims.measured import Measured
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import FLIP
from weight_atlas.reporting.exhibits.perturbed.paths import CONNECTED
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, plural, shares
from weight_atlas.stats import Decision, Statement

BACK = Statement(high=math.log(0.9))  # at least a tenth nearer than the distortion put it
WALL = Statement(low=CONNECTED, margin=CONNECTED)

Words = dict[Decision, str]


def _told(numbers: Sequence[Measured], statement: Statement, words: Words, after: str) -> list[str]:
    """A sentence per decision that some originals have: its words, then the number of each original."""
    found: dict[Decision, list[str]] = {decision: [] for decision in words}
    for one in numbers:
        tests = statement.tests(*one.evidence[1:])
        decision = Decision(str(stats.decide([tests.for_it], [tests.against_it])))
        found[decision].append(_text(one, after))
    return [f"{words[decision]} {'; '.join(texts)}." for decision, texts in found.items() if texts]


def _text(number: Measured, after: str) -> str:
    """ "0.33 [0.31, 0.35], n = 3, times as far as .. (lenet5 on digits)"."""
    return f"{number.text.removeprefix(number.words).strip()}, {after} ({number.about})"


def distortion(tables: Tables) -> list[str]:
    """Whether networks come back after a small distortion, each original by itself, and how far they drift anyway."""
    sound = tables.learnt()
    words = {
        Decision.CONTRADICTED: "No. It does not come back: it ends",
        Decision.REPRODUCED: "Yes. It comes back: it ends",
        Decision.UNDECIDED: "Cannot say whether it comes back: it ends",
    }
    after = "times as far from where it would have ended as the distortion put it"
    made = _told(perturbed.amplification(sound), BACK, words, after)
    beside = [_text(one, "times as far as without a distortion") for one in perturbed.drift(sound)]
    return [*made, f"From the original it ends {'; '.join(beside)}."]


def flip(tables: Tables) -> list[str]:
    """Whether a flipped and retrained network is another minimum, by the barrier that is left without symmetries, and
    what part of the distance the flip itself makes."""
    if FLIP not in set(families.family(tables)["what"]):
        raise NothingToShow("nothing is flipped.")
    words = {
        Decision.REPRODUCED: "No. It is another minimum: on the line to the original accuracy falls by",
        Decision.CONTRADICTED: "It is the same minimum: on the line to the original accuracy falls by",
        Decision.UNDECIDED: "Cannot say whether it is another minimum: on the line to the original accuracy falls by",
    }
    try:
        made = _told(perturbed.barrier(tables.learnt()), WALL, words, "symmetries removed")
    except NothingToShow as why:
        made = [f"Cannot say whether it is another minimum: {str(why).removesuffix('.')}."]
    rows = perturbed.flipped(tables)
    lost = rows[~rows["again"]].groupby("network", sort=False).size()
    if len(lost):
        each = [f"{plural(int(count), 'replicate')} of {network}" for network, count in lost.items()]
        made.append(f"Not counted, since they did not learn again: {enumerated(each)}.")
    parts = []
    for network, own in rows.groupby("network", sort=False):
        by = own.assign(part=own["start"] / own["distance"]).groupby("branch")["part"].mean()
        parts.append(f"{shares(by)} in {network}")
    return [*made, f"The distance alone says nothing: the flip itself makes {enumerated(parts)} of it."]
