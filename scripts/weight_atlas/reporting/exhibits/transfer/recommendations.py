"""How many layers to copy for a target: what recommendations.csv says, in numbers and in a sentence."""

import math
from typing import Any

import pandas as pd

from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number, seeds_needed, settle
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, points, signed, three, whole

PLACE = ["network", "init", "optimizer", "base", "target", "mode"]  # of transfers whose settings are alternatives


def table(tables: Tables) -> list[Exhibit]:
    """The recommendation of every transfer from another task, with what it saves and how sure it is."""
    found = transfers.read(tables, "recommendations")
    many = found["network"].nunique() > 1
    rows = [({"network": row.network} if many else {}) | _numbers(tables, row) for row in transfers.rows(found)]
    made = pd.DataFrame(rows)
    columns = [name for name in made if (made[name] != "").any()]
    caption = (
        "The deepest n whose accuracy is shown not to lie more than the margin below that of the target's base: the "
        f"upper end of the 90 % interval of the drop is below {margin(found['margin'].iloc[0])} ({_origin(found)}). "
        "Not excluded: the deepest n whose interval is not wholly above it. Numbers are of the recommended n or, "
        f"without one, of the deepest that is not excluded (n = {whole(found['n'])} replicates). Parameters: those "
        "that learn, of all. Time: of the transfer and of the base from scratch, per replicate, without training the "
        "network that gives its layers. A tenth: what base and transfers recommend at the best validation epoch of the "
        "first tenth of their epochs. "
        + ("" if found["agreement"].isna().all() else "Agreement: resamples of replicates with the same n. ")
        + transfers.shortfall(tables)
    )
    alt = f"Table of {plural(len(made), 'transfer')}. {' '.join(one.statement for one in answer(tables))}"
    return [Exhibit("recommendation", "How many layers to copy", caption, alt, made, columns=columns)]


def _origin(found: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(" ".join(text.split()) for text in found["margin_origin"]))


def margin(share: float) -> str:
    """ "1 point", "0.5 points"."""
    return "1 point" if share == 0.01 else f"{share * 100:g} points"


def _numbers(tables: Tables, row: Any) -> dict[str, str]:
    """A row of the table."""
    early = _depth(row.early_verdict, row.early_recommended)
    return {
        "transfer": transfers.name(row),
        "setting": row.setting,
        "learning rate": f"{row.rate:g}",
        "copy": _depth(row.verdict, row.recommended),
        "not excluded": "none" if math.isnan(row.possible) else f"up to {row.possible:g} of {row.deepest}",
        "drop in points (90 %)": f"{points(row.drop)} {_interval(row)}".strip() + f" at n = {row.depth}",
        "parameters": f"{row.trained_parameters:,} of {row.parameters:,}",
        "time (s)": " of ".join(three(seconds) for seconds in times(tables, row)),
        "a tenth of the epochs": f"{early} ({plural(row.early_epochs, 'epoch')})",
        "agreement": "" if math.isnan(row.agreement) else style.percent(row.agreement),
        "chosen": "yes" if row.chosen else "",
    }


def _depth(verdict: str, depth: float) -> str:
    """ "6", "none", "undecided"."""
    return f"{depth:g}" if verdict == "recommended" else verdict


def _interval(row: Any) -> str:
    """ "[−0.2, 0.8]", the 90 % interval of a drop in points; empty where there is none."""
    if not math.isfinite(row.low90):
        return ""
    return f"[{', '.join(signed(end * 100, 1).removeprefix('+') for end in (row.low90, row.high90))}]"


def times(tables: Tables, row: Any) -> tuple[float, float]:
    """The mean wall time in seconds of a transfer at the n of a row, and of the target's base."""
    curves = transfers.read(tables, "curves")
    runs = tables.table("runs").set_index(["cell_id", "seed"])["wall_seconds"]
    own = transfers.of(curves, transfers.curve(row))
    own = own[own["depth"] == row.depth]
    base = curves[(curves["mode"] == BASE) & (curves["target"] == row.target)]
    base = transfers.of(base, [getattr(row, name) for name in CURVE[:3]], CURVE[:3])
    first, second = (runs.reindex(pd.MultiIndex.from_frame(side[["cell_id", "seed"]])).mean() for side in (own, base))
    return float(first), float(second)


def answer(tables: Tables) -> list[Answer]:
    """How many layers to copy from each base to each target; the console's last lines repeat it."""
    found = transfers.read(tables, "recommendations")
    many = found["network"].nunique() > 1
    several = found.groupby(PLACE)["rate"].transform("nunique") > 1
    chosen = found.assign(several=several)[found["chosen"]].drop_duplicates(PLACE)
    return [told(tables, row, row.network if many else "") for row in transfers.rows(chosen)]


def told(tables: Tables, row: Any, about: str = "") -> Answer:
    """The recommendation of one transfer: what to do, what it costs and saves, what less would have said; how sure."""
    of = f"the layers of {row.base} for {row.target}"
    drop = f"{points(row.drop)} points {_interval(row)}".strip()
    if row.verdict == "none":
        sentence = f"Copy none of {of}: {_kept(row)} any loses more than {margin(row.margin)}."
    elif row.verdict == "undecided":
        why = f"at n = {row.depth} the drop is {drop}" if math.isfinite(row.low90) else "there is no interval"
        sentence = f"Of {of}, {_kept(row)} them, no n is shown to lose less than {margin(row.margin)}: {why}."
    else:
        at = f" at a learning rate of {row.rate:g}" if row.several else ""
        seconds = " and ".join(three(value) for value in times(tables, row))
        sentence = (
            f"Copy {row.recommended:g} (at most {row.deepest}) of {of}, {_kept(row)} them{at}: the drop is {drop}. "
            f"{style.percent(row.trained_parameters / row.parameters)} of the parameters learn. Transfer and base take "
            f"{seconds} s."
        )
    early = f"A tenth of the epochs would have said: {_said(row.early_verdict, row.early_recommended)}."
    is_open = row.verdict == "undecided"
    seeds = seeds_needed([row._asdict() | {"mean": row.drop}], row.margin) if row.possible != row.recommended else 0
    return Answer(
        f"{sentence} {early}",
        Verdict.UNDECIDED if is_open else None,
        about,
        (
            number(
                f"drop at n = {row.depth}",
                row._asdict() | {"mean": row.drop, "low": row.low90, "high": row.high90},
                drop,
            ),
        ),
        f"90 % intervals, margin {margin(row.margin)}, n = {row.n}{_deeper(row)}",
        settle(seeds, "decide it"),
    )


def _deeper(row: Any) -> str:
    """How far beyond the recommended n the evidence does not exclude."""
    known = 0 if math.isnan(row.recommended) else row.recommended
    return f"; up to n = {row.possible:g} not excluded" if row.possible > known else ""


def _kept(row: Any) -> str:
    """What becomes of the copied layers."""
    return "freezing" if row.mode == "frozen" else "training"


def _said(verdict: str, depth: float) -> str:
    return {"recommended": f"copy {depth:g}", "none": "copy none", "undecided": "cannot say"}[verdict]
