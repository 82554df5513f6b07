"""A study's curves over n beside published ones, as drops below the base over relative depth: do they agree?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.plan.spec import PublishedCurve, Reference
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.curves import alike
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE, Family
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, points, signed, whole
from weight_atlas.stats import Decision, Evidence, MeanError, Statement

RELATIVE = "relative depth, n / (L − 1)"
DASHES = ("--", ":")
KINDS = {"own": "the target's own layers", "other": "another task's layers", "similar": "a similar task's layers",
         "different": "a different task's layers"}  # fmt: skip
VERDICTS = {Decision.REPRODUCED: Verdict.YES, Decision.CONTRADICTED: Verdict.NO, Decision.UNDECIDED: Verdict.UNDECIDED}
JUDGED = {Decision.REPRODUCED: "agrees", Decision.CONTRADICTED: "differs", Decision.UNDECIDED: "cannot say"}
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Published:
    """A published curve in its reference."""

    reference: Reference
    curve: PublishedCurve

    @property
    def means(self) -> list[MeanError]:
        """The base's accuracy and that at each depth, with their standard errors; NaN where none is given."""
        own, base = self.curve, self.curve.base
        spreads = own.sd or [np.nan] * len(own.depths)
        given = [(base.mean, base.sd, base.runs), *zip(own.mean, spreads, [own.runs] * len(own.depths), strict=True)]
        return [
            MeanError(runs or 1, mean, sd / np.sqrt(runs) if runs and sd is not None else np.nan)
            for mean, sd, runs in given
        ]

    @property
    def is_judged(self) -> bool:
        """Whether its spread over runs is published."""
        return all(np.isfinite(own.error) for own in self.means)

    @property
    def places(self) -> NDArray[np.float64]:
        """The relative depths of its points, after 0, where nothing is lost."""
        return np.array([0, *self.curve.depths]) / (self.reference.layers - 1)

    def drop(self, place: float) -> Weights:
        """What each of `means` counts in the drop at a relative depth, on a line between the nearest two points."""
        at = np.array([np.interp(place, self.places, one) for one in np.eye(len(self.places))])
        at[0] = -at[1:].sum()  # without a copied layer the curve is the base, and its drop is 0
        return -at

    def parts(self, weights: Weights) -> list[tuple[float, MeanError]]:
        """The weighted means that take part."""
        return [(float(weight), own) for weight, own in zip(weights, self.means, strict=True) if abs(weight) > 1e-12]

    def evidence(self, place: float) -> Evidence:
        """Of the drop at a relative depth."""
        return stats.combined(self.parts(self.drop(place)))


@dataclass(frozen=True)
class Beside:
    """A curve of the study beside a published one: its first row, its depths, their relative places, and the evidence
    of the drop here and of what it is more than the published one."""

    row: Any
    published: Published
    depths: list[int]
    places: list[float]
    here: list[Evidence]
    more: list[Evidence]
    cells: list[frozenset[str]]

    @property
    def statement(self) -> Statement:
        """That the drops are equal within the reference's margin."""
        return Statement(0.0, 0.0, self.published.reference.margin)

    def decisions(self) -> list[Decision]:
        """Depth by depth."""
        tests = [self.statement.tests(*one[1:]) for one in self.more]
        return [Decision(str(stats.decide([one.for_it], [one.against_it]))) for one in tests]

    def decision(self) -> Decision:
        """On the whole curve: it agrees where it does at every depth."""
        tests = [self.statement.tests(*one[1:]) for one in self.more]
        return Decision(str(stats.decide([one.for_it for one in tests], [one.against_it for one in tests])))


def published(tables: Tables) -> list[Published]:
    """All published curves that the study names; NothingToShow where it names none."""
    found = [Published(one, curve) for one in tables.references.values() for curve in one.curves]
    if not found:
        raise NothingToShow("neither the study nor its document names published curves.")
    return found


def kin(tables: Tables, main: list[str], row: Any) -> str:
    """Whose layers a curve takes: of the main tasks "own" or "other", of all others as the document says."""
    if row.target in main or row.mode == "random":
        return "own" if row.base == row.target or row.mode == "random" else "other"
    return alike(tables, row)


def beside(tables: Tables) -> list[Beside]:
    """Each curve of the study beside each published one of its kind, as far as their relative depths meet.

    Raises NothingToShow where there is none.
    """
    known = published(tables)
    found = transfers.shown(tables, "curves")
    main, copied = transfers.targets(found), found[(found["mode"] != BASE)]
    made = []
    for row, own in transfers.each(copied[copied["depth"] >= 1]):
        bases = found[(found["mode"] == BASE) & (found["target"] == row.target) & (found["network"] == row.network)]
        for one in known:
            if (one.curve.kin, one.curve.mode) == (kin(tables, main, row), row.mode) and len(bases):
                made.append(_beside(one, row, own, bases, len(transfers.layers(tables, row.network)) - 1))
    if not made:
        raise NothingToShow("no curve of a published one's kind has finished.")
    return made


def _beside(one: Published, row: Any, own: pd.DataFrame, bases: pd.DataFrame, most: int) -> Beside:
    """The numbers of `Beside`; most: the largest n of the network."""
    depths = [int(depth) for depth in sorted(set(own["depth"])) if depth / most <= one.places[-1] + 1e-9]
    places = [depth / most for depth in depths]
    parts = [_drop(row, own[own["depth"] == depth], bases) for depth in depths]
    less = [one.parts(-one.drop(place)) for place in places]
    cells = [frozenset({*own.loc[own["depth"] == depth, "cell_id"], *bases["cell_id"]}) for depth in depths]
    more = [_of_ours(stats.combined([*mine, *theirs]), mine) for mine, theirs in zip(parts, less, strict=True)]
    return Beside(row, one, depths, places, [stats.combined(mine) for mine in parts], more, cells)


def _of_ours(found: Evidence, parts: list[tuple[float, MeanError]]) -> Evidence:
    """The evidence with the number of the study's own replicates."""
    return found._replace(n=min(own.n for _, own in parts))


def _drop(row: Any, own: pd.DataFrame, bases: pd.DataFrame) -> list[tuple[float, MeanError]]:
    """The weighted means whose sum is the base's accuracy less a transfer's: paired by seed where the layers are the
    base's own, of independent means else."""
    if row.base == row.target and row.mode != "random":
        first, second = (side.set_index("seed")["accuracy"] for side in (bases, own))
        return [(1.0, stats.mean_error((first - second).dropna()))]
    return [(1.0, stats.mean_error(bases["accuracy"])), (-1.0, stats.mean_error(own["accuracy"]))]


# ------------------------------------------------------------------------------------------- exhibits


def curves(tables: Tables) -> list[Exhibit]:
    """The drop below the base over relative depth, here and as published, a panel for each kind of transfer."""
    known, found = published(tables), beside(tables.learnt())
    rows = pd.DataFrame([{name: getattr(one.row, name) for name in CURVE} for one in found])
    return [
        _curves(tables, family, known, [one for one in found if one.row.network == family.key[0]])
        for family in transfers.families(rows)
    ]


def _curves(tables: Tables, family: Family, known: list[Published], found: list[Beside]) -> Exhibit:
    every = list(dict.fromkeys((one.curve.kin, one.curve.mode) for one in known))
    here = {(one.published.curve.kin, one.published.curve.mode) for one in found if one.depths}
    kinds = [kind for kind in every if kind in here] or every
    data, across = pd.concat([_drawn(known), _ours(found)], ignore_index=True), min(3, len(kinds))
    lines = -(-len(kinds) // across)
    fig = style.figure(2.3 * lines + 0.8)
    grid = fig.subplots(lines, across, squeeze=False)
    for axes in grid.flat[len(kinds) :]:
        axes.set_axis_off()
    for axes, kind in zip(grid.flat, kinds, strict=False):
        own = data[(data["kin"] == kind[0]) & (data["mode"] == kind[1])]
        axes.axhline(0, **marks.ZERO)
        _theirs(axes, own[own["by"] != "here"])
        ours = list(own[own["by"] == "here"].groupby("curve", sort=False))
        colours = [style.PALETTE[kind[0] != "own"]] if len(ours) == 1 else style.colours(len(ours))
        for colour, (label, part) in zip(colours, ours, strict=True) if ours else ():
            marks.points(axes, part, "relative", scale=100, color=colour, label=str(label), linestyle="-")
        axes.set_title(_kind(*kind), fontsize=9.5)
        axes.set_xlim(0, 1.04)
    for axes in grid[:, 0]:
        axes.set_ylabel("points below the base", fontsize=9.5)
    for axes in grid[-1]:
        axes.set_xlabel(RELATIVE)
    marks.legend(fig, grid.flat, ncols=4)
    sources = "; ".join(dict.fromkeys(f"{one.reference.source}: {one.reference.network}, {one.reference.data}, "
                                      f"{one.reference.computed}" for one in known))  # fmt: skip
    words = " ".join(told(one).statement for one in found if one.published.is_judged)
    caption = (
        f"What transfers lose below the base of their target against the share of the layers that can be copied (of L "
        f"weight layers): here, coloured, and as published, black. {words} Published: {sources}. "
        f"{'Published curves that have none beside them here are in the CSV. ' if len(kinds) < len(every) else ''}"
        f"Vertical lines are 95 % intervals, over replicates and over published runs. {transfers.shortfall(tables)}"
    )
    return transfers.exhibit("reference-curves", "Beside published curves", caption,
                             f"Line charts. {words}", data, fig, family.words)  # fmt: skip


def _kind(kin: str, mode: str) -> str:
    """A panel's title."""
    return "untrained layers, frozen" if mode == "random" else f"{KINDS[kin]}, {mode}"


def _theirs(axes: Any, data: pd.DataFrame) -> None:
    """Published curves: black, dashed, each with a dash and a marker of its own."""
    for at, (label, part) in enumerate(data.groupby("curve", sort=False)):
        look: dict[str, Any] = {
            "color": style.INK,
            "linestyle": DASHES[at % len(DASHES)],
            "linewidth": 1.1,
            "markersize": 3,
        }
        marks.points(axes, part, "relative", scale=100, label=f"{label} (published)", **look)


def _drawn(known: list[Published]) -> pd.DataFrame:
    """The published drops, a row a point."""
    return pd.DataFrame(
        _point(one.reference.source, one.curve.name, one.curve, depth, place, one.curve.runs, one.evidence(place))
        for one in known
        for depth, place in zip(one.curve.depths, one.places[1:], strict=True)
    )


def _ours(found: list[Beside]) -> pd.DataFrame:
    """The drops here, a row a point; those of a curve beside several published ones once."""
    rows = {
        (transfers.name(one.row), depth): _point(
            "here", transfers.name(one.row), one.published.curve, depth, place, own.n, own
        )
        for one in found
        for depth, place, own in zip(one.depths, one.places, one.here, strict=True)
    }
    return pd.DataFrame(rows.values())


def _point(
    by: str, name: str, kind: PublishedCurve, depth: int, place: float, n: int | None, drop: Evidence
) -> dict[str, Any]:
    """A row of what the figure draws."""
    named = {"by": by, "curve": name, "kin": kind.kin, "mode": kind.mode, "depth": depth, "relative": place, "n": n}
    return named | {"mean": drop.mean, "low": drop.low, "high": drop.high}


def agreement_table(tables: Tables) -> list[Exhibit]:
    """The drops here and as published at one relative depth, what they differ by, and the decision."""
    found = judged(tables)
    many = len({one.row.network for one in found}) > 1
    rows = [row for one in found for row in _rows(one, many)]
    margins = dict.fromkeys(f"{one.published.reference.margin * 100:g} points ({_origin(one)})" for one in found)
    caption = (
        "Drops below the base, in points, here and as published at the same relative depth (on a line between the "
        "nearest two n), and what ours is more, with its 95 % interval from the spread of both. Drops agree where the "
        f"interval lies within ± {'; '.join(margins)}, and differ where it lies outside. "
        f"n = {whole(own.n for one in found for own in one.more)} replicates."
    )
    alt = f"Table of {plural(len(rows), 'comparison')}. {' '.join(told(one).statement for one in found)}"
    return [Exhibit("reference-agreement", "Agreement with published curves", caption, alt, pd.DataFrame(rows))]


def _origin(one: Beside) -> str:
    return " ".join(one.published.reference.origin.split())


def _rows(one: Beside, many: bool) -> Iterator[dict[str, str]]:
    """The rows of the table of one curve beside one."""
    every = zip(one.depths, one.places, one.here, one.more, one.decisions(), strict=True)
    for depth, place, here, more, decision in every:
        yield ({"network": one.row.network} if many else {}) | {
            "transfer": transfers.name(one.row),
            "n": str(depth),
            "relative depth": f"{place:.2f}",
            "drop": points(here.mean, 1),
            "published": f"{points(one.published.evidence(place).mean, 1)} ({one.published.curve.name})",
            "more than published": _interval(more),
            "decision": JUDGED[decision],
        }


def _interval(own: Evidence) -> str:
    """ "+1.2 [0.4, 2.0]" in points."""
    text = points(own.mean, 1)
    if np.isfinite(own.low):
        text += f" [{', '.join(signed(end * 100, 1).removeprefix('+') for end in (own.low, own.high))}]"
    return text


def numbers(tables: Tables) -> list[Exhibit]:
    """The published accuracies as they are printed, a row a curve."""
    rows = []
    for one in published(tables):
        own, base = one.curve, one.curve.base
        spreads: Sequence[float | None] = own.sd or [None] * len(own.depths)
        runs = f", {base.runs} runs" if base.runs else ""
        row = {"source": one.reference.source, "curve": own.name, "base": f"{_accuracy(base.mean, base.sd)}{runs}"}
        row |= {
            f"n = {depth}": _accuracy(mean, sd) for depth, mean, sd in zip(own.depths, own.mean, spreads, strict=True)
        }
        rows.append(row | {"runs": str(own.runs or ""), "note": own.note})
    about = dict.fromkeys(f"{one.reference.title or one.reference.source}: {one.reference.network}, "
                          f"{one.reference.data}, {one.reference.computed}" for one in published(tables))  # fmt: skip
    caption = f"Reference data, not results: accuracies and, in parentheses, standard deviations. {'; '.join(about)}."
    alt = f"Table of {plural(len(rows), 'published curve')}."
    frame = pd.DataFrame(rows).fillna("")
    return [Exhibit("reference-numbers", "Published curves in numbers", caption, alt, frame, behind="reference-curves")]


def _accuracy(mean: float, sd: float | None) -> str:
    return f"{mean:.4f}" + (f" ({sd:.4f})" if sd is not None else "")


# ------------------------------------------------------------------------------------------- answer


def judged(tables: Tables) -> list[Beside]:
    """The curves beside published ones whose spread is known, without replicates that never learnt."""
    found = [one for one in beside(tables.learnt()) if one.published.is_judged]
    if not found:
        raise NothingToShow("the spread of no published curve of this kind is known.")
    return found


def answer(tables: Tables) -> list[Answer]:
    """Whether the study's curves agree with the published ones, curve by curve."""
    found = judged(tables)
    many = len({one.row.network for one in found}) > 1
    return [replace(told(one), about=one.row.network if many else "") for one in found]


def told(one: Beside) -> Answer:
    """The decision on a curve: at the depth that speaks most, by its drop less the published one."""
    name, theirs = transfers.name(one.row), f"{one.published.curve.name} of {one.published.reference.source}"
    decision = one.decision()
    worst = _worst(one, decision)
    own, depth = one.more[worst], one.depths[worst]
    interval = f"{_interval(own)} points" if np.isfinite(own.low) else "there is no interval"
    if decision == Decision.CONTRADICTED:
        way = "more" if own.mean > 0 else "less"
        near, far = sorted(abs(end) * 100 for end in (own.low, own.high))
        text = (
            f"At n = {depth} {name} loses {abs(own.mean) * 100:.1f} points [{near:.1f}, {far:.1f}] {way} than {theirs}."
        )
    elif decision == Decision.REPRODUCED:
        text = f"{name} agrees with {theirs}: drops differ most at n = {depth}, by {interval}."
    else:
        text = f"Whether {name} agrees with {theirs} is not decided: at n = {depth}, {interval}."
    row = {"n": own.n, "mean": own.mean, "low": own.low, "high": own.high}
    numbers_ = (number(f"{name} less {theirs}, n = {depth}", row, _interval(own)),)
    sure = f"drops agree within ± {one.published.reference.margin * 100:g} points, n = {own.n}"
    return Answer(text, VERDICTS[decision], "", numbers_, sure)


def _worst(one: Beside, decision: Decision) -> int:
    """The place of the depth that speaks most: the clearest against an agreement, else that of the largest gap."""
    if decision == Decision.CONTRADICTED:
        return int(np.argmin([float(one.statement.tests(*own[1:]).against_it) for own in one.more]))
    return int(np.argmax([max(abs(own.mean), *np.nan_to_num(np.abs([own.low, own.high]))) for own in one.more]))
