"""The chapter on weight transformation: maps at checkpoints, correlations, the document's tables, sentences."""

import itertools
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_reporting import texts

import draw
from tests.unit import summaries, told
from tests.unit.cells import record, settings
from tests.unit.tables import complete, write_table
from weight_atlas import schema
from weight_atlas.analysis.weights import correlation_tests as measured
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints import answers, checkpoints, correlations, invariants, schedules
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.settings import Settings

CONVOLUTIONS = [f"features.{at}" for at in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)]
DENSE = ["fc1", "fc2", "fc3", "fc4", "fc5"]
LAYERS = [*CONVOLUTIONS, "norm", *DENSE]
SIZES = {"features.0": (1728, 64), "norm": (512, 512), "fc5": (640, 10)}
EPOCHS = {"preload": {"CP1": 0, "CP2": 8, "CP3": 10, "CP4": 13}, "custom": {"CP1": 0, "CP2": 5, "CP3": 8, "CP4": 10}}
STAGES = {"preload": [{"epochs": 8, "frozen": 16}, {"epochs": 5, "frozen": 0}], "custom": [{"epochs": 10, "frozen": 0}]}
STARTS = {
    "preload": {"kind": "parent", "cell": "base-source", "layers": ["features"], "head": "fresh"},
    "custom": {"kind": "init", "scheme": "xavier_uniform"},
}


def parameters():
    """(layer, parameter, size) of every tensor that has statistics, in the measure's order."""
    for layer in LAYERS:
        weight, bias = SIZES.get(layer, (2_359_296, 512))
        yield layer, "weight", weight
        yield layer, "bias", bias
        if layer == "norm":
            yield layer, "running_mean", 512
            yield layer, "running_var", 512


def sample(folder, dataset="digits", width=0.125, seeds=3, alike=None, gain=0.03, head=0.0, start=None, **more):
    """Write cells.csv and tables of a study with both models at four checkpoints; returns its Tables.

    alike: {(layer, parameter): r} that the two models share beyond the null from the second checkpoint on; gain: by how
    much Preload is better; head: r that any two runs have in the biases of the last layer; start: Preload's;
    more: {"failed": (model, seed), "broken": whether a frozen tensor changes}.
    """
    random, alike = np.random.default_rng(4), alike or {}
    failed = more.get("failed")
    models = ("preload", "custom")
    ids = {model: f"base-{model}" for model in models}
    settings_of = {
        model: record(
            dataset_id=dataset,
            input={"channels": 3, "size": 32},
            network={"architecture": "vgg22", "width": width},
            training={"epochs": EPOCHS[model]["CP4"], "stages": STAGES[model]},
            start=start if start and model == "preload" else STARTS[model],
        )
        for model in models
    }
    cells = pd.DataFrame(
        {
            "cell_id": ids[model],
            "study": "vgg22",
            "kind": "base",
            "role": "grid",
            "dataset": dataset,
            "network": "vgg22",
            "init": model,
            "optimizer": "adam",
            "replicates": seeds,
            "blocks": "",
            "parent": "",
            "checkpoints": json.dumps(EPOCHS[model]),
            "group": "g",
            "dataset_id": dataset,
            "card": "",
            "data": "",
            "parameters": 20_461_194,
            "cell": json.dumps(settings_of[model]),
        }
        for model in models
    )
    done = {(model, seed) for model in models for seed in range(seeds) if (model, seed) != failed}
    rows = {name: [] for name in ("runs", "metrics", "accuracy", "statistics", "checkpoints", "spectra", "movement")}
    for model in models:
        for seed in range(seeds):
            status = "done" if (model, seed) in done else "failed"
            front = {"cell_id": ids[model], "seed": seed}
            rows["runs"].append(front | {"status": status, "cause": "", "wall_seconds": 100.0 + seed})
            if status == "done":
                one_run(rows, front, model, gain, random)
    pairs = list(correlated(ids, done, seeds, alike, head, more.get("broken"), random))
    rows["correlations"] = pd.DataFrame(pairs, columns=schema.names("correlations"))
    wanted = {ids[model]: {"cell": Settings.parse(settings_of[model])} for model in models}
    judged = measured.rows(wanted, rows["correlations"])
    rows["likeness"] = pd.DataFrame(judged, columns=schema.names("likeness"))
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    write_table(folder / "cells.csv", cells)
    for name, found in rows.items():
        write_table(folder / "tables" / f"{name}.csv", pd.DataFrame(found))
    summaries.write(folder / "tables")
    complete(folder / "tables")
    return opened(folder, dataset)


def opened(folder, dataset="digits"):
    tables = Tables("vgg22", folder / "cells.csv", folder / "tables", folder / "measures")
    tables.document = told.reported("vgg22")
    tables.cards = {dataset: {"counts": {"train": [5000] * 10}}}
    return tables


def one_run(rows, front, model, gain, random):
    """Append one replicate's metrics, statistics, checkpoints and spectra."""
    last = EPOCHS[model]["CP4"]
    end = 0.8 + gain * (model == "preload") + random.normal(0, 0.002)
    for epoch in range(last + 1):
        accuracy = 0.1 + (end - 0.1) * epoch / last
        row = {"epoch": epoch, "stage": 0, "rate": 1e-4, "seconds": 5.0, "images_per_second": 900.0}
        row |= {f"{split}_accuracy": accuracy for split in ("train", "valid", "test")}
        row |= {f"{split}_loss": 2.3 - 2 * accuracy for split in ("train", "valid", "test")}
        if epoch == 0:
            row |= {"rate": math.nan, "train_accuracy": math.nan, "train_loss": math.nan}
        rows["metrics"].append(front | row)
    for protocol in ("last", "best_valid", "document"):
        rows["accuracy"].append(front | {"protocol": protocol, "epoch": last, "accuracy": end, "loss": 0.5})
    for at, (name, epoch) in enumerate(EPOCHS[model].items()):
        rows["checkpoints"].append(front | {"checkpoint": name, "epoch": epoch})
        for layer, parameter, size in parameters():
            mean, std = described(model, layer, parameter, at, random)
            reach = {"min": mean - 3 * std, "max": mean + 3 * std, "range": 6 * std, "norm": 1.0}
            place = {"epoch": epoch, "layer": layer, "parameter": parameter, "size": size}
            rows["statistics"].append(front | place | {"mean": mean, "std": std} | reach)
        for layer in LAYERS:
            if layer != "norm":
                row = {"checkpoint": name, "epoch": epoch, "layer": layer, "size": 512, "spectral_norm": 2 + 0.1 * at}
                law = {"alpha": math.nan if layer == "fc5" else 3.0, "xmin": 0.4, "tail": 40, "ks": 0.08}
                rows["spectra"].append(front | row | {"stable_rank": 20.0} | law)


def described(model, layer, parameter, at, random):
    """(mean, standard deviation) of a tensor at the checkpoint of place `at`: grows slowly; Preload's dense layers jump
    at first; Preload's convolutions do not change while they are frozen."""
    fresh = model == "custom" or layer in (*DENSE, "norm")
    if layer == "norm" and at == 0:
        return {"weight": 1.0, "running_var": 1.0}.get(parameter, 0.0), 0.0
    if parameter == "bias" and fresh and at == 0:
        return 0.0, 0.0
    size = {"preload": 0.05, "custom": 0.02}[model] * (1 if parameter == "weight" else 0.1)
    steps = at if model == "custom" else max(0, at - 1)
    jump = 1.5 if model == "preload" and layer in DENSE and at else 1.0
    value = size * jump * (1 + 0.01 * steps) * (1 + 1e-4 * random.normal() * (at > 1))
    return 0.01 * value, value


def correlated(ids, done, seeds, alike, head, broken, random):
    """Rows of correlations.csv: models (each seed with the next), twins, checkpoints, independent."""
    compared = []
    both = [seed for seed in range(seeds) if {("preload", seed), ("custom", seed)} <= done]
    for one, other in zip(both, both[1:] + both[:1], strict=True):
        if len(both) > 1:
            compared += [("preload", one, "custom", other, "models", matching) for matching in correlations.MATCHINGS]
        compared.append(("preload", one, "custom", one, "twins", "raw"))
    for model in ids:
        own = [seed for seed in range(seeds) if (model, seed) in done]
        pairs = [(one, other) for one in own for other in own if one < other]
        compared += [(model, a, model, b, "independent", matching) for a, b in pairs for matching in
                     correlations.MATCHINGS]  # fmt: skip
    for a, one, b, other, kind, matching in compared:
        for at, name in enumerate(EPOCHS["custom"]):
            for layer, parameter, size in parameters():
                constant = at == 0 and (parameter != "weight" or layer == "norm")
                r = {"raw": 0.0, "permuted": 0.2, "signed": 0.25}[matching] * (parameter == "weight")
                r += alike.get((layer, parameter), 0.0) * (kind == "models" and at > 0)
                r += head * ((layer, parameter) == ("fc5", "bias"))
                r = math.nan if constant else r + random.normal(0, min(0.02, size**-0.5))
                r = 0.999 if kind == "twins" and at == 0 and not constant else r
                ends = (ids[a], one, ids[b], other, kind, name, name, EPOCHS[a][name], EPOCHS[b][name])
                yield *ends, layer, parameter, size, matching, r, r, size, r
    for model, seed in sorted(done):
        own = list(EPOCHS[model].items())
        for (first, begin), (second, end) in [*zip(own, own[1:], strict=False), (own[0], own[-1])]:
            for layer, parameter, size in parameters():
                still = model == "preload" and (first, second) == ("CP1", "CP2") and layer in CONVOLUTIONS
                still = still and not (broken and layer == "features.0" and seed == 1)
                zero = first == "CP1" and parameter == "bias" and (model == "custom" or layer in (*DENSE, "norm"))
                values = (1.0, 1.0, 0, 1.0) if still else (0.9, 0.9, size, 0.95 if layer in CONVOLUTIONS else 0.8)
                values = (math.nan, math.nan, size, math.nan) if zero else values
                ends = (ids[model], seed, ids[model], seed, "checkpoints", first, second, begin, end)
                yield *ends, layer, parameter, size, "raw", *values


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vgg22")
    sample(folder)
    return folder


@pytest.fixture
def tables(folder):
    return opened(folder)


def hatched(axes):
    """The (row, column) of a map's undefined cells."""
    return set(zip(*np.nonzero(np.ma.getmaskarray(axes.images[0].get_array())), strict=True))


def legend(fig):
    return [text.get_text() for own in fig.legends for text in own.get_texts()]


def maps_of(fig):
    return [axes for axes in fig.axes if axes.images]


# ------------------------------------------------------------------------------------------------ figures


def test_three_maps_of_44_rows_and_8_columns(tables):
    [made] = checkpoints.statistics(tables)
    panels = maps_of(made.figure)
    assert [axes.get_title(loc="left") for axes in panels] == ["mean", "standard deviation", "range (max − min)"]
    for axes in panels:
        assert axes.images[0].get_array().shape == (44 + 2, 8)
        assert not hatched(axes)
    labels = [text.get_text() for text in panels[0].get_yticklabels()]
    assert labels[0] == "features.0.weight" and labels[22] == "features.0.bias" and labels[-1] == "norm.running_var"
    assert all(label.endswith("weight") for label in labels[:22]) and all(x.endswith("bias") for x in labels[22:44])
    assert made.figure.get_figheight() / len(labels) > 0.16  # inches a row: 15 pixels for text of 12
    norm = panels[0].images[0].norm
    assert norm.vmin == -norm.vmax
    assert [text.get_text() for text in panels[0].get_xticklabels()][:5] == ["CP1", "CP2", "CP3", "CP4", "CP1"]
    assert [text.get_text() for text in panels[0].texts] == ["preload", "custom"]
    assert "4, 5 and 6" in made.caption and "finished" in made.caption


def test_a_map_of_correlations_with_what_is_undefined(tables):
    """Hatched are all biases and the batch normalisation at the first checkpoint, exactly; N stands beside each row."""
    [made] = correlations.correlation(tables)
    [axes] = maps_of(made.figure)
    assert axes.images[0].get_array().shape == (44, 8)
    assert hatched(axes) == {(row, column) for row in (16, *range(22, 44)) for column in (0, 1)}
    assert "2,359,296" in texts(made.figure) and "undefined: a constant vector" in legend(made.figure)
    assert [text.get_text() for text in axes.get_xticklabels()][:2] == ["Pearson", "Spearman"]
    assert {"CP1", "CP4"} <= {text.get_text() for text in axes.texts}
    assert "3 pairs" in made.caption and "different seeds" in made.caption
    norm = axes.images[0].norm
    assert norm.vmin == -norm.vmax


def test_what_differs_from_the_null_is_framed(tmp_path):
    tables = sample(tmp_path, seeds=5, alike={("fc1", "weight"): 0.5})
    [made] = correlations.correlation(tables)
    [axes] = maps_of(made.figure)
    frames = [patch for patch in axes.patches if not patch.get_fill()]
    clear = made.data[made.data["clear"]]
    assert len(frames) == len(clear) > 0
    assert {("fc1", "weight")} <= set(zip(clear["layer"], clear["parameter"], strict=True))
    assert "q < 0.05" in legend(made.figure)
    assert "fc1" in made.alt


def test_matched_correlations_stand_beside_their_null(tables):
    made = correlations.aligned(tables)
    assert [item.tab for item in made] == ["CP1", "CP2", "CP3", "CP4"]
    titles = [axes.get_title(loc="left") for axes in made[-1].figure.axes]
    assert titles == ["as they are", "channels matched", "matched, signs free"]
    assert "no symmetry" in made[-1].caption and "independent runs" in legend(made[-1].figure)
    for axes, level in zip(made[-1].figure.axes, (0.0, 0.2, 0.25), strict=True):
        dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
        assert len(dots) == 2 * 22 and np.mean(dots) == pytest.approx(level, abs=0.02)


def test_without_a_null_nothing_is_matched(tmp_path):
    tables = sample(tmp_path, seeds=1)
    for part in (correlations.aligned, correlations.correlation):
        with pytest.raises(NothingToShow):
            part(tables)
    assert told.exhibits(tables, "vgg22") and any("become alike" in why for why in tables.left_out)


def test_frozen_layers_have_the_colour_of_0(tables):
    [made] = checkpoints.between(tables)
    changed, angle, pearson = maps_of(made.figure)
    values = changed.images[0].get_array()
    assert (values[:16, 0] == 0).all() and (values[22:38, 0] == 0).all() and (values[:16, 1] == 100).all()
    assert (angle.images[0].get_array()[:16, 0] == 0).all()
    assert angle.images[0].get_array()[0, 1] == pytest.approx(math.degrees(math.acos(0.95)))
    assert (pearson.images[0].norm.vmin, pearson.images[0].norm.vmax) == (-1, 1)
    assert "preload keeps 32 of 44 tensors exactly, CP1→CP2" in made.alt
    assert hatched(angle) >= {(row, 4) for row in range(22, 44)}


def test_spectra_say_how_good_their_fits_are(tables):
    [made] = checkpoints.spectra(tables)
    norm, rank, alpha = maps_of(made.figure)
    assert norm.images[0].get_array().shape == (21, 8) and not hatched(rank)
    assert hatched(alpha) == {(20, column) for column in range(8)}
    assert "hold 40 values" in made.caption and "0.08" in made.caption
    assert {"xmin", "tail", "ks"} <= set(made.data["quantity"])


def test_the_documents_curves_are_drawn(tables):
    [made] = schedules.course(tables)
    theirs = made.data[(made.data["of"] == "document") & (made.data["quantity"] == "valid_accuracy")]
    assert theirs.groupby("model", sort=False)["mean"].agg(["size", "last"]).to_numpy().tolist() == [
        [13, 0.8852], [10, 0.8170]]  # fmt: skip
    assert "the document's" in legend(made.figure) and "preload, document 88.5 %" in made.alt
    lines = [line for line in made.figure.axes[0].lines if len(set(line.get_xdata())) == 1]
    assert [line.get_xdata()[0] for line in lines] == [8.5]  # the end of the frozen stage
    tables.document = {}
    [made] = schedules.course(tables)
    assert set(made.data["of"]) == {"here"} and "document" not in made.caption
    assert "Drawn like" not in checkpoints.statistics(tables)[0].caption


# ------------------------------------------------------------------------------------------------ tables


def test_the_documents_tables():
    """The sums of its times are those of its Table 3: 06:40:16 and 09:50:25."""
    document = told.reported("vgg22")
    seconds = {model: sum(row[0] for row in rows) for model, rows in document["epochs"].items()}
    assert seconds == {"preload": 6 * 3600 + 40 * 60 + 16, "custom": 9 * 3600 + 50 * 60 + 25}
    assert {model: len(rows) for model, rows in document["epochs"].items()} == {"preload": 13, "custom": 10}
    assert [[row["preload"], row["custom"]] for row in document["checkpoints"]] == [[0, 0], [8, 5], [10, 8], [13, 10]]


def test_tables_1_to_4_with_ours_beside(tables):
    first, second = schedules.epochs(tables)
    assert (first.tab, second.tab) == ("preload", "custom") and (len(first.data), len(second.data)) == (13, 10)
    assert first.data.loc[12, "valid acc. (doc.)"] == "0.8852" and first.data.loc[8, "rate (doc.)"] == "5e−5"
    assert float(first.data.loc[12, "valid acc."]) == pytest.approx(0.83, abs=0.01)
    [third] = schedules.overall(tables)
    rows = third.data.set_index("quantity")
    assert rows.loc["time (s)", "preload, document"] == "24,016"
    assert rows.loc["test accuracy", ["preload, document", "custom, document"]].tolist() == ["0.8840", "0.8094"]
    assert rows.loc["epochs"].tolist() == ["13", "13", "10", "10", "3"]
    assert rows.loc["test accuracy", "difference"].startswith("0.03")
    [fourth] = schedules.checkpoints(tables)
    own, theirs = (fourth.data[fourth.data["model"] == model] for model in ("preload", "custom"))
    assert own["epoch"].tolist() == ["0", "8", "10", "13"] and theirs["epoch (doc.)"].tolist() == ["0", "5", "8", "10"]
    assert own["train acc. (doc.)"].tolist() == ["", "0.6606", "0.8331", "0.9631"]
    assert theirs["valid acc. (doc.)"].tolist() == ["", "0.6970", "0.7964", "0.8170"]
    metrics = tables.read("metrics")
    at_5 = metrics[(metrics["cell_id"] == "base-custom") & (metrics["epoch"] == 5)]
    assert theirs["train loss"].tolist()[:2] == ["", f"{at_5['train_loss'].mean():.3f}"]
    assert "why, in the document" in fourth.columns


def test_differences_are_paired_by_seed(tables):
    found = schedules.totals(tables)
    sides = [found[found["cell_id"] == f"base-{name}"].set_index("seed")["test_accuracy"] for name in EPOCHS]
    expected = stats.ttest_rel(*sides).confidence_interval()
    row = schedules.difference(tables, "base-custom", "base-preload", "test_accuracy")
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))


def test_what_must_hold_exactly(tables, tmp_path):
    [made] = invariants.invariants(tables)
    assert set(made.data["holds"]) == {"yes"}
    said = dict(zip(made.data["model"] + ": " + made.data["statement"], made.data["tensors"], strict=True))
    assert said["preload: CP1 to CP2: the 16 frozen layers do not change"] == 3 * 32
    assert said["custom: CP1: all biases are 0"] == 3 * 21
    assert said["preload: CP1: the biases of the layers that are drawn are 0"] == 3 * 5
    assert said["custom: CP1: γ of the batch normalisation is 1"] == 3
    [broken] = invariants.invariants(sample(tmp_path, broken=True))
    assert broken.data.loc[broken.data["holds"] == "no", "statement"].tolist() == [
        "CP1 to CP2: the 16 frozen layers do not change"
    ]


@pytest.mark.parametrize(
    ("frozen", "begin", "end", "expected"),
    [(2, 0, 8, ["a", "b"]), (2, 0, 9, []), (["b", "c"], 2, 8, ["b.x", "c"]), (0, 0, 8, []), (2, 8, 13, [])],
)
def test_which_layers_are_frozen_all_the_way(frozen, begin, end, expected):
    of_cell = settings(training={"stages": [{"epochs": 8, "frozen": frozen}, {"epochs": 5, "frozen": 0}]})
    order = ["a", "b.x", "c"] if isinstance(frozen, list) else ["a", "b", "c"]
    assert invariants.frozen_layers(of_cell, begin, end, order) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"kind": "parent", "cell": "b", "layers": ["a", "norm"], "head": "fresh"}, ["b", "c"]),
        ({"kind": "parent", "cell": "b", "layers": None, "head": "fresh"}, ["c"]),
        ({"kind": "graft", "cell": "b", "layers": 1}, ["b", "c"]),
        ({"kind": "graft", "cell": "b", "layers": 2}, ["c"]),
        ({"kind": "graft", "cell": "b", "layers": 3}, []),
    ],
)
def test_which_layers_a_start_draws(start, expected):
    """Of a number of layers that are taken, a batch normalisation is no further one."""
    of_cell = SimpleNamespace(settings={"cell": settings(start=start)})
    rows = [("a", "weight"), ("norm", "weight"), ("norm", "running_mean"), ("b", "weight"), ("c", "weight")]
    statistics = pd.DataFrame(rows, columns=["layer", "parameter"])
    assert invariants.fresh(of_cell, "cell", statistics) == expected


# ------------------------------------------------------------------------------------------------ words


def test_the_layers_with_larger_statistics_are_named(tables):
    """Layer by layer, seed by seed and checkpoint by checkpoint, in plain loops."""
    rows = tables.read("statistics").set_index(["cell_id", "seed", "epoch", "layer", "parameter"]).sort_index()
    for parameter, noun in (("weight", "weights"), ("bias", "biases")):
        expected = [
            layer
            for layer in LAYERS
            if all(
                abs(rows.loc[("base-preload", seed, EPOCHS["preload"][at], layer, parameter), name])
                > abs(rows.loc[("base-custom", seed, EPOCHS["custom"][at], layer, parameter), name])
                for seed, at, name in itertools.product(range(3), EPOCHS["preload"], ("mean", "std", "range"))
            )
        ]
        assert answers.above(tables)["base-preload", parameter] == expected
        [text] = [one.text for one in answers.higher(tables) if f"the {noun} of preload" in one.text]
        assert f"in {len(expected)} layers" in text if expected else "in no layer" in text


def test_a_layer_that_is_smaller_once_is_not_named(tmp_path):
    tables = sample(tmp_path)
    path = tmp_path / "tables" / "statistics.csv"
    rows = pd.read_csv(path)
    rows.loc[rows["cell_id"] == "base-preload", ["mean", "std", "range"]] = [2.0, 3.0, 9.0]
    rows.loc[rows["cell_id"] == "base-custom", ["mean", "std", "range"]] = [-1.0, 2.0, 8.0]
    once = (rows["cell_id"] == "base-custom") & (rows["layer"] == "fc2") & (rows["seed"] == 1) & (rows["epoch"] == 5)
    rows.loc[once & (rows["parameter"] == "weight"), "range"] = 10.0
    rows.to_csv(path, index=False)
    found = answers.above(opened(tmp_path))
    assert found["base-preload", "weight"] == [layer for layer in LAYERS if layer != "fc2"]
    assert found["base-preload", "bias"] == LAYERS
    assert "in 22 layers (features (16 layers), norm, fc1" in answers.higher(opened(tmp_path))[1].text
    assert tables.study == "vgg22"


def test_a_failed_replicate_is_told_and_not_compared(tmp_path):
    tables = sample(tmp_path, failed=("custom", 2))
    made = {item.name: item for item in told.exhibits(tables, "vgg22")}
    assert not tables.left_out
    for name in ("statistics", "correlation", "course", "overall", "invariants", "checkpoints"):
        assert "Of 6 replicates 5 finished (1 failed)." in made[name].caption
    assert "2 pairs" in made["correlation"].caption


def test_the_answers_and_the_empty_sections(tables):
    facts = told.facts(tables, "vgg22")
    answers = facts["answers"]
    assert set(answers) == {"better", "transformed", "alike", "stayed"} and all(answers.values())
    assert "+3.0 points" in answers["better"][0] and answers["better"][0].startswith("Yes (")
    assert "differences of r" in answers["alike"][0] and "N =" in answers["alike"][1]
    assert "not one value changes from CP1 to CP2" in " ".join(answers["stayed"])
    sections = facts["sections"]
    assert set(sections) == {"results", "discussion", "conclusion"} and all(sections.values())
    words = " ".join(text for section in sections.values() for text in section)
    assert "4,420 and 4,047 of 5,000" in words and "2,359,296" in words and "0.0013" in words
    assert "begin with the same draws" in words and "After matching " in words
    for text in [text for section in sections.values() for text in section]:
        assert (
            re.match(r"([A-Z]|preload: |custom: |digits: |vgg22 on digits: ).*\.$", text)
            and "nan" not in text
            and "None" not in text
        )


def test_nothing_is_told_of_a_study_without_checkpoints(tmp_path):
    sample(tmp_path)
    for name in ("checkpoints", "correlations", "likeness", "spectra"):
        schema.write(tmp_path / "tables" / f"{name}.csv", name, [])
    tables = opened(tmp_path)
    chapter = told.told(tables, "vgg22")
    names = [item.name for item in chapter.exhibits]
    assert names == ["accuracy", "accuracy-table", "documented-numbers", "networks", "diagram-vgg22"]
    facts = told.in_short(chapter)
    assert not any(facts["answers"].values()) and not any(facts["sections"].values())


def drawn(folder, output):
    """{name: bytes} of what the command draws."""
    draw.main(told.command(folder, "vgg22", output, "vgg22"))
    return {path.name: path.read_bytes() for path in output.iterdir()}


def test_the_command_draws_the_chapter(folder, tmp_path):
    figures = {f"{name}.svg" for name in ("statistics", "correlation", "between", "spectra", "course")}
    assert figures | {"claims.json"} <= drawn(folder, tmp_path / "a").keys()


@pytest.mark.long  # test_reporting.py holds the same of another chapter
def test_drawing_twice_gives_the_same_bytes(folder, tmp_path):
    assert drawn(folder, tmp_path / "a") == drawn(folder, tmp_path / "b")
