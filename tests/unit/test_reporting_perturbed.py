"""Exhibits and answers on perturbed models: where they end, beside controls that nothing was done to."""

import dataclasses
import json
import math
import types

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from test_reporting import FEATURES, interval, opened, raw, texts
from test_reporting import sample as grid_sample

from tests.unit import summaries, told
from tests.unit.tables import write_table
from weight_atlas import schema
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims import answers
from weight_atlas.reporting.claims import perturbed as evidence_of_perturbed
from weight_atlas.reporting.claims.measured import RATIO, measured
from weight_atlas.reporting.exhibits.perturbed import amplification, families, mirror, paths, perturbed
from weight_atlas.reporting.grammar import style
from weight_atlas.settings import Start
from weight_atlas.store import load_arrays, save_tensors

RUNGS = (1e-6, 1e-4, 1e-2, 1e-1, 1.0)
STEPS = {
    "flip": [{"type": "flip", "layers": None, "tensors": "all", "running_mean": False}],
    "add": [{"type": "add", "layers": None, "tensors": "all", "size": 1e-6, "noise": "constant"}],
    **{
        f"noise-{size:g}": [{"type": "add", "layers": None, "tensors": "all", "size": size, "noise": "filter"}]
        for size in RUNGS
    },
    "reset-conv1": [{"type": "reinitialise", "layers": ["conv1"], "tensors": "all"}],
}
CONTROLS = {
    "none (same order)": {"order": "same", "repeat": 0},
    "none (other order)": {"order": "other", "repeat": 0},
    "none (repeated)": {"order": "same", "repeat": 1},
}
TABLES = ("returns", "precision", "aftermath", "paths", "barriers", "symmetries")
FACTS = [
    {"network": "ReLU", "transformation": "all parameters flipped", "expected": "-f", "error": 0.88, "holds": False},
    {"network": "tanh", "transformation": "all parameters flipped", "expected": "-f", "error": 2e-16, "holds": True},
]
DIVERGED, FAILED = "noise-1", "none (other order)"  # of the first parent: one replicate each


def sample(folder, perturbations=tuple(STEPS), parents=None, **more):
    """As test_reporting.sample, with children of every grid cell (or the first `parents`): plausible numbers,
    structured so that a small distortion ends as far from the original as none, and a flip in a mirrored place."""
    more = {"datasets": ("digits",), "networks": ("lenet5", "resnet18-quarter"), "inits": ("pretrained",)} | more
    grid = grid_sample(folder, **more)
    seeds, random = more.get("seeds", 3), np.random.default_rng(11)
    found = {name: [] for name in (*TABLES, "runs", "accuracy", "pairs")}
    matrices, children, first = {}, [], True
    done = pd.read_csv(folder / "tables" / "runs.csv").query("status == 'done'")
    done = set(zip(done["cell_id"], done["seed"], strict=True))
    for parent in grid.head(parents or len(grid)).itertuples():
        labels = (*perturbations, *CONTROLS)
        own = {label: child_cell(parent, label, at) for at, label in enumerate(labels)}
        for child in own.values():
            child["control"] = own["none (same order)"]["cell_id"]
        for group, channels in (("conv1", 6), ("fc1", 120)):
            row = {"cell_id": parent.cell_id, "layer_group": group, "channels": channels}
            row |= {
                "permutation": True,
                "sign": "odd" if group == "conv1" else "no",
                "scale": parent.network == "lenet5",
            }
            found["symmetries"].append(row)
        for seed in range(seeds):
            norm, alone = (22.0, 1.9) if parent.network == "lenet5" else (60.0, 4.0)
            alone *= random.uniform(0.95, 1.05)
            for label, child in own.items():
                broken = {DIVERGED: "diverged", FAILED: "failed"}.get(label) if first and seed == 1 else None
                status = broken or ("done" if (parent.cell_id, seed) in done else "failed")
                found["runs"].append({"cell_id": child["cell_id"], "seed": seed, "status": status, "cause": ""})
                if status == "done":
                    one_child(found, matrices, parent, child, label, seed, norm, alone, random)
        children += [{name: value for name, value in child.items() if name != "control"} for child in own.values()]
        first = False
    cells = pd.concat([grid.assign(perturbation=""), pd.DataFrame(children)])
    write_table(folder / "cells.csv", cells)
    for name, rows in found.items():
        path = folder / "tables" / f"{name}.csv"
        old = [pd.read_csv(path, keep_default_na=False)] if path.exists() else []
        write_table(path, pd.concat([*(rows_ for rows_ in old if len(rows_)), pd.DataFrame(rows)]))
    write_table(folder / "tables/facts.csv", pd.DataFrame(FACTS))
    summaries.write(folder / "tables")
    for group, own in matrices.items():
        for name in ("features", "pairs"):
            path = folder / "measures" / group / f"{name}.safetensors"
            old = load_arrays(path)
            save_tensors(path, old | own[name])
    return grid


def child_cell(parent, label, at):
    """The row of cells.csv of one child."""
    settings = json.loads(parent.cell)
    start = {"kind": "perturb", "cell": parent.cell_id, "take": "last", "state": "fresh", "steps": [], "order": "same"}
    start |= {"repeat": 0, "steps": STEPS[label]} if label in STEPS else CONTROLS[label]
    row = {name: getattr(parent, name) for name in parent._fields if name != "Index"}
    row |= {"cell_id": f"perturb-{parent.cell_id[5:]}-{at:02d}", "kind": "perturb", "parent": parent.cell_id}
    row |= {"role": "perturbed" if label in STEPS else "control", "perturbation": label}
    return row | {"cell": json.dumps(settings | {"start": start})}


def one_child(found, matrices, parent, child, label, seed, norm, alone, random):
    """Append one finished replicate's rows to every table."""
    front = {"cell_id": child["cell_id"], "seed": seed}
    steps = STEPS.get(label, [])
    size, flip = steps[0].get("size", 0) if steps else 0, label == "flip"
    start = 2 * norm if flip else norm * size if "noise" in label else size * math.sqrt(parent.parameters)
    start = 3.0 if label == "reset-conv1" else start
    distance, apart, moved = alone * random.uniform(0.998, 1.002), 0.45 * alone, alone
    if label == "none (same order)":
        distance, apart = alone, None
    if label == "none (repeated)":
        distance, apart = alone, 0.0
    if label == "none (other order)":
        apart = 0.92 * alone * random.uniform(0.95, 1.05)
    if start > 1e-2:
        moved = 0.2 * norm if flip else 1.2 * alone
        distance, apart = math.hypot(start, moved), math.hypot(start, 1.1 * alone)
    places = {"perturbation": (start, norm, norm), "original": (distance, norm, 1.02 * norm)}
    places |= {"moved": (moved, norm, 1.02 * norm)} | ({"control": (apart, norm, norm)} if apart is not None else {})
    for layer, share in (("conv1", 0.3), ("total", 1.0)):
        for pair, (length, a, b) in places.items():
            row = {
                "layer": layer,
                "pair": pair,
                "size": parent.parameters,
                "changed": parent.parameters if length else 0,
            }
            row |= {"norm_a": a * share, "norm_b": b * share, "distance": length * share, "relative": length / a}
            cosine = (a * a + b * b - length * length) / (2 * a * b)
            found["returns"].append({**front, **row, "cosine": max(-1, min(1, cosine))})
    if steps:
        changed = {"float32": 1.0, "float16": min(1, 0.1 + size), "bfloat16": min(1, 0.02 + size)}
        counts = {name: round(share * parent.parameters) for name, share in changed.items()}
        rows = [{"format": name, "parameters": parent.parameters, "changed": count} for name, count in counts.items()]
        found["precision"] += [{**front, **row} for row in rows]
    end = 0.95 + random.normal(0, 0.004)
    harm = 0.85 * size / (size + 0.1) if "noise" in label else 0.0
    right = {"eval": 0.95 - harm if not flip else 0.11}
    right["eval"] = 0.5 if label == "reset-conv1" else right["eval"]
    if parent.network != "lenet5":
        right |= {"batch": 0.004 if flip else right["eval"], "flipped_means": 0.0 if flip else 0.4}
    for mode, accuracy in right.items():
        found["aftermath"].append({**front, "mode": mode, "pictures": 300, "accuracy": accuracy, "loss": 2 - accuracy})
    for protocol in ("last", "best_valid", "document"):
        row = {"status": "done", "protocol": protocol, "epoch": 5, "accuracy": end - 0.1 * (harm > 0.8)}
        found["accuracy"].append({**front, **row})
    barrier = 0.8 if flip else 0.01 + 0.7 * harm
    for alignment, share in (("plain", 1.0), ("aligned", 0.8 if flip else 1.0)):
        for t in np.linspace(0, 1, 13):
            dent = share * barrier * 4 * t * (1 - t)
            row = {"alignment": alignment, "t": t, "pictures": 300, "loss": 0.2 + 3 * dent, "accuracy": end - dent}
            found["paths"].append({**front, **row})
        row = {"alignment": alignment, "loss_barrier": 3 * share * barrier, "accuracy_barrier": share * barrier}
        row |= {"distance": distance * share, "permuted": 4 * (share < 1), "signs": 20 * (share < 1)}
        found["barriers"].append({**front, **row})
    pair = {"norm_a": norm, "norm_b": norm, "distance": distance, "cosine": 0.9, "features": FEATURES[parent.network]}
    pair |= {"cka": 0.75 if flip else 0.97, "agreement": 0.93 if flip else 0.98, "correlation": 0.1 if flip else 0.95}
    pair |= {"matched": 0.5 if flip else 0.95, "in_place": 0.1 if flip else 0.99, "constant": 0}
    pair |= {"divergence": 0.02, "errors_a": 12, "errors_b": 14, "both_wrong": 9, "seed_a": seed, "seed_b": seed}
    pair |= {"cell_b": child["cell_id"], "level_b": label}
    found["pairs"].append({**pair, "cell_a": parent.cell_id, "factor": "original", "level_a": "original"})
    if apart is not None:
        found["pairs"].append({**pair, "cell_a": child["control"], "factor": "control", "level_a": "none (same order)"})
    own = matrices.setdefault(parent.group, {"features": {}, "pairs": {}})
    if seed == 0:
        count = FEATURES[parent.network]
        noise = random.uniform(-0.3, 0.3, size=(count, count))
        own["features"][f"{child['cell_id']}/seed0"] = ((noise + noise.T) / 2 + np.eye(count)).clip(-1, 1).astype("f2")
        between = (noise if flip else noise + 0.7 * np.eye(count)).clip(-1, 1)
        own["pairs"][f"{parent.cell_id}/seed0|{child['cell_id']}/seed0"] = between.astype("f2")


def edit(folder, name, change):
    """Rewrite a table with what `change` makes of it."""
    path = folder / "tables" / f"{name}.csv"
    write_table(path, change(pd.read_csv(path, keep_default_na=False)))
    summaries.write(folder / "tables")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two networks on one data set, two optimizers; a ladder; one diverged and one failed child."""
    folder = tmp_path_factory.mktemp("perturbed")
    sample(folder)
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    found = opened(folder)
    found.document = {"source": "the slides", "norms": TRIPLES}
    return found


TRIPLES = [
    {"slide": "distortion", "architecture": "lenet5", "dataset": "mnist", "first": 3.0, "second": 4.0, "distance": 5.0},
    {"slide": "flip", "architecture": "vgg19", "dataset": "mnist", "first": 9.0, "second": 9.0, "distance": 18.0},
    {
        "slide": "correlation",
        "architecture": "lenet5",
        "dataset": "mnist",
        "first": 9.0,
        "second": 9.0,
        "distance": 0.0,
    },
]


@pytest.fixture(scope="module")
def chapter(tables):
    return told.told(tables, "dynamics")


@pytest.fixture(scope="module")
def exhibits(chapter):
    return {item.name: item for item in chapter.exhibits if item.name.startswith(told.PERTURBED)}


@pytest.fixture
def small(tmp_path):
    """One original, two replicates, a flip and an addition: quick to draw."""
    kind = {"networks": ("lenet5",), "optimizers": ("sgd",), "seeds": 2}
    sample(tmp_path, perturbations=("flip", "add"), **kind)
    return tmp_path


# --- the family


def test_the_sample_has_the_columns_of_the_tables(folder):
    for name in (*TABLES, "pairs"):
        columns = set(pd.read_csv(folder / "tables" / f"{name}.csv", nrows=0).columns)
        assert columns <= set(schema.names(name)), name


def test_children_are_told_apart_from_the_grid(tables):
    assert len(tables.cells) == 4
    assert len(tables.children.cells) == 4 * 11
    assert "perturbation" not in tables.axes
    assert tables.sources is None


def test_what_was_done(tables):
    found = families.family(tables)
    own = found[found["branch"] == found["branch"].iloc[0]].set_index("perturbation")
    assert own["what"].to_dict() == {
        "none (same order)": "same",
        "none (other order)": "other",
        "none (repeated)": "repeated",
        "add": "add",
        **{f"noise-{size:g}": "add" for size in RUNGS},
        "flip": "flip",
        "reset-conv1": "layers",
    }
    assert own["ladder"].to_dict() == {name: "noise" * name.startswith("noise-") for name in own.index}
    assert own.loc["add", "words"] == "add (+1e−6)"
    assert own.loc["noise-0.01", "size"] == 0.01
    shown = families.shown(found)
    assert set(shown["perturbation"]) == {"none (same order)", "none (other order)", "add", "flip"}
    assert set(found["name"]) == {"sgd", "adam"}


def test_an_addition_that_is_a_rung_too_and_one_that_is_the_lowest(tmp_path):
    """A ladder of the same noise takes it in; without another addition the lowest rung stands for all."""
    steps = [{"type": "flip", "layers": None, "tensors": "all"}]
    assert families.done(Start("perturb", steps=steps)) == "flip"
    assert families.done(Start("perturb", steps=[steps[0] | {"tensors": "weights"}])) == "else"
    assert families.done(Start("perturb", steps=[steps[0] | {"layers": ["fc1"]}])) == "layers"
    kind = {"networks": ("lenet5",), "optimizers": ("sgd",), "seeds": 2}
    sample(tmp_path, perturbations=("noise-0.01", "noise-1e-06"), **kind)
    shown = families.shown(families.family(opened(tmp_path)))
    assert shown["perturbation"].tolist() == ["none (same order)", "none (other order)", "noise-1e-06"]
    assert families.rung("noise-1e-06") == families.rung("noise-0.01") == "noise"
    assert families.rung("add") == families.rung("reset-conv1") == ""


def test_two_ways_to_train_again_are_two_branches(small):
    """Children of one parent that are trained again for another number of epochs have a control of their own."""
    cells = pd.read_csv(small / "cells.csv", dtype=str, keep_default_na=False)
    more = cells[cells["role"] != "grid"].copy()
    more["cell_id"] += "-long"
    more["cell"] = more["cell"].str.replace('"epochs": 5', '"epochs": 9')
    write_table(small / "cells.csv", pd.concat([cells, more]))
    for name in ("runs", "returns"):
        edit(small, name, lambda rows: pd.concat([rows, rows.assign(cell_id=rows["cell_id"] + "-long")]))
    found = families.journeys(opened(small))
    assert found["branch"].nunique() == 2
    assert set(found["name"]) == {"original · retraining 1", "original · retraining 2"}
    assert (found[found["what"] == "same"]["ratio"] == 1).all()


# --- numbers


def test_journeys(folder, tables):
    """Every distance is that of returns.csv; ratio and amplification are those of the same seed."""
    rows = raw(folder, "returns").query("layer == 'total'").set_index(["cell_id", "seed", "pair"]).sort_index()
    found = families.journeys(tables)
    same = found[found["what"] == "same"].set_index(["parent", "seed"])["distance"]
    assert len(found) == 4 * 11 * 3 - 2
    for row in found.itertuples():
        own = rows.loc[(row.cell_id, row.seed)]
        assert row.distance == own.loc["original", "distance"]
        assert row.norm == own.loc["original", "norm_a"]
        assert row.norm_end == own.loc["original", "norm_b"]
        assert row.start == own.loc["perturbation", "distance"]
        if row.what == "same":
            assert math.isnan(row.apart)
            continue
        assert row.ratio == pytest.approx(row.distance / same[row.parent, row.seed])
        if row.start > 0:
            assert row.amplification == pytest.approx(own.loc["control", "distance"] / row.start)
    assert found.loc[found["what"].isin(["other", "repeated"]), "amplification"].isna().all()


def test_returns_and_amplification_show_the_means(folder, tables, exhibits):
    rows = raw(folder, "returns").query("layer == 'total'")
    for name, pair in (("returns", "original"), ("amplification", "control")):
        data = exhibits[name].data
        for row in data.to_dict("records"):
            own = rows[(rows["cell_id"] == row["cell_id"]) & (rows["pair"] == pair)]["distance"]
            np.testing.assert_allclose([row[c] for c in ("n", "mean", "low", "high")], interval(own), rtol=1e-9)
    assert len(exhibits["returns"].data) == 16
    assert set(exhibits["returns"].data["of"]) == {3}
    assert sorted(exhibits["returns"].data["n"])[:2] == [2, 3]  # the failed one of the other order
    assert "2/3" in texts(exhibits["returns"].figure)
    assert "Of 48 replicates 47 finished (1 failed)." in exhibits["returns"].caption
    assert "distance 0 in 12 of 12 replicates" in exhibits["returns"].caption


def test_small_distortion_lies_where_no_perturbation_does(tables, exhibits):
    """The dot of the addition lies below that of the control; the flip's lies at its own size."""
    axes = exhibits["returns"].figure.axes[0]
    drawn = {}
    labels = [label.get_text() for label in axes.get_yticklabels()]
    for line in axes.lines:
        if line.get_marker() in "os":
            drawn.setdefault(labels[round(line.get_ydata()[0])], []).append(line.get_xdata()[0])
    np.testing.assert_allclose(drawn["add (+1e−6)"], drawn["none (same order)"], rtol=0.01)
    bars = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "|"]
    assert 44 in bars
    assert axes.get_xscale() == "log"


def test_amplification_has_the_line_of_none(exhibits):
    item = exhibits["amplification"]
    for axes in item.figure.axes:
        [dashed] = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_array_equal(dashed.get_xdata(), dashed.get_ydata())
        assert axes.get_xscale() == axes.get_yscale() == "log"
    assert "exactly 0" in item.caption
    ratio = item.data[item.data["perturbation"] == "add"]["amplification"]
    assert (ratio > 1000).all()


def test_a_single_perturbation_is_told_where_others_are_drawn():
    """A panel of one point is no figure, unless it is all that there is."""
    rows = [
        {"network": network, "dataset": "d", "cell_id": cell, "words": cell, "start": 3.0, "amplification": 2.0}
        for network, cell in (("many", "noise"), ("many", "flip"), ("one", "flip"))
    ]
    kept, said = amplification._told_apart(pd.DataFrame(rows))
    assert set(kept["network"]) == {"many"} and said.endswith(
        "flip (one on d, 3.00 at the start) ends 2.00 times as far away."
    )
    kept, said = amplification._told_apart(pd.DataFrame(rows[2:]))
    assert len(kept) == 1 and said == ""


def test_panels_without_a_line_are_removed_and_the_lowest_left_is_labelled():
    grid = style.figure(4).subplots(3, 2, sharex=True)
    for at in ((0, 0), (1, 0), (2, 1)):
        grid[at].plot([0, 1], [0, 1])
    paths._clear_blank(grid)
    assert [[axes.get_visible() for axes in line] for line in grid] == [[True, False], [True, False], [False, True]]
    labelled = [[axes.xaxis.get_tick_params()["labelbottom"] for axes in line] for line in grid]
    assert labelled[0][0] is False and labelled[1][0] and labelled[2][1]


def test_a_perturbation_of_nothing_is_not_drawn(small):
    """Where an addition rounds to nothing there is no size, so no amplification, and no place on a logarithmic axis."""

    def lost(rows):
        added = rows["cell_id"].str.endswith("-01") & (rows["pair"] == "perturbation")
        rows.loc[added, ["distance", "relative", "changed"]] = 0
        return rows

    edit(small, "returns", lost)
    tables = opened(small)
    [made] = amplification.amplification(tables)
    assert made.data["perturbation"].tolist() == ["flip"]
    assert perturbed.returns(tables)


def test_ladder(folder, exhibits):
    """Each quantity is its table's mean; the basin ends at the last rung whose barrier is below 2 points."""
    item = exhibits["ladder"]
    assert item.data.groupby("quantity", sort=False)["size"].nunique().to_dict() == dict.fromkeys(
        ["distance", "right", "trained", "barrier"], len(RUNGS)
    )
    after = raw(folder, "aftermath").query("mode == 'eval'").groupby("cell_id")["accuracy"].mean()
    walls = raw(folder, "barriers").query("alignment == 'plain'").groupby("cell_id")["accuracy_barrier"].mean()
    for row in item.data[item.data["quantity"].isin(["right", "barrier"])].itertuples():
        assert row.mean == pytest.approx((after if row.quantity == "right" else walls)[row.cell_id])
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in item.figure.axes[:4]]
    assert titles == ["accuracy right after (%)", "accuracy after training again (%)", "distance ‖θ₁ − θ₂‖",
                      "barrier to the original (points)"]  # fmt: skip
    assert "below 2 points in lenet5 up to a size of 1e−4; in resnet18-quarter up to a size of 1e−4." in item.caption
    diverged = item.data[(item.data["perturbation"] == DIVERGED) & (item.data["n"] == 2)]
    assert set(diverged["quantity"]) == {"distance", "right", "trained", "barrier"}
    assert "(1 diverged)" in item.caption


def test_flip_geometry(folder, tables, exhibits):
    item = exhibits["flip-geometry"]
    wide = item.data.pivot(index="cell_id", columns="quantity", values="mean")
    floor = item.data.drop_duplicates("cell_id").set_index("cell_id")["floor"]
    np.testing.assert_allclose(floor, 2 * wide["norm"])
    drawn = [line.get_xdata()[0] for axes in item.figure.axes for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert {44, 120} <= set(drawn)
    bars = [
        bar.get_width() for axes in item.figure.axes for bar in axes.patches if bar.get_height() == pytest.approx(0.72)
    ]
    np.testing.assert_allclose(sorted(bars), sorted(item.data["mean"]))
    assert "2‖θ₁‖ is 99.5 % of the distance" in item.caption


def test_triples_stand_beside_the_documents(exhibits):
    table = exhibits["triples"].data
    said = table[table["of"] == "the document"]
    assert said["perturbation"].tolist() == ["distortion"]  # VGG19 is not here, and a correlation is no perturbation
    assert said["cosine"].tolist() == ["0.0000"]
    assert "vgg19" in exhibits["triples"].caption
    here = table[table["of"] == "here"]
    assert len(here) == 8
    assert set(here[here["perturbation"] == "flip"]["‖θ₁ − θ₂‖"]) == {"44.2", "121"}
    assert ((here["‖θ₂ + θ₁‖"] != "") == (here["perturbation"] == "flip")).all()


@pytest.mark.parametrize(("network", "moved"), [("resnet18", 6.58), ("vgg19", 56.96), ("lenet5", 9.53)])
def test_what_the_slides_flips_imply(network, moved):
    """The distance from −θ₁ to θ₂, in a plane in which both vectors have their lengths and their distance."""
    [triple] = [
        one for one in told.reported("dynamics")["norms"] if (one["slide"], one["architecture"]) == ("flip", network)
    ]
    first, second = np.array([triple["first"], 0.0]), triple["second"]
    angle = np.arccos((triple["first"] ** 2 + second**2 - triple["distance"] ** 2) / (2 * triple["first"] * second))
    way = float(np.linalg.norm(second * np.array([np.cos(angle), np.sin(angle)]) + first))
    assert way == pytest.approx(moved, abs=0.02)
    assert mirror.reported(triple)["‖θ₂ + θ₁‖"] == f"{way:#.3g} ({100 * way / triple['first']:#.3g} %)"


def test_precision_has_the_additions_in_each_format(exhibits, folder):
    made = exhibits["precision"]
    assert set(made.data["perturbation"]) == {"add", *(f"noise-{size:g}" for size in RUNGS)}
    raw_ = raw(folder, "precision").assign(share=lambda rows: rows["changed"] / rows["parameters"])
    expected = raw_.groupby(["cell_id", "format"])["share"].mean()
    found = made.data.set_index(["cell_id", "format"])["mean"]
    pd.testing.assert_series_equal(found.sort_index(), expected[found.index].sort_index(), check_names=False)
    assert "in lenet5 add (+1e−6) 100 % in float32, 10.0 % in float16, 2.0 % in bfloat16; in" in made.caption
    assert "noise" not in made.caption, "the smallest addition alone"


def test_aftermath_modes(exhibits):
    """Flipped running means are shown of a flip, batch statistics where there are any."""
    data = exhibits["aftermath"].data
    assert set(data[data["network"] == "lenet5"]["mode"]) == {"eval", "trained"}
    assert set(data[data["mode"] == "flipped_means"]["perturbation"]) == {"flip"}
    assert set(data[data["mode"] == "batch"]["network"]) == {"resnet18-quarter"}
    assert "flip 11.0 % right after" in exhibits["aftermath"].caption
    assert set(exhibits["aftermath-layers"].data["perturbation"]) == {"none (same order)", "reset-conv1"}


def test_barriers_and_paths(folder, exhibits):
    rows = raw(folder, "barriers")
    data = exhibits["barriers"].data
    for row in data.to_dict("records"):
        own = rows[(rows["cell_id"] == row["cell_id"]) & (rows["alignment"] == row["alignment"])]
        np.testing.assert_allclose(row["mean"], own["accuracy_barrier"].mean())
        np.testing.assert_allclose(row["loss_barrier"], own["loss_barrier"].mean())
    assert "flip from 80.0 to 64.0" in exhibits["barriers"].caption
    line = raw(folder, "paths")
    own = exhibits["paths"].data
    assert own["t"].nunique() == 13
    assert len(own) == 16 * 2 * 2 * 13
    one = own.iloc[100]
    these = line[(line["cell_id"] == one["cell_id"]) & (line["alignment"] == one["alignment"])]
    assert one["mean"] == pytest.approx(these[np.isclose(these["t"], one["t"])][one["quantity"]].mean())


def test_likeness_and_matrices(folder, exhibits):
    data = exhibits["perturbed-pairs"].data
    assert len(data) == 4 * 9 * 3 - 2  # neither a repeated control nor a single layer
    assert data.loc[data["perturbation"] == "flip", "cka"].unique().tolist() == [0.75]
    assert "both get wrong: in lenet5 none (same order) 53 %" in exhibits["perturbed-pairs"].caption
    maps = exhibits["perturbed-features-lenet5"].data
    assert maps.groupby("perturbation", sort=False)["matrix"].apply(list).to_dict() == {
        "flip": ["original", "end", "between"],
        "add": ["original", "end", "between"],
    }
    between = load_arrays(folder / "measures" / "digits-lenet5" / "pairs.safetensors")
    for row in maps[maps["matrix"] == "between"].itertuples():
        matrix = between[f"{row.original}/seed0|{row.cell_id}/seed0"].astype(np.float32)
        assert row.diagonal == pytest.approx(np.diag(matrix).mean(), abs=1e-6)
    returns = pd.read_csv(folder / "tables" / "returns.csv")
    for row in maps[maps["matrix"] == "end"].itertuples():
        own = returns[(returns["cell_id"] == row.cell_id) & (returns["seed"] == int(row.seed))]
        [own] = own[(own["pair"] == "original") & (own["layer"] == "total")].itertuples()
        for symbol, value in {"‖θ₁‖": own.norm_a, "‖θ₂‖": own.norm_b, "‖θ₁ − θ₂‖": own.distance}.items():
            assert f"{symbol} = {style.number(value)}" in exhibits["perturbed-features-lenet5"].caption


def test_the_facts_are_told_as_they_were_computed(exhibits):
    table = exhibits["symmetries-tried"].data
    assert table["holds"].tolist() == ["no", "yes"] and table["relative difference"].tolist() == ["0.88", "2e−16"]
    assert set(table["asked"]) == {"the opposite, −f"} and "1 of 2 hold" in exhibits["symmetries-tried"].caption


def test_symmetries_table(exhibits):
    table = exhibits["symmetries"].data.set_index("network")
    assert table.loc["lenet5", "can be renamed"] == "2 groups, 126 channels"
    assert table.loc["lenet5", "can be negated"] == "1 group, 6 channels (odd)"
    assert table.loc["resnet18-quarter", "can be scaled"] == "none"


# --- words and files


def test_every_exhibit_has_words_and_a_question(chapter, exhibits):
    assert {name.partition("-lenet5")[0].partition("-resnet18")[0] for name in exhibits} == set(told.PERTURBED)
    asked = [
        name for question in chapter.questions if question["key"] in ("distortion", "flip")
        for name in question["exhibits"]
    ]  # fmt: skip
    assert asked == list(exhibits)
    for name, item in exhibits.items():
        assert len(item.caption) > 60 and len(item.alt) > 20 and item.title and len(item.data), name
        assert not set("*`[]$^~") & set(item.caption + item.alt), name
        assert "nan" not in (item.caption + item.alt).lower().split(), name
        assert not set(families.INNER) & set(item.data), name


def test_a_study_of_one_s_own_answers_for_what_it_perturbs(tables, monkeypatch):
    """For small distortions, for flips, or for both."""
    small, flips = answers.distortion(tables), answers.flip(tables)
    assert answers.returned(tables) == [*small, *flips]

    def nothing(tables):
        raise NothingToShow("nothing is added.")

    monkeypatch.setattr(answers, "distortion", nothing)
    assert answers.returned(tables) == flips
    monkeypatch.setattr(answers, "flip", nothing)
    with pytest.raises(NothingToShow, match="nothing is added"):
        answers.returned(tables)


def test_answers(tables, chapter):
    """By the judges of the ledger, and with the same numbers."""
    facts = told.in_short(chapter)
    numbers = evidence_of_perturbed.amplification(tables)
    told_ = facts["answers"]["distortion"]
    assert len(told_) == len(numbers) + len(evidence_of_perturbed.drift(tables)) and "add (+1e−6)" in told_[0]
    for one, back, drift in zip(numbers, told_, told_[len(numbers) :], strict=False):
        about = f"({one.about}). It"
        assert back.startswith((f"Yes {about} comes", f"No {about} does not come back", f"Cannot say {about} ends"))
        assert drift.startswith(f"{one.about}: it ends ") and drift.endswith("from the original as its control.")
    wall, *rest = facts["answers"]["flip"]
    assert wall.startswith("Cannot say (lenet5 on digits, flip). On the line to the original accuracy falls by 64.0")
    assert wall.endswith("64.0 points (equal in all 3 replicates, no interval), symmetries removed.")
    assert rest[-1].startswith("The distance alone cannot tell: the flip itself makes 99.5 % in lenet5")


def test_a_flip_that_did_not_learn_again_is_no_minimum(small, monkeypatch):
    tables = opened(small)
    monkeypatch.setattr(evidence_of_perturbed, "_learnt", lambda tables, found, controls: found["seed"] < 0)
    wall, lost, distance = (one.text for one in answers.flip(tables))
    assert wall.startswith(
        "Cannot say. Whether it is another minimum is not known: none of 2 flipped replicates learnt again"
    )
    assert lost == "Not counted, since they did not learn again: 2 replicates of lenet5." and "alone" in distance


@pytest.mark.parametrize(
    ("ratios", "first"),
    [
        ([0.5, 0.45, 0.55], "Yes (lenet5 on digits). It comes back. It ends 0.498"),
        ([1.3, 1.5, 1.4], "No (lenet5 on digits). It does not come back. It ends 1.40"),
        ([0.99996, 0.99995, 0.99998], "No (lenet5 on digits). It does not come back. It ends 1.00"),
        ([1.07, 0.99994, 1.002], "No (lenet5 on digits). It does not come back. It ends 1.02"),
        ([6.3, 0.6, 1.0], "Cannot say (lenet5 on digits). It ends 1.56"),
    ],
)
def test_an_answer_is_what_its_interval_says(monkeypatch, ratios, first):
    number = measured("distance", np.log(ratios), RATIO, ["x"])
    about = dataclasses.replace(number, about="lenet5 on digits")
    monkeypatch.setattr(evidence_of_perturbed, "amplification", lambda tables: [about])
    monkeypatch.setattr(evidence_of_perturbed, "drift", lambda tables: [about])
    made = answers.distortion(types.SimpleNamespace(learnt=lambda: None))
    assert made[0].text.startswith(first) and made[0].sure == "95 % intervals, n = 3"
    assert made[0].decide.startswith("about " if first.startswith("Cannot say") else "")
    mean, *ends = np.mean(np.log(ratios)), *ttest_1samp(np.log(ratios), 0).confidence_interval(0.95)
    assert made[0].numbers[0][2:] == pytest.approx((3, *np.exp([mean, *ends])))


def test_many_originals_stand_behind_tabs(tmp_path):
    """Two data sets, six originals each: a figure a network, with the data sets side by side."""
    kind = {"datasets": ("a", "b"), "inits": ("x", "y", "z"), "optimizers": ("sgd", "adam"), "seeds": 2}
    kind["inits"] = ("kaiming_uniform", "kaiming_normal", "pretrained")
    sample(tmp_path, perturbations=("flip", "add"), **kind)
    made = {item.name: item for item in perturbed.returns(opened(tmp_path))}
    assert set(made) == {"returns-lenet5", "returns-resnet18-quarter"}
    assert [item.tab for item in made.values()] == ["lenet5", "resnet18-quarter"]
    assert len(made["returns-lenet5"].figure.axes) == 2
    assert len(made["returns-lenet5"].data) == 2 * 6 * 4


# --- what is missing


def test_without_perturbed_cells_one_sentence_a_question_is_said(tmp_path):
    grid_sample(tmp_path, datasets=("digits",), networks=("lenet5",), inits=("pretrained",), seeds=1)
    tables = opened(tmp_path)
    assert tables.children is None
    found = told.told(tables, "dynamics")
    assert not {item.name for item in found.exhibits} & set(told.PERTURBED)
    assert not [text for text in tables.left_out if any(f"exhibit {name} " in text for name in told.PERTURBED)]
    assert len([text for text in tables.left_out if text.endswith("study dynamics perturbs no cell.")]) == 2
    answers = told.in_short(found)["answers"]
    assert answers["distortion"] == answers["flip"] == [] and answers["learnt"]
    assert tables.faults == []


def test_the_grid_is_told_as_if_there_were_no_children(tmp_path):
    """Exhibits, facts and answers of the grid are the same with children as without."""
    kind = {"datasets": ("digits",), "networks": ("lenet5",), "inits": ("pretrained",), "seeds": 2}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    grid_sample(tmp_path / "a", **kind)
    sample(tmp_path / "b", perturbations=("flip",), **kind)
    plain, more = (opened(tmp_path / name) for name in "ab")
    without, told_ = told.told(plain, "dynamics"), told.told(more, "dynamics")
    with_ = {item.name: item for item in told_.exhibits}
    assert len(with_) > len(without.exhibits) > 10
    for item in without.exhibits:
        pd.testing.assert_frame_equal(item.data, with_[item.name].data[item.data.columns])
        assert (item.caption, item.alt) == (with_[item.name].caption, with_[item.name].alt)
    assert without.facts["replicates"] == told_.facts["replicates"]
    for one, other in zip(without.questions, told_.questions, strict=True):
        assert one["answer"] == other["answer"] or one["key"] in ("distortion", "flip") and not one["answer"]


@pytest.mark.parametrize("gone", [*TABLES, "pairs"])
def test_an_empty_table_leaves_its_exhibits_out(small, gone):
    edit(small, gone, lambda rows: rows.head(0))
    tables = opened(small)
    names = {"returns": {"triples", "returns", "amplification", "flip-geometry"}, "aftermath": {"aftermath"}}
    names |= {
        "precision": {"precision"},
        "paths": {"paths"},
        "barriers": {"barriers"},
        "pairs": {"perturbed-pairs"},
        "symmetries": {"symmetries"},
    }
    made = {item.name for item in told.drawn(tables, *told.PERTURBED)}
    assert made == {"triples", "returns", "amplification", "flip-geometry", "precision", "aftermath", "barriers",
                    "paths", "perturbed-pairs", "perturbed-features", "symmetries",
                    "symmetries-tried"} - names[gone]  # fmt: skip
    assert len(tables.left_out) == len(names[gone])
    assert all(f"{gone}.csv" in text for text in tables.left_out)
    assert len(told.facts(tables, "dynamics")["answers"]["distortion"]) == (0 if gone == "returns" else 2)
    assert tables.faults == []


def test_nothing_finished(small):
    edit(small, "runs", lambda rows: rows.assign(status="failed"))
    tables = opened(small)
    names = {item.name for item in told.drawn(tables, *told.PERTURBED)}
    assert names == {"symmetries", "symmetries-tried"}
    assert told.facts(tables, "dynamics")["answers"]["flip"] == [] and tables.faults == []


def test_without_a_control_there_is_no_comparison(small):
    """No same-order control: distances are there, ratios and amplifications are not."""
    cells = pd.read_csv(small / "cells.csv", dtype=str, keep_default_na=False)
    write_table(small / "cells.csv", cells[cells["perturbation"] != "none (same order)"])
    edit(small, "returns", lambda rows: rows[rows["pair"] != "control"])
    tables = opened(small)
    [made] = perturbed.returns(tables)
    assert made.data["ratio"].isna().all()
    assert "times that with no perturbation" not in made.caption
    assert told.facts(tables, "dynamics")["answers"]["distortion"] == []


def test_one_replicate_has_no_interval(tmp_path):
    kind = {"networks": ("lenet5",), "optimizers": ("sgd",), "seeds": 1}
    sample(tmp_path, perturbations=("flip", "add", "noise-1e-06", "noise-0.1"), **kind)
    tables = opened(tmp_path)
    made = {item.name: item for item in told.drawn(tables, *told.PERTURBED)}
    assert tables.left_out == []
    assert made["returns"].data["low"].isna().all()
    assert "there is no interval" in made["returns"].caption


def test_the_document_reads_its_own_numbers_so():
    """Both sentences of a table row follow from three norms."""
    row = mirror.reported({"slide": "flip", "architecture": "lenet5", "dataset": "fashionmnist", "first": 24.42,
                           "second": 26.06, "distance": 49.6})  # fmt: skip
    assert (row["data set"], row["relative"], row["cosine"]) == ("Fashion-MNIST", "203 %", "−0.9308")
    assert paths.CONNECTED == 0.02
