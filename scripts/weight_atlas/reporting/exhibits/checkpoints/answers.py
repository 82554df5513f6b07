"""The answers on two starts at checkpoints: how they end, how they change, and whether they become alike."""

import math
from typing import Any

import numpy as np

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints import checkpoints, correlations, invariants, schedules
from weight_atlas.reporting.exhibits.checkpoints.correlations import MATCHINGS, place
from weight_atlas.reporting.exhibits.design.grid import amount
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, signed

Numbers = dict[str, Any]  # what an answer says, and of what

# quantity of a model at the end -> words
ENDS = {
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "epochs": "epochs",
    "seconds": "wall time in seconds",
}


def labels(tables: Tables) -> dict[str, str]:
    """cell_id -> its label."""
    return dict(zip(tables.cells["cell_id"], tables.cells["label"], strict=True))


def better(tables: Tables) -> list[Numbers]:
    """One dict a family and quantity of ENDS: the means of both models, and the difference, paired by seed."""
    found, name = [], labels(tables)
    ends = schedules.totals(tables)
    for preload, custom, family in schedules.two(tables):
        for quantity in ENDS:
            row = schedules.difference(tables, custom, preload, quantity)
            means = {
                side: float(ends.loc[ends["cell_id"] == cell, quantity].mean())
                for side, cell in (("preload", preload), ("custom", custom))
            }
            where = {"dataset": family.dataset, "network": family.network, "quantity": quantity}
            names = {"preload_name": name[preload], "custom_name": name[custom]}
            found.append({**where, **names, **means, **row})
    if not found:
        raise NothingToShow("no data set and network has a model of trained and one of drawn weights.")
    return found


def starts(tables: Tables) -> list[str]:
    """Accuracy first, then what it took."""
    found = better(tables)
    texts = []
    for item in found:
        if item["quantity"] == "test_accuracy":
            texts.append(
                f"On {item['dataset']}, {item['network']} from trained weights ({item['preload_name']}) ends with a "
                f"test accuracy of {style.percent(item['preload'])}, from scratch ({item['custom_name']}) with "
                f"{style.percent(item['custom'])}: a difference of {amount(item)} over "
                f"{plural(int(item['n']), 'seed')}, which is {verdict(item)}."
            )
    words = []
    for item in found:
        if item["quantity"] != "test_accuracy":
            sides = [item["preload"], item["custom"]]
            sides = [style.number(x, 3) if item["quantity"] == "test_loss" else f"{x:,.0f}" for x in sides]
            words.append(f"{ENDS[item['quantity']]} {' and '.join(sides)}")
    return [*texts, f"Beside that ({found[0]['preload_name']} and {found[0]['custom_name']}): {'; '.join(words)}."]


def verdict(item: Numbers) -> str:
    """Whether an interval of a difference leaves out 0, in words."""
    if not np.isfinite(item["low"]):
        return "one run each and no test"
    return "clear" if item["low"] > 0 or item["high"] < 0 else "not clear: the interval holds 0"


def transformed(tables: Tables) -> list[Numbers]:
    """One dict a model and kind (weights, biases): standard deviation at the first and last checkpoint, the median over
    layers of their ratio, and the layer of the largest change."""
    found = checkpoints.at_checkpoints(tables, "statistics")
    found = found[found["parameter"].isin(["weight", "bias"])]
    means = found.groupby(["cell_id", "parameter", "layer", "checkpoint"], sort=False)["std"].mean().reset_index()
    numbers, name = [], labels(tables)
    for (cell, parameter), own in means.groupby(["cell_id", "parameter"], sort=False):
        ends = own.groupby("layer", sort=False)["std"].agg(["first", "last"])
        moved = ends[ends["first"] > 0]
        ratio = moved["last"] / moved["first"]
        numbers.append(
            {
                "model": name[str(cell)],
                "parameter": parameter,
                "layers": len(ends),
                "ratio": float(ratio.median()) if len(ratio) else None,
                "most": ratio.idxmax() if len(ratio) else None,
                "most_ratio": float(ratio.max()) if len(ratio) else None,
                "grew": int((ends["last"] > ends["first"]).sum()),
                "last": float(ends["last"].median()),
            }
        )
    return numbers


def spread(tables: Tables) -> list[str]:
    """A sentence a model."""
    found = transformed(tables)
    texts = []
    for model in dict.fromkeys(item["model"] for item in found):
        own = {item["parameter"]: item for item in found if item["model"] == model}
        parts = []
        for parameter, noun in correlations.NOUNS.items():
            item = own.get(parameter)
            if item:
                grown = f"the standard deviation of the {noun} grows in {item['grew']} of {item['layers']} layers"
                if item["ratio"]:
                    grown += f", by a factor of {style.number(item['ratio'], 3)} in the median"
                    grown += f" and {style.number(item['most_ratio'], 3)} at most ({item['most']})"
                parts.append(grown)
        texts.append(f"From the first checkpoint to the last, with {model}, {' and '.join(parts)}.")
    return texts


def alike(tables: Tables) -> list[Numbers]:
    """One dict a pair of models: numbers of tests and of clear ones, the largest |r| of weights and of biases."""
    found = []
    for own, words, _ in correlations.pairs(tables, correlations.likeness(tables, "raw")):
        tested = own[own["q"].notna()]
        counts = {"tests": len(tested), "clear": int(tested["clear"].sum()), "undefined": int((own["n"] == 0).sum())}
        null = int(own["null_n"].max())
        found.append(
            {
                "models": words,
                "pairs": int(own["n"].max()),
                "null": null,
                **counts,
                "largest": correlations.largest(own),
            }
        )
    return found


def likeness(tables: Tables) -> list[str]:
    """Whether anything differs from independent runs, and the largest r with its N."""
    found = alike(tables)
    texts = []
    for item in found:
        if item["tests"]:
            texts.append(
                f"At the same checkpoint, {item['clear'] or 'none'} of {item['tests']} correlations of weights and "
                f"biases of {item['models']} differ from those of independent runs, after correction for all tests "
                f"({item['pairs']} pairs against {item['null']}); {item['undefined']} are undefined."
            )
        else:
            texts.append(f"The correlations of {item['models']} cannot be tested: there are too few pairs of runs.")
        words = []
        for parameter, row in item["largest"].items():
            alone = stats.significant_correlation(row["size"])
            noun = correlations.NOUNS[parameter]
            beside = f"; independent runs have {signed(row['null_mean'])}" if np.isfinite(row["null_mean"]) else ""
            words.append(
                f"The largest correlation of {noun} is {place(row)}, where {style.number(alone, 2)} would "
                f"be significant alone{beside}."
            )
        texts += words
    return texts


def stayed(tables: Tables) -> list[Numbers]:
    """One dict a model and part (taken over, drawn): median rotation in degrees and share changed, from the first
    checkpoint to the last, of its layers' weights; and which layer turned most and least."""
    steps = checkpoints.steps(tables)
    there, name = checkpoints.points(tables), labels(tables)
    start = invariants.first_statistics(tables)
    which = checkpoints.models(tables)
    found = []
    cell: Any
    for cell, own in steps[steps["parameter"] == "weight"].groupby("cell_id", sort=False):
        names = list(dict.fromkeys(there.loc[there["cell_id"] == cell, "checkpoint"]))
        own = own[(own["checkpoint_a"] == names[0]) & (own["checkpoint_b"] == names[-1])]
        values = own.pivot(index="layer", columns="quantity", values="mean")
        values = values.loc[list(dict.fromkeys(own["layer"]))]
        drawn = list(values.index)
        if which[cell] == checkpoints.PRELOAD:
            drawn = invariants.fresh(tables, cell, start[start["cell_id"] == cell])
        for part, layers in (("taken over", [x for x in values.index if x not in drawn]), ("drawn", drawn)):
            part_values = values.loc[[x for x in layers if x in values.index]]
            if len(part_values) and part_values["angle"].notna().any():
                found.append(
                    {
                        "model": name[cell],
                        "part": part,
                        "layers": len(part_values),
                        "angle": float(part_values["angle"].median()),
                        "changed": float(part_values["changed"].median()),
                        "most": part_values["angle"].idxmax(),
                        "most_angle": float(part_values["angle"].max()),
                        "least": part_values["angle"].idxmin(),
                        "least_angle": float(part_values["angle"].min()),
                    }
                )
    return found


def rotation(tables: Tables) -> list[str]:
    """The rotation of each part, then the exact invariants."""
    found = stayed(tables)
    texts = [
        f"From the first checkpoint to the last, the {item['layers']} layers of {item['model']} that are "
        f"{item['part']} turn by {style.number(item['angle'], 3)}° (median; {style.number(item['least_angle'], 2)}° in "
        f"{item['least']} to {style.number(item['most_angle'], 3)}° in {item['most']}), and "
        f"{style.number(item['changed'], 3)} % of their values change."
        for item in found
    ]
    checked = invariants.checked(tables)
    frozen = checked[checked["statement"].str.contains("frozen")]
    row: Any
    for row in frozen.itertuples():
        change = "not one value changes" if row.holds == "yes" else f"{row.tensors - row.exact} tensors change"
        still = f"{row.statement.partition(':')[0]}, while they are frozen"
        texts.append(f"In the {row.tensors} frozen tensors of {row.model} {change} from {still}.")
    broken = checked[checked["holds"] != "yes"]
    if len(broken):
        texts.append(f"Of what must hold exactly, {plural(len(broken), 'statement')} of {len(checked)} do not.")
    return texts


def significance(tables: Tables) -> list[str]:
    """Why N decides, with this study's own numbers of values."""
    rows = [row for item in alike(tables) for row in item["largest"].values()]
    if not rows:
        return []
    sizes = sorted({row["size"] for row in rows})
    words = [f"{style.number(stats.significant_correlation(size), 2)} with {size:,} values" for size in sizes]
    full = stats.significant_correlation(2_359_296)
    return [
        f"Alone, |r| counts as significant from {' and from '.join(words)}; with the 2,359,296 of a layer of the full "
        f"VGG22 from {style.number(full, 2)}. So r is judged here against runs that share nothing but the data, and "
        "corrected for all tests: one in twenty of some hundred would otherwise pass by chance."
    ]


def matching(tables: Tables) -> list[str]:
    """What matching the channels changes, beside the null."""
    frame = correlations.likeness(tables)
    frame = frame[(frame["coefficient"] == "pearson") & (frame["parameter"] == "weight")]
    texts = []
    for own, words, _ in correlations.pairs(tables, frame):
        last = own[own["checkpoint"] == own["checkpoint"].iloc[-1]]
        means = last.groupby("matching", sort=False)[["mean", "null_mean"]].mean()
        if means["null_mean"].isna().all():
            continue
        parts = [
            f"{MATCHINGS[kind]} {signed(row['mean'])} and {signed(row['null_mean'])}" for kind, row in means.iterrows()
        ]
        clear = int(own.loc[own["matching"] != "raw", "clear"].sum())
        texts.append(
            f"Two networks may have learnt the same in another order of their channels. The mean r of the weights of "
            f"{words} at {last['checkpoint'].iloc[0]}, and of independent runs, is {'; '.join(parts)}: matching raises "
            f"both alike, and after it {clear or 'none'} of the layers and checkpoints differ from the null."
            if not clear
            else f"The mean r of the weights of {words} at {last['checkpoint'].iloc[0]}, and of independent runs, is "
            f"{'; '.join(parts)}; after matching {clear} of the layers and checkpoints differ from the null."
        )
    return texts


def seeds(tables: Tables) -> list[str]:
    """What a shared seed makes alike: the same draws, scaled."""
    found = checkpoints.shown(tables, "correlations")
    own = found[(found["comparison"] == "twins") & (found["parameter"] == "weight") & found["pearson"].notna()]
    first = own[(own["epoch_a"] == 0) & (own["epoch_b"] == 0)]
    same = first[first["pearson"] > 0.99].drop_duplicates("layer")
    if same.empty:
        return []
    ends = own[own["layer"].isin(same["layer"]) & (own["epoch_a"] == own["epoch_a"].max())]
    layers = len(first.drop_duplicates("layer"))
    return [
        f"Two models of one seed are no test: {len(same)} of {layers} layers begin with the same draws, scaled (r "
        f"above 0.99), and at the last checkpoint these still have a mean r of {signed(ends['pearson'].mean())}. Every "
        "pair here takes different seeds."
    ]


def against_document(tables: Tables) -> list[str]:
    """The document's two accuracies beside the workflow's."""
    theirs = [schedules.document_total(tables, model, "test_accuracy") for model in ("preload", "custom")]
    own = [item for item in better(tables) if item["quantity"] == "test_accuracy"]
    if not own or not np.isfinite(theirs).all():
        return []
    images = round(5000 * theirs[0]), round(5000 * theirs[1])
    error = math.hypot(*(stats.share_error(share, 5000) for share in theirs))
    reach = stats.normal_quantile(0.975) * error * 100
    return [
        f"The document reports {style.percent(theirs[0], 2)} and {style.percent(theirs[1], 2)} ({images[0]:,} and "
        f"{images[1]:,} of 5,000 test images), one run each: a difference of {(theirs[0] - theirs[1]) * 100:.2f} "
        f"points, ± {reach:.2f} for the images alone, and nothing is known of the seeds."
    ]


def conclusion(tables: Tables) -> list[str]:
    """One sentence a question."""
    texts = []
    for item in better(tables):
        if item["quantity"] == "test_accuracy":
            way = "clearly higher" if item["low"] > 0 else "clearly lower" if item["high"] < 0 else ""
            way = way or "neither clearly higher nor clearly lower"
            texts.append(f"On {item['dataset']}, trained weights end {way} than drawn ones.")
    for item in alike(tables):
        if item["tests"]:
            texts.append(
                f"The weights and biases of {item['models']} are "
                + (
                    "no more alike than"
                    if not item["clear"]
                    else f"in {item['clear']} of {item['tests']} tests not as alike as"
                )
                + " those of any two independent runs."
            )
    return texts


def turned(tables: Tables) -> list[str]:
    """The rotation of the layers that a model takes over, beside that of its drawn ones."""
    own = {(item["model"], item["part"]): item for item in stayed(tables)}
    return [
        f"In {model} the layers that are taken over turn by {style.number(item['angle'], 3)}°, those that are drawn by "
        f"{style.number(own[model, 'drawn']['angle'], 3)}° (medians)."
        for (model, part), item in own.items()
        if part == "taken over" and (model, "drawn") in own
    ]
