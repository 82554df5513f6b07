"""The answers on two starts at checkpoints: how they end, how they change, and whether they become alike."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints import checkpoints, correlations, invariants, schedules
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import Family
from weight_atlas.reporting.exhibits.checkpoints.correlations import MATCHINGS, place
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.weights import statistics
from weight_atlas.reporting.exhibits.weights.unchanged import listed
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.answers import MARGIN, Answer, Verdict, is_clear, number, weighed
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import fixed, plural, signed, whole

NAMED = 12  # layers that a sentence names one by one
# quantity of a model at the end -> words, decimals, unit
ENDS = {
    "test_loss": ("test loss", 3, ""),
    "epochs": ("epochs", 0, ""),
    "seconds": ("wall time", 0, " s"),
}
BETTER = {
    Verdict.YES: "Trained weights clearly end higher than drawn ones.",
    Verdict.PARTLY: "Trained weights clearly end higher than drawn ones, by less than one point.",
    Verdict.NO: "Trained weights do not end a point higher than drawn ones.",
    Verdict.UNDECIDED: "Whether trained weights end higher than drawn ones is not decided.",
}


def labels(tables: Tables) -> dict[str, str]:
    """cell_id -> its label."""
    return dict(zip(tables.cells["cell_id"], tables.cells["label"], strict=True))


def better(tables: Tables) -> list[tuple[Family, str, str, grid.Row]]:
    """(family, its model of trained weights, that of drawn ones, the difference of their test accuracies with q)."""
    pairs = [(family, preload, custom) for preload, custom, family in schedules.two(tables)]
    if not pairs:
        raise NothingToShow("no data set and network has a model of trained and one of drawn weights.")
    rows = [schedules.difference(tables, custom, preload, "test_accuracy") for _, preload, custom in pairs]
    return [(*pair, row) for pair, row in zip(pairs, grid.corrected(rows), strict=True)]


def starts(tables: Tables) -> list[Answer]:
    """Whether trained weights end at a higher accuracy; then what it took."""
    ends, name, made = schedules.totals(tables), labels(tables), []
    for family, preload, custom, row in better(tables):
        sides = [
            grid.share(grid.interval(ends.loc[ends["cell_id"] == cell, "test_accuracy"])) for cell in (preload, custom)
        ]
        text = (
            f"From trained weights ({name[preload]}) test accuracy ends at {sides[0]}, from scratch ({name[custom]}) "
            f"at {sides[1]}: a difference of {grid.amount(row)}."
        )
        verdict = weighed([row], MARGIN, 1)
        numbers = (number(f"{name[preload]} less {name[custom]}", row, grid.amount(row)),)
        where = f"{family.network} on {family.dataset}"
        made.append(Answer(text, verdict, where, numbers, *grid.certainty([row], verdict)))
    return [*made, *(_took(tables, *one[:3]) for one in better(tables))]


def _took(tables: Tables, family: Family, preload: str, custom: str) -> Answer:
    """The differences of a pair of models in loss, epochs and time."""
    parts, numbers = [], []
    for quantity, (words, decimals, unit) in ENDS.items():
        row = schedules.difference(tables, custom, preload, quantity)
        text = f"{signed(row['mean'], decimals)}{unit}"
        if math.isfinite(row["low"]):
            text += f" [{fixed(row['low'], decimals)}, {fixed(row['high'], decimals)}]"
        elif row["n"] > 1:
            text += f" (all {row['n']} seeds equal)"
        numbers.append(number(words, row, text))
        parts.append(f"{words} {text}")
    name = labels(tables)
    text = f"Other differences, {name[preload]} less {name[custom]} on {family.dataset}: {'; '.join(parts)}."
    return Answer(text, numbers=tuple(numbers), sure=f"95 % intervals, n = {whole(one.n for one in numbers)}")


def spread(tables: Tables) -> list[Answer]:
    """How the spread of weights and biases changes from the first checkpoint to the last, model by model."""
    found = checkpoints.at_checkpoints(tables, "statistics")
    found = found[found["parameter"].isin(list(correlations.NOUNS))].assign(model=found["cell_id"].map(labels(tables)))
    epochs = found.groupby(["cell_id", "seed"])["epoch"]
    first, end = (found[found["epoch"] == epochs.transform(which)] for which in ("min", "max"))
    rows = statistics.growth(first, end, ["model", "parameter", "layer"])
    made = []
    for model, own in rows.groupby("model", sort=False):
        sure = f"q < {grid.LEVEL}, corrected for all layers, n = {whole(own['n'])}"
        for parameter, noun in correlations.NOUNS.items():
            if len(part := own[own["parameter"] == parameter]):
                text, one = statistics.growing(part)
                words = f"from the first checkpoint to the last the standard deviation of the {noun} {text}."
                made.append(Answer(words, None, str(model), (one,), sure))
    return made


def above(tables: Tables) -> dict[tuple[str, str], list[str]]:
    """(preload cell_id, "weight" or "bias") -> the layers in which mean (its magnitude), standard deviation and range
    of the model of trained weights are all above those of the other one, in each seed at each checkpoint."""
    found = checkpoints.at_checkpoints(tables, "statistics")
    found = found.assign(mean=found["mean"].abs())
    keys, made = ["seed", "checkpoint", "layer", "parameter"], {}
    for preload, custom, _ in schedules.two(tables):
        one, other = (found[found["cell_id"] == cell] for cell in (preload, custom))
        both = one.merge(other, on=keys, suffixes=("", "_other"))
        larger = [both[name] > both[f"{name}_other"] for name in statistics.MEASURES]
        both = both.assign(holds=np.logical_and.reduce(larger))
        holds = both.groupby(["parameter", "layer"], sort=False)["holds"].all()
        for parameter in correlations.NOUNS:
            made[preload, parameter] = [layer for kind, layer in holds[holds].index if kind == parameter]
    return made


def higher(tables: Tables) -> list[Answer]:
    """For weights and for biases the layers in which trained weights have larger statistics throughout."""
    found, name, made = above(tables), labels(tables), []
    for preload, custom, family in schedules.two(tables):
        for parameter, noun in correlations.NOUNS.items():
            layers = found[preload, parameter]
            where = f"in {plural(len(layers), 'layer')} ({listed(layers, NAMED)})" if layers else "in no layer"
            text = (
                f"At every checkpoint, in every seed, the {noun} of {name[preload]} have a larger mean (in magnitude), "
                f"standard deviation and range than those of {name[custom]} {where} ({family.where})."
            )
            made.append(Answer(text))
    return made


def largest(tables: Tables) -> list[Answer]:
    """The largest correlation of weights and of biases of each pair of models, beside what would count alone."""
    made = []
    for own, words, _ in correlations.pairs(tables, correlations.likeness(tables, "raw")):
        for parameter, row in correlations.largest(own).items():
            alone = stats.significant_correlation(row["size"])
            beside = f"; independent runs have {signed(row['null_mean'])}" if np.isfinite(row["null_mean"]) else ""
            text = (
                f"The largest correlation of {correlations.NOUNS[parameter]} of {words} is {place(row)}, where "
                f"{style.number(alone, 2)} would be significant alone{beside}."
            )
            sure = f"95 % interval, {row['n']} pairs; the largest of {int(own['mean'].notna().sum())}"
            made.append(Answer(text, numbers=(number(f"largest r, {words}", row, place(row)),), sure=sure))
    return made


class Turned(NamedTuple):
    """Layers of a model, taken over or drawn: the median rotation in degrees and the median share of values changed in
    percent, each by seed; how many layers; the layers that turn most and least, with their mean angles."""

    model: str
    part: str
    angle: grid.Row
    changed: grid.Row
    layers: int
    most: tuple[str, float]
    least: tuple[str, float]


def stayed(tables: Tables) -> list[Turned]:
    """How far the weights of each model's layers turn from the first checkpoint to the last."""
    turns = checkpoints.turns(tables)
    there, name = checkpoints.points(tables), labels(tables)
    start, which = invariants.first_statistics(tables), checkpoints.models(tables)
    found = []
    cell: Any
    for cell, own in turns[turns["parameter"] == "weight"].groupby("cell_id", sort=False):
        names = list(dict.fromkeys(there.loc[there["cell_id"] == cell, "checkpoint"]))
        own = own[(own["checkpoint_a"] == names[0]) & (own["checkpoint_b"] == names[-1])]
        drawn = set(own["layer"])
        if which[cell] == checkpoints.PRELOAD:
            drawn = set(invariants.fresh(tables, cell, start[start["cell_id"] == cell]))
        for part, rows in (("taken over", own[~own["layer"].isin(drawn)]), ("drawn", own[own["layer"].isin(drawn)])):
            by_layer = rows[rows["quantity"] == "angle"].groupby("layer", sort=False)["value"].mean()
            if by_layer.notna().any():
                medians = rows.groupby(["quantity", "seed_a"])["value"].median()
                angle, changed = (grid.interval(medians[quantity]) for quantity in ("angle", "changed"))
                ends = [(str(at), float(by_layer[at])) for at in (by_layer.idxmax(), by_layer.idxmin())]
                found.append(Turned(name[cell], part, angle, changed, len(by_layer), ends[0], ends[1]))
    return found


def degrees(row: grid.Row, unit: str = "°") -> str:
    """ "3.06° [2.90, 3.22]" of a row."""
    text = f"{style.number(row['mean'], 3)}{unit}"
    if not math.isfinite(row["low"]):
        return text
    high = min(row["high"], 100.0) if unit == " %" else row["high"]
    return f"{text} [{style.number(max(row['low'], 0.0), 3)}, {style.number(high, 3)}]"


def rotation(tables: Tables) -> list[Answer]:
    """The rotation of each part, then the exact invariants."""
    made = []
    for one in stayed(tables):
        text = (
            f"the {one.layers} layers {one.part} turn by {degrees(one.angle)} from the first checkpoint to the last "
            f"(median; least {one.least[0]}, most {one.most[0]}), and {degrees(one.changed, ' %')} of their values "
            "change."
        )
        rows = (("median rotation", one.angle, "°"), ("values changed", one.changed, " %"))
        numbers = tuple(
            number(f"{words}, {one.model}, {one.part}", row, degrees(row, unit)) for words, row, unit in rows
        )
        made.append(Answer(text, None, one.model, numbers, f"95 % intervals over seeds, {grid.seeds([one.angle])}"))
    return [*made, *_exact(invariants.checked(tables))]


def _exact(checked: pd.DataFrame) -> list[Answer]:
    """What must hold exactly: frozen tensors, and how many statements do not hold."""
    made = []
    row: Any
    for row in checked[checked["statement"].str.contains("frozen")].itertuples():
        change = "not one value changes" if row.holds == "yes" else f"{row.tensors - row.exact} tensors change"
        still = f"{row.statement.partition(':')[0]}, while they are frozen"
        made.append(Answer(f"In the {row.tensors} frozen tensors of {row.model} {change} from {still}.", sure="exact"))
    broken = checked[checked["holds"] != "yes"]
    if len(broken):
        text = f"Of what must hold exactly, {plural(len(broken), 'statement')} of {len(checked)} do not."
        made.append(Answer(text, sure="exact"))
    return made


def significance(tables: Tables) -> list[Answer]:
    """Why N decides, with this study's own numbers of values."""
    pairs = correlations.pairs(tables, correlations.likeness(tables, "raw"))
    sizes = sorted({row["size"] for own, *_ in pairs for row in correlations.largest(own).values()})
    if not sizes:
        return []
    words = [f"{style.number(stats.significant_correlation(size), 2)} with {size:,} values" for size in sizes]
    full = stats.significant_correlation(2_359_296)
    text = (
        f"Alone, |r| counts as significant from {' and from '.join(words)}; with the 2,359,296 of a layer of the full "
        f"VGG22 from {style.number(full, 2)}. So r is judged here against runs that share nothing but the data, and "
        "corrected for all tests: one in twenty of some hundred would otherwise pass by chance."
    )
    return [Answer(text)]


def matching(tables: Tables) -> list[Answer]:
    """What matching the channels changes, beside the null."""
    frame = correlations.likeness(tables)
    frame = frame[(frame["coefficient"] == "pearson") & (frame["parameter"] == "weight")]
    made = []
    for own, words, _ in correlations.pairs(tables, frame):
        last = own[own["checkpoint"] == own["checkpoint"].iloc[-1]]
        means = last.groupby("matching", sort=False)[["mean", "null_mean"]].mean()
        if means["null_mean"].isna().all():
            continue
        parts = [
            f"{MATCHINGS[kind]} {signed(row['mean'])} and {signed(row['null_mean'])}" for kind, row in means.iterrows()
        ]
        tested = own[(own["matching"] != "raw") & own["q"].notna()]
        counts = f"{int(tested['clear'].sum()) or 'none'} of {plural(len(tested), 'correlation')}"
        text = (
            "Two networks may have learnt the same in another order of their channels. The mean r of the weights of "
            f"{words} at {last['checkpoint'].iloc[0]}, and of independent runs, is {'; '.join(parts)}. After matching "
            f"{counts} differ clearly from those of independent runs."
        )
        sure = f"means over {plural(last['layer'].nunique(), 'layer')}, {whole(last['n'])} pairs; q < {grid.LEVEL}"
        made.append(Answer(text, sure=sure))
    return made


def seeds(tables: Tables) -> list[Answer]:
    """What a shared seed makes alike: the same draws, scaled."""
    found = checkpoints.shown(tables, "correlations")
    own = found[(found["comparison"] == "twins") & (found["parameter"] == "weight") & found["pearson"].notna()]
    first = own[(own["epoch_a"] == 0) & (own["epoch_b"] == 0)]
    same = first[first["pearson"] > 0.99].drop_duplicates("layer")
    if same.empty:
        return []
    ends = own[own["layer"].isin(same["layer"]) & (own["epoch_a"] == own["epoch_a"].max())]
    row, layers = grid.interval(ends.groupby("seed_a")["pearson"].mean()), len(first.drop_duplicates("layer"))
    told = signed(row["mean"])
    if math.isfinite(row["low"]):
        told += f" [{fixed(row['low'], 3)}, {fixed(row['high'], 3)}]"
    text = (
        f"Two models of one seed are no test: {len(same)} of {layers} layers begin with the same draws, scaled (r "
        f"above 0.99), and at the last checkpoint these still have a mean r of {told}. Every pair here takes different "
        "seeds."
    )
    return [
        Answer(text, numbers=(number("mean r of one seed", row, told),), sure=f"95 % interval, {grid.seeds([row])}")
    ]


def against_document(tables: Tables) -> list[Answer]:
    """The document's two accuracies, which stand beside the workflow's."""
    theirs = [schedules.document_total(tables, model, "test_accuracy") for model in ("preload", "custom")]
    if not better(tables) or not np.isfinite(theirs).all():
        return []
    images = round(5000 * theirs[0]), round(5000 * theirs[1])
    error = math.hypot(*(stats.share_error(share, 5000) for share in theirs))
    reach = stats.normal_quantile(0.975) * error * 100
    text = (
        f"The report has {style.percent(theirs[0], 2)} and {style.percent(theirs[1], 2)} ({images[0]:,} and "
        f"{images[1]:,} of 5,000 test images), one run each: a difference of {(theirs[0] - theirs[1]) * 100:.2f} "
        f"points, ± {reach:.2f} for the images alone, and nothing is known of the seeds."
    )
    return [Answer(text)]


def conclusion(tables: Tables) -> list[Answer]:
    """Whether trained weights end higher, by data set."""
    made = []
    for family, *_, row in better(tables):
        verdict = weighed([row], MARGIN, 1)
        lower = "Trained weights clearly end lower than drawn ones." if is_clear(row, -1) else BETTER[verdict]
        made.append(Answer(lower, verdict, family.dataset, sure=grid.certainty([row], verdict)[0]))
    return made


def turned(tables: Tables) -> list[Answer]:
    """The rotation of the layers that a model takes over, beside that of its drawn ones."""
    own = {(one.model, one.part): one.angle for one in stayed(tables)}
    return [
        Answer(
            f"In {model} the layers taken over turn by {degrees(row)}, the drawn ones by "
            f"{degrees(own[model, 'drawn'])} (medians).",
            sure=f"95 % intervals over seeds, {grid.seeds([row])}",
        )
        for (model, part), row in own.items()
        if part == "taken over" and (model, "drawn") in own
    ]
