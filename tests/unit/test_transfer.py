"""The numbers of freeze-depth transfer: drops, equivalence, segments, breakpoints, trends, effects, epochs."""

import csv
import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import collect
from tests.unit import cells, summaries
from tests.unit.tables import complete, write_table
from weight_atlas import cell_table, schema
from weight_atlas.analysis.runs import accuracy
from weight_atlas.analysis.transfer import curves, drops, effects, transfer
from weight_atlas.plan import spec
from weight_atlas.stats import Equivalence

GROUPS = {
    "A": ("cat", "deer", "dog", "horse", "ship"),
    "B": ("airplane", "automobile", "bird", "frog", "truck"),
    "A1": ("bird", "cat", "deer"),
    "A2": ("frog", "horse", "dog"),
    "V": ("airplane", "automobile", "truck", "ship"),
}
BASES = {"A": 0.92, "B": 0.95, "A1": 0.90, "A2": 0.93, "V": 0.96}
TRANSFER = [name for name, table in schema.TABLES.items() if table.made_by == transfer.__name__]
LABELS = ["dataset", "network", "init", "optimizer", "experiment", "base", "mode", "depth"]
SIMILAR = (("A1", "A2"), ("V", "A2"), ("A1", "V"), ("V", "A1"))


def drop(base, target, mode, depth, deepest=10):
    """What the sample loses at a depth: a plateau, a step, and a fall; nothing of one task's own before the end."""
    share = depth / deepest
    if mode == "random":
        return 0.5 * share
    if mode == "tuned":
        return -0.004 * share
    if base == target:
        return 0.03 * (share == 1)
    far = 2 if "V" in (base, target) else 1
    return far * (0.001 if share <= 0.6 else 0.02 if share <= 0.8 else 0.08 + 0.04 * (share == 1))


class Sample:
    """Rows of cells.csv, runs, accuracies and metrics of a synthetic study of transfers."""

    def __init__(self, seeds=3, epochs=12, axes=(), noise=0.001):
        self.seeds, self.epochs, self.axes, self.noise = seeds, epochs, tuple(axes), noise
        self.random = np.random.default_rng(5)
        self.cells, self.runs, self.metrics = [], [], []
        self.seen = {}

    def cell(self, role, dataset, network="vgg11_bn", curve=("", "", "", ""), extra=None, change=0.0, outputs=10):
        """Add a cell: of a grid, or with curve = (experiment, base, mode, depth) a transfer; its id."""
        experiment, base, mode, depth = curve
        extra = extra or {}
        grid = role == "grid"
        kind = "base" if grid else "transfer"
        own = (dataset, network) if grid else (dataset, network, depth and base, mode if depth else "", depth)
        name = "-".join(map(str, (kind, *own, *extra.values())))
        first = name not in self.seen
        self.seen.setdefault(name, len(self.seen))
        cell_id = f"{name.lower()}-{self.seen[name]:08x}"
        deepest = 4 if network.startswith("lenet5") else 10
        labels = dict(zip(LABELS, (dataset, network, "default", "sgd", *map(str, curve)), strict=True))
        parent = f"base-{base}-{network}-".lower() if depth and mode != "random" else ""
        parent = next((row["cell_id"] for row in self.cells if parent and row["cell_id"].startswith(parent)), "")
        row = dict.fromkeys(schema.names("cells"), "") | {"parameters": 0}
        row |= labels | dict.fromkeys(self.axes, "") | extra
        row |= {"cell_id": cell_id, "study": "transferability", "kind": kind, "role": role, "replicates": self.seeds}
        row |= {"dataset_id": f"cifar10-{dataset.lower()}", "card": "", "group": f"{dataset}-{network}"}
        row |= {"parameters": 1, "parent": parent}
        row["cell"] = json.dumps(self.settings(row, outputs, mode, depth))
        self.cells.append(row)
        if first:
            level = BASES.get(dataset, 0.9) - (0 if grid else drop(base, dataset, mode, depth, deepest) - change)
            self.train(cell_id, level, 0.25 if grid else 0.6 + 0.1 * depth)
        return cell_id

    def settings(self, row, outputs, mode, depth):
        start = {"kind": "init", "scheme": "default"}
        if row["kind"] == "transfer":
            start = {"kind": "graft", "cell": row["parent"] or None, "take": "best", "layers": depth}
        stage = {"epochs": self.epochs, "lr": 0.1, "schedule": {"type": "constant"}}
        stage["frozen"] = 0 if mode == "tuned" else depth
        training = {"epochs": self.epochs, "optimizer": {"type": "sgd", "lr": 0.1}, "stages": [stage]}
        return cells.record(
            dataset_id=row["dataset_id"],
            classes=outputs,
            input={"channels": 3, "size": 32},
            network={"architecture": row["network"].partition("-")[0]},
            start=start,
            training=training,
            snapshots="ends",
        )

    def train(self, cell_id, level, pace):
        for seed in range(self.seeds):
            self.runs.append({"cell_id": cell_id, "seed": seed, "status": "done", "learnt": True})
            end = level + self.random.normal(0, self.noise) + 0.002 * seed
            for epoch in range(self.epochs + 1):
                test = 0.1 + (end - 0.1) * (1 - math.exp(-pace * epoch)) if epoch < self.epochs else end
                row = {"epoch": epoch, "test_accuracy": test, "valid_accuracy": test + 0.001, "valid_loss": 1.0}
                row |= {"test_loss": 1.0, "train_accuracy": test + 0.03 if epoch else math.nan}
                self.metrics.append({"cell_id": cell_id, "seed": seed, **row})

    def transfers(self, experiment, base, target, depths, modes=("frozen",), network="vgg11_bn", **more):
        for mode in modes:
            role = "transfer" if mode == "frozen" and not more.get("extra") else "extra"
            for depth in depths:
                self.cell(role, target, network, (experiment, base, mode, depth), **more)

    def write(self, folder):
        """Write cells.csv and the tables that exhibits and claims of transfer read, as collecting does."""
        folder.mkdir(parents=True, exist_ok=True)
        columns = [*dict.fromkeys([*schema.names("cells"), *LABELS]), *self.axes]
        with open(folder / "cells.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.cells)
        wanted, runs, rated, metrics = self.frames(folder)
        made = folder / "tables"
        made.mkdir(exist_ok=True)
        for name, frame in (("runs", runs), ("accuracy", rated), ("metrics", metrics)):
            write_table(made / f"{name}.csv", frame)
        for name, rows in transfer.rows(wanted, runs, rated, metrics).items():
            schema.write(made / f"{name}.csv", name, rows)
        summaries.write(made)
        complete(made)
        return folder

    def frames(self, folder):
        wanted, runs = cell_table.read(folder / "cells.csv"), pd.DataFrame(self.runs)
        own = runs[["cell_id", "seed", "status"]].itertuples(index=False, name=None)
        metrics = pd.DataFrame(self.metrics)
        done = metrics.merge(runs[["cell_id", "seed"]], on=["cell_id", "seed"])
        rows = accuracy.rows(done, list(own), dict.fromkeys(wanted, (500, 500)))
        return wanted, runs, pd.DataFrame(rows, columns=schema.names("accuracy")), metrics


def full(seeds=3, epochs=12, **more):
    """The document's study: A to B and B to B by three modes, four similar pairs, 10 and 100 outputs, a factorial."""
    made = Sample(seeds, epochs, axes=("rate", "dropout"), **more)
    for name in BASES:
        made.cell("grid", name)
    made.cell("grid", "A", "vgg11_bn-100", outputs=100)
    every = range(11)
    made.transfers("a-to-b", "A", "B", every, curves.MODES)
    made.transfers("b-to-b", "B", "B", every, ("frozen", "tuned"))
    for base, target in SIMILAR:
        made.transfers("similarity", base, target, range(1, 11))
    made.transfers("outputs", "A", "B", range(1, 11), network="vgg11_bn-100", outputs=100, change=0.001)
    for rate, gain in (("0.01", 0.028), ("0.001", 0.02)):
        for dropout in ("", "off"):
            extra = {"rate": rate} | ({"dropout": dropout} if dropout else {})
            for depth in (9, 10):
                made.cell("extra", "B", curve=("cause", "B", "frozen", depth), extra=extra, change=gain * (depth == 10))
    for depth in (9, 10):
        made.cell("extra", "B", curve=("cause", "B", "frozen", depth), extra={"dropout": "off"})
    return made


def lenet(seeds=3):
    """A study as small as a tour's: five weight layers, two tasks."""
    made = Sample(seeds, 8)
    made.cell("grid", "A", "lenet5")
    made.cell("grid", "B", "lenet5")
    made.transfers("a-to-b", "A", "B", range(5), ("frozen", "tuned"), "lenet5")
    made.transfers("b-to-b", "B", "B", range(5), network="lenet5")
    return made


@pytest.fixture(scope="module")
def sample():
    return full()


@pytest.fixture(scope="module")
def folder(sample, tmp_path_factory):
    return sample.write(tmp_path_factory.mktemp("transfer"))


def table(folder, name):
    """A table with its labels as text, empty where there is none."""
    text = dict.fromkeys(("setting", "level_a", "level_b"), str)
    frame = pd.read_csv(folder / "tables" / f"{name}.csv", dtype=text, keep_default_na=False, na_values=[""])
    return frame.fillna({column: "" for column in text if column in frame})


def of(frame, **wanted):
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def rated(folder, **wanted):
    """{seed: accuracy} of one curve and depth, from curves.csv."""
    own = of(table(folder, "curves"), **{"network": "vgg11_bn", "setting": "", "mode": "frozen"} | wanted)
    return own.set_index("seed")["accuracy"]


# --- drops and equivalence


def test_drops_are_paired_where_weights_are_shared_and_add_up(folder):
    rows = of(table(folder, "drops"), network="vgg11_bn", setting="", mode="frozen", target="B", depth=8)
    base = rated(folder, mode="base", target="B")
    across, own = (rated(folder, base=name, target="B", depth=8) for name in ("A", "B"))
    tests = {
        "D": (base - across, stats.ttest_ind(base, across, equal_var=False)),  # they share nothing
        "C": (base - own, stats.ttest_rel(base, own)),
        "S": (own - across, stats.ttest_rel(own, across)),
    }
    for quantity, (rest, expected) in tests.items():
        row = of(rows, quantity=quantity).iloc[0]
        assert row["mean"] == pytest.approx(rest.mean())
        assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval(0.95)))
        assert (row["n"], row["of"]) == (3, 3)
    means = rows.set_index("quantity")["mean"]
    assert means["D"] == pytest.approx(means["C"] + means["S"])


def test_a_network_without_a_base_of_its_target_has_no_drop(folder):
    assert of(table(folder, "drops"), network="vgg11_bn-100").empty


def test_random_layers_have_a_drop_alone(folder):
    assert set(of(table(folder, "drops"), mode="random")["quantity"]) == {"D"}


def test_unfinished_replicates_are_left_out_and_counted(tmp_path):
    made = lenet()
    lost = next(row["cell_id"] for row in made.cells if row["base"] == "A" and row["depth"] == "2")
    for run in made.runs:
        if run["cell_id"] == lost and run["seed"] == 1:
            run["status"] = "diverged"
    made.write(tmp_path)
    row = of(table(tmp_path, "drops"), base="A", mode="frozen", depth=2, quantity="D").iloc[0]
    assert (row["n"], row["of"]) == (2, 3)
    assert of(table(tmp_path, "segments"), mode="frozen", depth=2)["verdict"].tolist() == ["undecided"]
    assert len(of(table(tmp_path, "curves"), cell_id=lost)) == 2


# --- segments


def test_verdicts():
    """Tests made by hand, at a margin of 1 point."""

    def drop(mean, half90, n=3):
        return Equivalence(n, mean, mean - 2 * half90, mean + 2 * half90, mean - half90, mean + half90, math.nan)

    clear = drop(0.05, 0.002)
    assert drops.verdict(drop(0.002, 0.004), clear, [0.0]) == "generic"
    assert drops.verdict(drop(0.010, 0.009), clear, [0.1]) == "transition"
    assert drops.verdict(drop(0.002, 0.009), clear, [0.1]) == "undecided"  # neither a clear drop nor none
    assert drops.verdict(drop(-0.03, 0.009), clear, [0.1]) == "undecided"  # better than the base
    assert drops.verdict(drop(0.05, 0.002), clear, [0.0, 0.01]) == "specific"
    assert drops.verdict(drop(0.05, 0.002), clear, [0.0, 0.2]) == "transition"  # it recovers
    assert drops.verdict(drop(0.05, 0.002), drop(0.012, 0.002), [0.0]) == "transition"  # S may be below 1 point
    assert drops.verdict(drop(0.05, 0.02), drop(0.012, 0.002), [0.0]) == "undecided"  # too wide
    assert drops.verdict(drop(0.05, 0.02), clear, [0.0]) == "specific"  # wide, but the rule holds
    assert drops.verdict(drop(0.05, 0.002), None, [0.0]) == "undecided"
    assert drops.verdict(drop(0.002, 0.001, n=2), clear, [0.0]) == "undecided"
    assert drops.verdict(drop(0.02, 0.004), clear, [0.0], margin=0.03) == "generic"


def test_the_documents_thresholds():
    rule = spec.Thresholds().rule
    told = [drops.document_verdict(value, rule) for value in (0.9101, 0.91, 0.8950, 0.8949, math.nan)]
    assert told == ["generic", "transition", "transition", "specific", ""]
    assert drops.document_verdict(0.5, spec.Accuracies(generic=0.4, transition=0.3)) == "generic"


def test_segments_of_the_sample(folder):
    """Drops of 0.1, 2 and 8 to 12 points up to the 6th, 8th and 10th layer, as `drop` makes them."""
    own = of(table(folder, "segments"), network="vgg11_bn", base="A", target="B", mode="frozen", setting="")
    assert own["depth"].tolist() == list(range(1, 11))
    verdicts = own["verdict"].tolist()
    assert verdicts[:6] == ["generic"] * 6
    assert verdicts[8:] == ["specific"] * 2
    assert own["document_verdict"].tolist()[8:] == ["specific"] * 2
    found = of(table(folder, "segments"), base="V", target="A2")
    assert set(found["verdict"]) <= {"generic", "undecided"}  # nothing of A2's own to compare with


# --- breakpoints and trends


def test_breakpoints_need_depths_enough(folder, tmp_path):
    own = of(table(folder, "breakpoints"), base="A", target="B", mode="frozen", network="vgg11_bn", setting="").iloc[0]
    assert own["depths"] == 11
    assert 5.5 <= own["first"] <= 9 and own["first_low"] <= own["first"] <= own["first_high"]
    assert table(lenet().write(tmp_path), "breakpoints").empty


def test_trends_are_slopes_by_seed(folder):
    row = of(table(folder, "trends"), network="vgg11_bn", base="A", target="B", mode="frozen", setting="",
             quantity="accuracy", from_depth=1, to_depth=10).iloc[0]  # fmt: skip
    own = of(table(folder, "curves"), network="vgg11_bn", base="A", target="B", mode="frozen", setting="")
    own = own[own["depth"] >= 1].pivot(index="seed", columns="depth", values="accuracy")
    slopes = [stats.linregress(own.columns.astype(float), values).slope for values in own.to_numpy()]
    test = stats.ttest_1samp(slopes, 0)
    assert row["slope"] == pytest.approx(np.mean(slopes))
    assert row["p"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert {(1, 8), (1, 10), (0, 10)} <= set(zip(*(of(table(folder, "trends"), quantity="train_accuracy")[name]
                                                    for name in ("from_depth", "to_depth")), strict=True))  # fmt: skip


# --- effects


def test_outputs_are_compared_at_every_depth(folder):
    own = of(table(folder, "effects"), factor="outputs", quantity="accuracy")
    assert own["depth"].tolist() == list(range(1, 11))
    assert set(zip(own["level_a"], own["level_b"], strict=True)) == {("10", "100")}
    rest = rated(folder, network="vgg11_bn-100", base="A", target="B", depth=4) - rated(folder, target="B", base="A",
                                                                                       depth=4)  # fmt: skip
    row = of(own, depth=4).iloc[0]
    assert row["difference"] == pytest.approx(rest.mean())
    assert row["p"] == pytest.approx(stats.ttest_1samp(rest, 0).pvalue)
    np.testing.assert_allclose(own["q"], stats.false_discovery_control(of(
        table(folder, "effects"), factor="outputs")["p"])[of(table(folder, "effects"), factor="outputs")["quantity"]
                                                          == "accuracy"])  # fmt: skip


def test_effects_of_a_factorial_are_averaged_by_seed_first(folder):
    """Level 0.01 of the rate against the document's, over both levels of dropout."""
    row = of(table(folder, "effects"), factor="rate", level_b="0.01", depth=10, quantity="accuracy").iloc[0]
    assert row["level_a"] == ""
    levels = {name: rated(folder, base="B", target="B", depth=10, setting=name)
              for name in ("", "rate 0.01", "dropout off", "rate 0.01 · dropout off")}  # fmt: skip
    rest = (levels["rate 0.01"] - levels[""] + levels["rate 0.01 · dropout off"] - levels["dropout off"]) / 2
    assert row["n"] == 3
    assert row["difference"] == pytest.approx(rest.mean())
    assert row["p"] == pytest.approx(stats.ttest_1samp(rest, 0).pvalue)
    assert row["difference"] == pytest.approx(0.028, abs=0.004)
    step = of(table(folder, "effects"), factor="rate", level_b="0.01", depth=10, quantity="step").iloc[0]
    assert step["difference"] == pytest.approx(0.028, abs=0.004)
    every = table(folder, "effects")
    own = every[(every["factor"] != "outputs") & every["p"].notna()]
    np.testing.assert_allclose(own["q"], stats.false_discovery_control(own["p"]))


def test_the_epoch_that_is_taken_stands_among_the_suspects(tmp_path):
    """At the depths of the others: the last epoch, and the best on validation and test, against the best on
    validation. Here the deepest transfer falls by what its replicates lose in the last epoch."""
    made = full(noise=0.004)
    [deep] = {row["cell_id"] for row in made.cells if row["experiment"] == "b-to-b" and row["mode"] == "frozen"
              and row["depth"] == "10"}  # fmt: skip
    lost = {0: 0.05, 1: 0.06, 2: 0.04}
    for row in made.metrics:
        if row["cell_id"] == deep and row["epoch"] == made.epochs:
            row["test_accuracy"] -= lost[row["seed"]]
            row["valid_accuracy"] -= lost[row["seed"]]
    folder = made.write(tmp_path)
    own = of(table(folder, "effects"), factor="epoch taken", base="B", target="B")
    assert set(own["level_a"]) == {"best on validation"}
    assert set(own["level_b"]) == {"last", "best on validation and test"} and set(own["depth"]) == {9, 10}
    rows = pd.DataFrame(made.metrics)
    rows = rows[rows["cell_id"] == deep].set_index(["seed", "epoch"])
    ends = np.array([rows.loc[(seed, made.epochs), "test_accuracy"] for seed in range(3)])
    best = [rows.loc[seed].loc[1:] for seed in range(3)]
    taken = np.array([one.loc[one["valid_accuracy"].idxmax(), "test_accuracy"] for one in best])
    row = of(own, level_b="last", depth=10, quantity="accuracy").iloc[0]
    assert row["difference"] == pytest.approx((ends - taken).mean()) and row["difference"] < -0.01
    assert row["p"] == pytest.approx(stats.ttest_1samp(ends - taken, 0).pvalue)
    step = of(own, level_b="last", depth=10, quantity="step").iloc[0]
    assert step["difference"] == pytest.approx(row["difference"], abs=0.003), "at n = 9 the last epoch is the best"
    assert of(table(folder, "effects"), factor="epoch taken", base="A", target="B").empty, "no axis is compared there"


def test_the_documents_level_may_have_a_name_where_something_is_varied():
    """A factorial names all levels; the document's are those under which it has the document's cell."""
    place = curves.Curve("s", "n", "i", "o", (), "B", "B", "frozen")
    transfers = {place: {10: curves.Cell("document's", "transfer")}}
    cell = {}
    for rate, dropout in itertools.product(("0.01", "0.1"), ("off", "on")):
        name = "document's" if (rate, dropout) == ("0.1", "on") else f"{rate} {dropout}"
        cell[rate, dropout] = place._replace(setting=(("rate", rate), ("dropout", dropout)))
        transfers[cell[rate, dropout]] = {10: curves.Cell(name, "extra")}
    assert effects.factor_pairs(transfers) == {
        effects.Factor(place, "rate", "0.1", "0.01"): [(cell["0.1", one], cell["0.01", one]) for one in ("off", "on")],
        effects.Factor(place, "dropout", "on", "off"): [(cell[one, "on"], cell[one, "off"]) for one in ("0.01", "0.1")],
    }


# --- epochs


def test_epochs_to_reach_an_accuracy_and_what_is_saved(folder, sample):
    row = of(table(folder, "reach"), network="vgg11_bn", base="A", target="B", mode="frozen", depth=3, setting="",
             level="document").iloc[0]  # fmt: skip
    metrics = pd.DataFrame(sample.metrics)

    def epochs(cell):
        own = metrics[(metrics["cell_id"] == cell) & (metrics["test_accuracy"] >= 0.88) & (metrics["epoch"] >= 1)]
        return own.groupby("seed")["epoch"].min()

    replicates = of(table(folder, "curves"), network="vgg11_bn", target="B", setting="")
    cell = of(replicates, base="A", mode="frozen", depth=3)["cell_id"].iloc[0]
    base = of(replicates, mode="base")["cell_id"].iloc[0]
    assert row["reached"] == 3
    assert row["median"] == epochs(cell).median()
    assert row["saved"] == (epochs(base) - epochs(cell)).median()
    own = of(table(folder, "reach"), mode="base", target="B", level="base")
    assert (own["reached"] == own["n"]).all()


def test_runs_that_never_get_there_are_censored(folder):
    """At n = 10 A to B ends 12 points below the base."""
    row = of(table(folder, "reach"), network="vgg11_bn", base="A", target="B", mode="frozen", depth=10, setting="",
             level="base").iloc[0]  # fmt: skip
    assert row["reached"] == 0
    assert row[["median", "low", "high", "saved"]].isna().all()


# --- curves


def test_a_cell_of_two_curves_counts_in_both(folder):
    """Without a copied layer A to B and B to B, frozen or tuned, are one training."""
    own = of(table(folder, "curves"), network="vgg11_bn", target="B", depth=0, setting="")
    assert own["cell_id"].nunique() == 1
    assert set(zip(own["base"], own["mode"], strict=True)) == {
        *(("A", mode) for mode in curves.MODES), ("B", "frozen"), ("B", "tuned")}  # fmt: skip


def test_an_experiment_with_other_cells_is_a_curve_of_its_own():
    def cell(number, experiment, role):
        labels = dict(zip(LABELS, ("B", "n", "i", "o", experiment, "A", "frozen", "3"), strict=True))
        named = [{"study": "s", "kind": "transfer", "role": role, "labels": labels}]
        return {f"transfer-{number}": {"cell": cells.settings(), "named": named, "seeds": [0]}}

    found, bases = curves.curves(cell(1, "more", "extra") | cell(2, "first", "transfer"))
    assert {curve.setting: depths[3] for curve, depths in found.items()} == {
        (): ("transfer-2", "transfer"), (("experiment", "more"),): ("transfer-1", "extra")}  # fmt: skip
    assert set(bases.values()) == {None}


def test_an_axis_may_override_the_optimizer(tmp_path):
    """The curve is that of the base's own optimizer; the axis tells it apart."""
    made = Sample(axes=("rate",))
    made.cell("grid", "B")
    made.transfers("b-to-b", "B", "B", (1, 2))
    cell_id = made.cell("extra", "B", curve=("cause", "B", "frozen", 2), extra={"rate": "low"})
    made.cells[-1]["optimizer"] = "slow"
    made.write(tmp_path)
    own = of(table(tmp_path, "curves"), cell_id=cell_id)
    assert set(own["optimizer"]) == {"sgd"}
    assert len(of(table(tmp_path, "effects"), factor="rate")) == 1


def test_accuracies_are_those_of_the_best_validation_epoch(folder):
    rows = of(table(folder, "curves"), network="vgg11_bn", base="A", mode="frozen", depth=5, target="B", setting="")
    rated = pd.read_csv(folder / "tables" / "accuracy.csv")
    for row in rows.itertuples():
        own = of(rated, cell_id=row.cell_id, seed=row.seed).set_index("protocol")
        assert row.accuracy == own.loc["best_valid", "accuracy"]
        assert row.epoch == own.loc["best_valid", "epoch"]
        assert row.document_accuracy == own.loc["document", "accuracy"]


def test_a_study_without_transfers_has_empty_tables(tmp_path):
    made = Sample()
    made.cell("grid", "B")
    made.write(tmp_path)
    for name in TRANSFER:
        assert table(tmp_path, name).empty
        assert list(table(tmp_path, name).columns) == schema.names(name)


def test_collecting_writes_the_tables_of_transfer(tmp_path):
    collect.collect({}, [], [], tmp_path)
    assert all((tmp_path / f"{name}.csv").exists() for name in TRANSFER)
