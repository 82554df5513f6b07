"""The ledger of claims: what documents, or the user, say, and what the results say of it."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import TypeAdapter

from weight_atlas import stats, store
from weight_atlas.faults import NothingToShow, spared
from weight_atlas.plan import checks, spec
from weight_atlas.plan.stated import Stated, fingerprint
from weight_atlas.reporting.claims.measured import Measured
from weight_atlas.reporting.claims.scopes import scoped
from weight_atlas.reporting.exhibits.runs import beside
from weight_atlas.reporting.grammar.exhibit import plain
from weight_atlas.reporting.grammar.source import recorded
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.stats import Decision
from weight_atlas.vocabulary import Status

Evidence = Callable[..., list[Measured]]  # of the study's Tables and a statement's parameters


FEW = 4  # numbers of a claim that a sentence holds


class Verdict(StrEnum):
    """What the results say of a claim."""

    REPRODUCED = "reproduced"
    CONTRADICTED = "contradicted"
    ARTEFACT = "artefact"  # the number is right, and comes from something else than it is read as
    UNDECIDED = "undecided"
    TOY = "toy"  # seen outside of the scope
    UNTESTED = "not testable here"


class Found(NamedTuple):
    """A number and the statement on it."""

    number: Measured
    statement: spec.Statement


@dataclass(frozen=True)
class Ruling:
    """A verdict, why, what was seen (where the scope keeps it from being a verdict), and the numbers behind it.

    lean: what the means alone would say of an undecided claim; half, double: what is seen with margins half and twice
    as wide; new: what is seen for new images of the same kind, where all numbers are test accuracies; seeds: how many
    replicates would decide; cells: the cell_ids that it reads.
    """

    verdict: Verdict
    reason: str
    seen: str = ""
    lean: str = ""
    half: str = ""
    double: str = ""
    new: str = ""
    seeds: int | None = None
    cells: frozenset[str] = frozenset()
    numbers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def ledger(path: Path) -> list[spec.Claim]:
    """The claims of a document in the file's order; [] where there is no file.

    Raises
    ------
    ValueError
        In one line, where the file holds no claims, or two of one id.
    """
    if not path.is_file():
        return []
    claims = checks.check(TypeAdapter(list[spec.Claim]), yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    ids = [claim.id for claim in claims]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: the id {twice[0]} stands there twice; give each claim its own")
    return claims


def own(config: Path | str, study: str) -> list[spec.Claim]:
    """The claims that a config (config.json) states of a study itself."""
    studies = store.read_json(config).get("definitions", {})
    return [spec.Claim(**claim) for claim in studies.get(study, {}).get("claims", [])]


def judge(
    claims: Sequence[spec.Claim],
    evidence: Mapping[str, Evidence],
    tables: Tables,
    known: Mapping[str, Stated] | None = None,
) -> list[dict[str, Any]]:
    """The claims of a study with their verdicts, as claims.json holds them.

    evidence: the functions that find the numbers, by their names; known: since when the workflow knows the claims of
    the config's own, by their fingerprints.
    """
    judged = []
    for claim in claims:
        functions = [evidence[statement.finder] for statement in (*claim.all, *claim.artefact)]
        with recorded(*dict.fromkeys(functions)) as source:
            ruling = Ruling(Verdict.UNTESTED, "Its test failed; the chapter's list of failures says why.")
            with spared(tables.faults, f"the test of claim {claim.id}"):
                try:
                    ruling = rule(claim, evidence, tables)
                except NothingToShow as why:
                    ruling = Ruling(Verdict.UNTESTED, f"The results lack what the test needs: {why}")
        said = {name: " ".join(getattr(claim, name).split()) for name in ("id", "says", "scope", "origin", "shows")}
        test = "; ".join(map(described, claim.all))
        at = (known or {}).get(fingerprint(claim))
        order = {"stated": since(at, started(tables, ruling.cells)) if at else ""}
        shown = {key: value for key, value in asdict(ruling).items() if key != "cells"} | order
        judged.append(said | {"test": test} | plain(shown) | {"source": asdict(source)})
    return judged


def started(tables: Tables, cells: Collection[str]) -> list[str]:
    """When each replicate of these cells began to train; "" of one that does not say, as given checkpoints do not."""
    runs = tables.table("runs")
    return list(runs.loc[runs["cell_id"].isin(cells), "started"].fillna(""))


def since(stated: Stated, starts: Sequence[str]) -> str:
    """When a claim of one's own was stated, and whether that was before the runs that it reads."""
    if not starts or "" in starts:
        order = "when the runs that it reads began is not on record"
    elif stated.at < min(starts):
        order = "before the first run that it reads began"
    else:
        order = "after the first run that it reads began"
    place = f"commit {stated.commit[:12]} holds it" if stated.commit else "no commit holds it"
    return f"Stated on {stated.at.replace('T', ' at ').removesuffix('Z')} UTC, {order}; {place} (a record, no proof)."


def rule(claim: spec.Claim, evidence: Mapping[str, Evidence], tables: Tables) -> Ruling:
    """The ruling on one claim; NothingToShow where the results lack what it needs."""
    sound = tables.learnt()
    found = _found(claim.all, evidence, sound)
    ended = {Status.DONE, Status.DIVERGED} if any(one.judge == "best" for one in claim.all) else {Status.DONE}
    scope = scoped(claim.within, [one.number for one in found], tables, ended)
    kept = [one for one in found if one.number in scope.kept]
    decision = decided(kept)
    seen, text = Verdict(decision), told(kept)
    if claim.artefact and decision != Decision.UNDECIDED:
        explained = _kept(_found(claim.artefact, evidence, sound), kept)
        if decided(explained) == Decision.REPRODUCED:
            told_already = {one.number.text for one in kept}
            fresh = [one for one in explained if one.number.text not in told_already]
            seen, text = Verdict.ARTEFACT, f"{text} {told(fresh, 'But')}" if fresh else text
    lean, seeds = ("", None) if seen != Verdict.UNDECIDED else (leaning(kept), needed(kept))
    verdict = seen
    if scope.outside and not (seen == Verdict.ARTEFACT and any(one.judge == "exact" for one in claim.artefact)):
        verdict, text = Verdict.TOY, f"{text} Outside its scope: {scope.outside}."
    half, double = ("", "") if seen == Verdict.ARTEFACT else margins(kept)
    numbers = [judged(one, len(kept)) for one in kept]
    cells = frozenset(cell for one in kept for cell in one.number.cells)
    text = f"{text}{unlearnt(tables, kept)} {beside.outlying(tables, cells)}".rstrip()
    return Ruling(verdict, text, seen, lean, half, double, on_new_images(kept), seeds, cells, numbers)


def judged(found: Found, count: int) -> dict[str, Any]:
    """One of `count` numbers as claims.json holds it, with the statement that it is judged against, in natural units.

    low_asked, high_asked, margin: as the claim has them; holds: whether it is shown or refuted, None for neither;
    clear: how far the mean is inside of what it takes to be shown, or outside of what it takes to be refuted, in half
    widths of the interval.
    """
    number, asked = found.number, found.statement
    if number.holds is not None:
        return number.json
    for_it, against = tested(found)
    holds = True if for_it <= stats.LEVEL else False if against * count <= stats.LEVEL else None
    region = statement(found).shown if holds else statement(found).allowed
    mean, half = number.evidence.mean, (number.evidence.high - number.evidence.low) / 2
    return number.json | {
        "holds": holds,
        "clear": None if holds is None else abs(min(mean - region.low, region.high - mean)) / half,
        "value": number.value,
        "asked": number.unit.asked(asked.low, asked.high),
        "low_asked": asked.low,
        "high_asked": asked.high,
        "margin": asked.margin,
        "unit": number.unit._asdict(),
    }


def told(found: Sequence[Found], first: str = "Here") -> str:
    """The numbers in a sentence; of many how many of them are shown and refuted, and the one that is furthest off."""
    if len(found) <= FEW:
        return f"{first}: {'; '.join(one.number.text for one in found)}."
    tests = [tested(one) for one in found]
    shown = sum(for_it <= stats.LEVEL for for_it, _ in tests)
    refuted = sum(against * len(found) <= stats.LEVEL for _, against in tests)
    worst = max(zip(tests, found, strict=True), key=lambda pair: (-pair[0][1], pair[0][0]))[1]
    return (
        f"Of {len(found)} numbers {shown} {'is' if shown == 1 else 'are'} as the claim says, {refuted} "
        f"{'is' if refuted == 1 else 'are'} not, and {len(found) - shown - refuted} can be either; furthest from the "
        f"claim: {worst.number.text}."
    )


def margins(found: Sequence[Found]) -> tuple[str, str]:
    """What is seen with margins half and twice as wide; empty where there is none."""
    if not any(one.statement.margin for one in found):
        return "", ""
    half, double = (decided(found, factor) for factor in (0.5, 2.0))
    return str(half), str(double)


def on_new_images(found: Sequence[Found]) -> str:
    """What is seen for new images of the same kind; empty where a number is not known for these."""
    numbers = [(one, one.number.new) for one in found]
    known = [Found(replace(one.number, evidence=new), one.statement) for one, new in numbers if new is not None]
    return str(decided(known)) if known and len(known) == len(found) else ""


def unlearnt(tables: Tables, found: Sequence[Found]) -> str:
    """Sentences on replicates of the compared cells that never learnt, and that diverged; empty for none."""
    runs = tables.table("runs")
    own = runs[runs["cell_id"].isin({cell for one in found for cell in one.number.cells})]
    counts = {
        "never learnt": int(own["learnt"].eq(False).fillna(False).sum()),
        "diverged": int(own["status"].eq(Status.DIVERGED).sum()),
    }
    return "".join(
        f" {plural(count, 'replicate')} {what} and {'is' if count == 1 else 'are'} not counted."
        for what, count in counts.items()
        if count
    )


def _found(statements: Sequence[spec.Statement], evidence: Mapping[str, Evidence], tables: Tables) -> list[Found]:
    return [
        Found(number, statement)
        for statement in statements
        for number in evidence[statement.finder](tables, **statement.parameters)
    ]


def _kept(found: Sequence[Found], like: Sequence[Found]) -> list[Found]:
    """Those of the groups that are judged."""
    groups = {one.number.group for one in like}
    return [one for one in found if one.number.group in groups]


def statement(found: Found, factor: float = 1.0) -> stats.Statement:
    """The statement as it is judged, with a margin so many times as wide."""
    unit, asked = found.number.unit, found.statement
    made = stats.Statement(unit.bound(asked.low), unit.bound(asked.high), unit.margin(asked.margin))
    return made.with_margin(factor)


def decided(found: Sequence[Found], factor: float = 1.0) -> Decision:
    """The decision on a claim: all of its statements must hold."""
    tests = [tested(one, factor) for one in found]
    if not tests:
        return Decision.UNDECIDED
    for_each, against_each = zip(*tests, strict=True)
    return Decision(str(stats.decide(for_each, against_each)))


def tested(found: Found, factor: float = 1.0) -> tuple[float, float]:
    """p for and against one statement: 0 and 1 of an exact one."""
    number = found.number
    if number.holds is not None:
        return float(not number.holds), float(number.holds)
    tests = statement(found, factor).tests(*number.evidence[1:])
    return float(tests.for_it), float(tests.against_it)


def leaning(found: Sequence[Found]) -> str:
    """What the means alone would say: each lies where its statement wants it, or not all do."""
    inside = []
    for one in found:
        low, high = statement(one).shown
        inside.append(one.number.holds if one.number.holds is not None else low < one.number.evidence.mean < high)
    return Decision.REPRODUCED if all(inside) else Decision.CONTRADICTED


def needed(found: Sequence[Found]) -> int | None:
    """How many replicates would show all statements with a power of 80 %, by the spread that is seen."""
    numbers = [(one, one.number.evidence) for one in found if one.number.holds is None]
    if not numbers or not all(evidence.error > 0 for _, evidence in numbers):
        return None
    counts = [statement(one).seeds(own.error * math.sqrt(own.n), own.mean) for one, own in numbers]
    most = max((count for count in counts if count is not None), default=0)
    return most if None not in counts and most > min(own.n for _, own in numbers) else None


def described(asked: spec.Statement) -> str:
    """A statement's test in words: "difference above 0, smallest effect that matters 0.01"."""
    if asked.judge == "exact":
        return "exact: holds or does not, without a test"
    if asked.between:
        low, high = (f"{bound:g}" for bound in asked.between)
        region = f"between {low} and {high}" if low != high else f"equal to {low}"
        return f"{asked.judge} {region}, margin {asked.margin:g}"
    region = f"above {asked.above:g}" if asked.above is not None else f"below {asked.below:g}"
    return f"{asked.judge} {region}" + (f", smallest effect that matters {asked.margin:g}" if asked.margin else "")
