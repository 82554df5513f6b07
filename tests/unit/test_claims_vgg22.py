"""The claims on two models at their checkpoints, each with results in which it is true, in which it is not, in which
nothing is clear, and in which its number comes from something else."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from test_reporting_vgg22 import DENSE, EPOCHS, LAYERS, STARTS, sample

from tests.unit import summaries, told
from tests.unit.cells import record
from tests.unit.claimed import check, check_toy, claim, fine, known
from tests.unit.tables import write_table
from weight_atlas import schema
from weight_atlas.analysis.weights import correlation_tests
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.settings import Settings

IMAGENET = {"kind": "weights", "weights_id": "imagenet", "layers": ["features"], "head": "fresh"}
MODELS = ("preload", "custom")
SERIES = list(itertools.product(LAYERS, ("weight", "bias"), ("mean", "std", "range")))
FRESH = ("norm", *DENSE)  # what the start of the preloaded model draws


def full(folder, **more):
    """Both models at the document's scale."""
    sample(folder, **({"dataset": "cifar10", "width": 1.0, "start": IMAGENET} | more))
    return folder


def edit(folder, name, change):
    path = folder / "tables" / f"{name}.csv"
    write_table(path, change(pd.read_csv(path)))
    summaries.write(folder / "tables")


def opened(folder):
    tables = Tables("vgg22", folder / "cells.csv", folder / "tables", folder / "measures")
    tables.document = told.reported("vgg22")
    tables.cards = fine({name: {"counts": {"train": [5000] * 10}} for name in ("cifar10", "digits")})
    return tables


def judged(folder, name):
    item = told.judged(opened(folder), "vgg22", ids=(name,))[name]
    json.dumps(item, allow_nan=False)
    return item


# --- what the models end with


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((0.03, 0.031, 0.029), "reproduced"),
        ((-0.03, -0.031, -0.029), "contradicted"),
        ((0.001, 0.002, 0.0), "contradicted"),  # less than a point
        ((0.05, -0.02, 0.03), "undecided"),
    ],
)
def test_a_start_from_other_weights_ends_better(tmp_path, gains, verdict):
    def change(rows):
        ends = rows["epoch"] == rows["cell_id"].map({f"base-{model}": own["CP4"] for model, own in EPOCHS.items()})
        gain = rows["seed"].map(dict(enumerate(gains))) * (rows["cell_id"] == "base-preload")
        rows.loc[ends, "test_accuracy"] = (0.8 + 0.01 * rows["seed"] + gain)[ends]
        return rows

    edit(full(tmp_path), "metrics", change)
    check(judged(tmp_path, "000-1"), claim("vgg22", "000-1"), [[list(gains)]], verdict)


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [
        (((0.08, 0.09, 0.07), (0.10, 0.11, 0.09)), "reproduced"),
        (((0.08, 0.09, 0.07), (-0.02, -0.03, -0.025)), "contradicted"),
        (((0.08, 0.09, 0.07), (0.001, 0.002, 0.0)), "contradicted"),  # less than a point
        (((0.08, 0.09, 0.07), (0.03, -0.02, 0.05)), "undecided"),
    ],
)
def test_both_models_overfit(tmp_path, gaps, verdict):
    def change(rows):
        ends = rows["epoch"] == rows["cell_id"].map({f"base-{model}": own["CP4"] for model, own in EPOCHS.items()})
        for model, own in zip(MODELS, gaps, strict=True):
            here = ends & (rows["cell_id"] == f"base-{model}")
            rows.loc[here, "train_accuracy"] = rows["test_accuracy"] + rows["seed"].map(dict(enumerate(own)))
        return rows

    edit(full(tmp_path), "metrics", change)
    check(judged(tmp_path, "000-8"), claim("vgg22", "000-8"), [list(map(list, gaps))], verdict)


# --- statistics at checkpoints


def statistics(folder, turning=((), ()), larger=(), wild=(), jump=(), seeds=3):
    """statistics.csv in which series grow by a hundredth from checkpoint to checkpoint.

    By seed: turning: the shares of both models' series that go back and forth; larger: of series in which drawn weights
    have the larger value; wild: of the preloaded model's series that grow by a half each time; jump: by what factor its
    drawn layers grow at first.
    """

    def at(shares, seed, place):
        return place < round(len(SERIES) * shares[seed]) if len(shares) else False

    rows = []
    for (which, model), seed in itertools.product(enumerate(MODELS), range(seeds)):
        for at_checkpoint, epoch in enumerate(EPOCHS[model].values()):
            for place, (layer, parameter, statistic) in enumerate(SERIES):
                growth = 1.5 if which == 0 and at(wild, seed, place) else 1.01
                value = growth**at_checkpoint
                if at(turning[which], seed, place) and at_checkpoint == 2:
                    value = 1.001
                if which == 0 and layer in FRESH and at_checkpoint and len(jump):
                    value *= jump[seed]
                if which == 1:
                    value *= 2 if at(larger, seed, place) else 0.3
                front = {"cell_id": f"base-{model}", "seed": seed, "epoch": epoch, "layer": layer}
                rows.append(front | {"parameter": parameter, "statistic": statistic, "value": value})
    wide = pd.DataFrame(rows).pivot(
        index=["cell_id", "seed", "epoch", "layer", "parameter"], columns="statistic", values="value"
    )

    def change(old):
        kept = old[~old["parameter"].isin(["weight", "bias"])]
        keys = list(wide.index.names)
        order = old[old["parameter"].isin(["weight", "bias"])].drop(columns=["mean", "std", "range"])
        return pd.concat([order.merge(wide.reset_index(), on=keys), kept])

    edit(folder, "statistics", change)


def counted(shares):
    """Shares of series, as whole series have them."""
    return np.round(len(SERIES) * np.array(shares)) / len(SERIES)


@pytest.mark.parametrize(
    ("turning", "verdict"),
    [
        (((0.02, 0.03, 0.01), (0.04, 0.02, 0.03)), "reproduced"),
        (((0.02, 0.03, 0.01), (0.5, 0.52, 0.49)), "contradicted"),
        (((0.0, 0.2, 0.05), (0.1, 0.0, 0.2)), "undecided"),
    ],
)
def test_trends_within_each_model(tmp_path, turning, verdict):
    statistics(full(tmp_path), turning=turning)
    values = [[1 - counted(own) for own in turning]]
    check(judged(tmp_path, "000-2"), claim("vgg22", "000-2"), values, verdict, step=1 / len(SERIES))


@pytest.mark.parametrize(
    ("larger", "verdict"),
    [
        ((0.02, 0.03, 0.01), "reproduced"),
        ((0.5, 0.52, 0.49), "contradicted"),
        ((0.0, 0.2, 0.05), "undecided"),
        ((0.0, 0.0, 0.0), "reproduced"),  # equal shares have the width of their step
        ((1.0, 1.0, 1.0), "contradicted"),
    ],
)
def test_the_model_with_drawn_weights_has_the_smaller_statistics(tmp_path, larger, verdict):
    statistics(full(tmp_path), larger=larger)
    item = judged(tmp_path, "000-5")
    check(item, claim("vgg22", "000-5"), [[1 - counted(larger)]], verdict, step=1 / (4 * len(SERIES)))
    assert item["numbers"][0]["low"] < item["numbers"][0]["high"]


@pytest.mark.parametrize(
    ("wild", "jump", "verdict"),
    [
        ((0.02, 0.03, 0.01), (1.5, 1.6, 1.4), "reproduced"),
        ((0.5, 0.52, 0.49), (1.5, 1.6, 1.4), "contradicted"),
        ((0.02, 0.03, 0.01), (1.02, 1.03, 1.01), "contradicted"),  # the dense layers stay as well
        ((0.0, 0.2, 0.05), (1.5, 1.6, 1.4), "undecided"),
    ],
)
def test_the_preloaded_model_changes_little_but_in_its_drawn_layers(tmp_path, wild, jump, verdict):
    """Wild series are those of the first layers, which are not drawn; they change at each of three steps."""
    statistics(full(tmp_path), wild=wild, jump=jump)
    drawn = sum(layer in FRESH for layer, *_ in SERIES)
    changes = 3 * len(SERIES) - drawn
    calm = 1 - 3 * np.round(len(SERIES) * np.array(wild)) / changes
    restless = np.array(jump) * 1.01 - 1
    values = [[known(calm, 1 / changes)], [list(restless)]]
    check(judged(tmp_path, "000-6"), claim("vgg22", "000-6"), values, verdict)


# --- correlations of the two models


def related(folder, change):
    """correlations.csv as `change` makes it, and likeness.csv as collecting makes it of that."""
    path = folder / "tables/correlations.csv"
    rows = change(pd.read_csv(path))
    write_table(path, rows)
    cells = pd.read_csv(folder / "cells.csv")
    wanted = {cell.cell_id: {"cell": Settings.parse(json.loads(cell.cell))} for cell in cells.itertuples()}
    found = pd.DataFrame(correlation_tests.rows(wanted, rows), columns=schema.names("likeness"))
    write_table(folder / "tables/likeness.csv", found)


def noisy(spread):
    """Correlations as they are, with noise on Fisher's scale."""

    def change(rows):
        draw = np.random.default_rng(6)
        for name in ("pearson", "spearman"):
            rows[name] = np.tanh(np.arctanh(rows[name].clip(-0.9999, 0.9999)) + draw.normal(0, spread, len(rows)))
        return rows

    return change


def fishers(folder, checkpoint, layer, parameter, coefficient):
    """Fisher's z of the pairs of both models, and of independent replicates of the one with drawn weights."""
    rows = pd.read_csv(folder / "tables/correlations.csv")
    rows = rows[(rows["layer"] == layer) & (rows["parameter"] == parameter) & (rows["matching"] == "raw")]
    rows = rows[(rows["checkpoint_a"] == checkpoint) & (rows["checkpoint_b"] == checkpoint)]
    null = (rows["comparison"] == "independent") & (rows["cell_a"] == "base-custom")
    return tuple(np.arctanh(rows.loc[own, coefficient]) for own in (rows["comparison"] == "models", null))


@pytest.mark.parametrize(
    ("truth", "spread", "verdict"),
    [
        ({}, 0.0, "reproduced"),
        ({"alike": {("fc1", "weight"): 0.5}, "seeds": 5}, 0.0, "contradicted"),
        ({"alike": {("fc1", "bias"): 0.5}, "seeds": 5}, 0.0, "reproduced"),  # of weights alone
        ({}, 0.3, "undecided"),
    ],
)
def test_weights_of_the_two_models_do_not_correlate(tmp_path, truth, spread, verdict):
    related(full(tmp_path, **truth), noisy(spread))
    places = [(name, layer) for name in EPOCHS["custom"] for layer in LAYERS if (name, layer) != ("CP1", "norm")]
    values = {
        f"{column.title()} of {layer}, {name} less that of independent runs": fishers(
            tmp_path, name, layer, "weight", column
        )
        for name, layer in places
        for column in ("pearson", "spearman")
    }
    item = judged(tmp_path, "000-3")
    keys = [number["words"].partition(": ")[2] for number in item["numbers"]]
    assert sorted(keys) == sorted(values)
    check(item, claim("vgg22", "000-3"), [[values[key] for key in keys]], verdict)


@pytest.mark.parametrize(
    ("truth", "spread", "verdict"),
    [
        ({"alike": {("fc5", "bias"): 0.9}}, 0.0, "reproduced"),
        ({"alike": {("fc5", "bias"): 0.7}, "head": 0.2}, 0.0, "reproduced"),  # above what independent runs have
        ({}, 0.0, "contradicted"),
        ({"alike": {("fc5", "bias"): -0.5}}, 0.0, "contradicted"),
        ({"alike": {("fc5", "bias"): -0.8}, "head": 0.8}, 0.0, "contradicted"),  # less than independent runs have
        ({"alike": {("fc5", "bias"): 0.2}}, 0.5, "undecided"),
        ({"head": 0.8}, 0.0, "artefact"),  # as any two runs
    ],
)
def test_biases_of_the_last_layer_correlate(tmp_path, truth, spread, verdict):
    related(full(tmp_path, seeds=6, **truth), noisy(spread))
    item = judged(tmp_path, "000-4")
    values = [fishers(tmp_path, "CP4", "fc5", "bias", column) for column in ("pearson", "spearman")]
    if verdict == "artefact":
        assert (item["verdict"], item["seen"]) == ("artefact", "artefact")
        assert "of independent runs" in item["reason"]
        means = [one.mean() - other.mean() for one, other in values]
        assert [number["mean"] for number in item["numbers"]] == pytest.approx(means)
    else:
        check(item, claim("vgg22", "000-4"), [values], verdict)


def test_correlations_of_replicates_that_never_learnt_are_not_judged(tmp_path):
    folder = full(tmp_path)
    edit(folder, "runs", lambda rows: rows.assign(learnt=(rows["cell_id"] != "base-custom") | (rows["seed"] != 1)))
    for name in ("000-3", "000-4"):
        item = judged(folder, name)
        assert item["verdict"] == "not testable here" and "never learnt" in item["reason"]


@pytest.mark.parametrize("scale", [full, sample])
@pytest.mark.parametrize(
    ("layer", "parameter", "value", "verdict"),
    [
        ("features.0", "weight", 0.0, "reproduced"),
        ("features.0", "weight", np.nan, "contradicted"),  # a weight that is undefined
        ("fc1", "bias", 0.3, "contradicted"),  # a bias that is not
        ("norm", "weight", 0.3, "contradicted"),
    ],
)
def test_what_is_undefined_before_training(tmp_path, scale, layer, parameter, value, verdict):
    """It is exact, at any scale."""
    scale(tmp_path)

    def change(rows):
        here = (rows["layer"] == layer) & (rows["parameter"] == parameter) & (rows["checkpoint_a"] == "CP1")
        rows.loc[here & rows["comparison"].isin(["models", "independent"]), ["pearson", "spearman"]] = value
        return rows

    related(tmp_path, change)
    item = judged(tmp_path, "000-7")
    assert (item["verdict"], item["seen"]) == (verdict, verdict), item["reason"]
    assert (f"{layer}.{parameter}" in item["reason"]) == (verdict == "contradicted")


# --- scopes


IDS = [f"000-{at}" for at in range(1, 7)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "digits"}, "digits instead of CIFAR-10"),
        ({"width": 0.125}, "0.125 of the full width"),
        ({"seeds": 2}, "2 of 3 replicates"),
        ({"start": STARTS["preload"]}, "instead of ImageNet weights"),
    ],
)
def test_outside_their_scope_claims_say_what_was_seen(tmp_path, changes, words):
    found = told.judged(opened(full(tmp_path, **changes)), "vgg22", ids=IDS)
    assert found["000-1"]["seen"] == "reproduced"
    for item in found.values():
        check_toy(item, item["seen"], words)
        assert item["seen"] in ("reproduced", "contradicted", "undecided", "artefact") and item["numbers"]


def test_fewer_epochs_are_outside_the_scope(tmp_path):
    folder = full(tmp_path)
    cells = pd.read_csv(folder / "cells.csv")
    cell = json.loads(cells.loc[1, "cell"])
    cell["training"] |= {"epochs": 9, "stages": record(training={"epochs": 9})["training"]["stages"]}
    cells.loc[1, "cell"] = json.dumps(cell)
    write_table(folder / "cells.csv", cells)
    check_toy(judged(folder, "000-1"), "reproduced", "9 of 10 epochs")


def test_a_replicate_that_failed_is_outside_the_scope(tmp_path):
    check_toy(judged(full(tmp_path, failed=("custom", 2)), "000-1"), "reproduced", "2 of 3 replicates")


def test_without_checkpoints_nothing_is_testable(tmp_path):
    folder = full(tmp_path)
    for name in ("checkpoints", "correlations", "likeness"):
        schema.write(folder / "tables" / f"{name}.csv", name, [])
    found = told.judged(opened(folder), "vgg22")
    assert [item["id"] for item in found.values()] == [*IDS, "000-7", "000-8"]
    ends = ("000-1", "000-8")  # what models end with needs no checkpoint
    assert {item["verdict"] for name, item in found.items() if name not in ends} == {"not testable here"}
