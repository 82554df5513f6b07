"""The chapter on convolutional networks: exhibits and answers against numbers computed afresh."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.unit import summaries, told
from tests.unit.cells import record
from tests.unit.tables import complete, write_table
from weight_atlas import cell_table, schema
from weight_atlas.analysis.runs import accuracy, anova
from weight_atlas.reporting.exhibits.design import figures, grid, levels
from weight_atlas.reporting.exhibits.features import filters
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.shapes import Axis, Experiment, Shape
from weight_atlas.store import save_tensors

VALID, TEST = 5000, 5000
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class Study:
    """Cells, metrics and runs of one study, written as the commands write them."""

    def __init__(self, name, dataset="CIFAR-10", dataset_id="cifar10-0000", epochs=20, replicates=3, seed=0):
        self.name, self.dataset, self.dataset_id, self.epochs, self.replicates = (
            *(name, dataset, dataset_id),
            *(epochs, replicates),
        )
        self.rows, self.runs, self.metrics, self.tables, self.tensors = [], [], [], {}, {}
        self.draw = np.random.default_rng(seed)
        self.luck = self.draw.normal(0, 0.004, replicates)  # of a seed, in all cells

    def add(self, experiment, labels, network, end, **more):
        """One cell: `end` is its test accuracy, `train` that on training pictures; see `run` for the rest."""
        architecture, options = network[1], network[2] if len(network) > 2 else {}
        settings = record(
            dataset_id=more.get("dataset_id", self.dataset_id),
            **{"classes": more.get("classes", 10), "input": {"channels": 3, "size": more.get("size", 32)}},
            network={"architecture": architecture, "width": more.get("width", 1.0), "options": options},
            start=more.get("start", {"kind": "init", "scheme": "default"}),
            training={
                "optimizer": {"type": "sgd", "lr": 0.001, "momentum": 0.9} | more.get("optimizer", {}),
                "epochs": self.epochs,
                "batch_size": more.get("batch", 32),
                "stages": more.get("stages", [{"epochs": self.epochs, "frozen": 0, "lr": 0.001}]),
                "augment": {"flip": False},
            }
            | more.get("training", {}),
        )
        cell_id = f"base-{self.name}-{len(self.rows):04d}"
        self.rows.append(
            {
                **{"cell_id": cell_id, "study": self.name, "kind": "base", "role": "grid"},
                **{"dataset": more.get("dataset", self.dataset), "network": network[0]},
                **{
                    "init": settings["start"].get("scheme", "imagenet"),
                    "optimizer": settings["training"]["optimizer"]["type"],
                },
                **{"experiment": experiment, **labels, "replicates": self.replicates, "blocks": "", "parent": ""},
                **{"group": f"group-{architecture}", "dataset_id": settings["dataset_id"], "card": "", "data": "none"},
                **{"parameters": more.get("parameters", 62006), "cell": json.dumps(settings)},
            }
        )
        for seed in range(self.replicates):
            status = more.get("fate", {}).get(seed, "done")
            self.run(cell_id, seed, end + self.luck[seed] + self.draw.normal(0, 0.003), status, **more)
        return cell_id

    def run(self, cell_id, seed, end, status, train=None, speed=0.35, last=None, jump=None, **_):
        """One replicate: accuracy rises to `end`; from the epoch jump[0] on it is higher by jump[1]."""
        front = {"cell_id": cell_id, "seed": seed}
        self.runs.append(front | {"status": status, "cause": "", "epochs": self.epochs, "best_epoch": self.epochs})
        if status == "failed":
            return
        train = end + 0.05 if train is None else train
        stop = 3 if status == "diverged" else last[seed] if last else self.epochs
        for epoch in range(stop + 1):
            rise = 1 - math.exp(-speed * epoch)
            late = -jump[1] * (epoch < jump[0]) if jump else 0.0
            test = 0.1 + (end - 0.1) * rise + late + self.draw.normal(0, 0.002)
            seen = min(1, 0.1 + (train - 0.1) * (1 - math.exp(-0.8 * speed * epoch)) + late)
            stage = int(bool(jump) and epoch >= jump[0])
            row = {"epoch": epoch, "stage": stage, "rate": 1e-5 if stage else 0.001}
            row |= {"train_accuracy": seen, "test_accuracy": test, "valid_accuracy": test + self.draw.normal(0, 0.003)}
            row |= {
                "train_loss": 2.3 * (1.02 - seen),
                "test_loss": 2.3 * (1.02 - rise) + 0.9 * max(0, seen - test - 0.1),
            }
            row["valid_loss"] = row["test_loss"] * 1.01
            if epoch == 0:
                row |= {"train_accuracy": math.nan, "train_loss": math.nan}
            if status == "diverged" and epoch == stop:
                row |= {"test_loss": math.nan, "train_loss": math.nan, "valid_loss": math.nan, "test_accuracy": 0.1}
            self.metrics.append(front | row)

    def write(self, folder):
        """cells.csv, tables/ and measures/ below `folder`; returns it."""
        frame = pd.DataFrame(self.rows).fillna("")
        axes = schema.axes(frame)
        frame = frame[[*(name for name in frame if name not in axes), *axes]]
        folder.mkdir(parents=True, exist_ok=True)
        write_table(folder / "cells.csv", frame)
        runs, metrics = pd.DataFrame(self.runs), pd.DataFrame(self.metrics)
        (folder / "tables").mkdir(exist_ok=True)
        write_table(folder / "tables" / "runs.csv", runs)
        write_table(folder / "tables" / "metrics.csv", metrics)
        counts = dict.fromkeys(frame["cell_id"], (VALID, TEST))
        ended = list(runs[["cell_id", "seed", "status"]].itertuples(index=False, name=None))
        rows = accuracy.rows(metrics, ended, counts)
        schema.write(folder / "tables" / "accuracy.csv", "accuracy", rows)
        reached = pd.DataFrame(rows, columns=schema.names("accuracy"))
        found = anova.rows(cell_table.read(folder / "cells.csv"), runs, reached, metrics)
        schema.write(folder / "tables" / "anova.csv", "anova", found)
        for name, own in self.tables.items():
            schema.write(folder / "tables" / f"{name}.csv", name, own)
        summaries.write(folder / "tables")
        complete(folder / "tables")
        for group, own in self.tensors.items():
            save_tensors(folder / "measures" / group / "filters.safetensors", own)
        return folder


TUTORIAL = ("tutorial", "tutorial", {"dropout": 0.0, "batchnorm": False, "double": False})
ADAM, SGD = {"type": "adam", "lr": 0.001}, {"type": "sgd", "lr": 0.001, "momentum": 0.92}
XAVIER = {"kind": "init", "scheme": "xavier_uniform"}
IMAGENET = {"kind": "weights", "weights_id": "vgg16-imagenet-12345678"}


def model(letter, **options):
    """The network of a model: its label, architecture and options."""
    plain = {"A": {"batchnorm": True, "dropout": 0.0}}.get(letter, {"batchnorm": True, "dropout": 0.5})
    return letter, f"convnet_{letter.lower()}", plain | options


# step -> (network, settings, test accuracy, training accuracy)
STEPS = {
    "tutorial": (TUTORIAL, {"optimizer": SGD}, 0.628, 0.67),
    "adam": (TUTORIAL, {"optimizer": ADAM}, 0.645, 0.71),
    "dropout": (("tutorial-dropout", "tutorial", TUTORIAL[2] | {"dropout": 0.4}), {"optimizer": ADAM}, 0.612, 0.58),
    "batchnorm": (("tutorial-bn", "tutorial", TUTORIAL[2] | {"batchnorm": True}), {"optimizer": ADAM}, 0.669, 0.75),
    "double": (("tutorial-double", "tutorial", TUTORIAL[2] | {"double": True}), {"optimizer": ADAM}, 0.712, 0.80),
    "A": (model("A"), {"optimizer": ADAM, "parameters": 4_460_490}, 0.793, 0.981),
    "A-no-bn": (model("A", batchnorm=False), {"optimizer": ADAM}, 0.771, 0.975),
    "A-xavier": (model("A"), {"optimizer": ADAM, "start": XAVIER}, 0.794, 0.983),
    "A-dropout": (model("A", dropout=0.5), {"optimizer": ADAM}, 0.812, 0.94),
    "B": (model("B"), {"optimizer": ADAM, "start": XAVIER, "batch": 125}, 0.801, 0.962),
    "B-no-bn": (model("B", batchnorm=False), {"optimizer": ADAM, "start": XAVIER, "batch": 125}, 0.742, 0.90),
    "B-sgd": (model("B"), {"optimizer": SGD, "start": XAVIER, "batch": 125}, 0.752, 0.93),
    "C": (model("C"), {"optimizer": ADAM, "start": XAVIER, "batch": 125}, 0.828, 0.968),
}
RATES = {"0.1": 0.1, "0.01": 0.575, "0.001": 0.626, "0.0001": 0.52, "0.00001": 0.31}
MOMENTA = {"0.85": 0.618, "0.9": 0.625, "0.92": 0.629, "0.95": 0.627, "0.99": 0.55, "1.0": 0.1, "1.2": 0.1}
FEATURES = {
    "all": (("vgg16", "vgg16", {"blocks": 5}), 0.705, 0.977),
    "four-blocks": (("vgg16-four", "vgg16", {"blocks": 4}), 0.52, 0.999),
    "three-blocks": (("vgg16-three", "vgg16", {"blocks": 3}), 0.28, 0.999),
}
FROZEN = {"all": 15, "four-blocks": 10, "three-blocks": 7}


def full(epochs=20, **scale):
    """The study with all of its experiments, in full as the ledger counts it."""
    made = Study("convnets", epochs=epochs, **scale)
    for rate, end in RATES.items():
        made.add(
            "rates", {"rate": rate}, TUTORIAL, end, optimizer={"lr": float(rate)}, speed=0.2 if end < 0.6 else 0.35
        )
    for momentum, end in MOMENTA.items():
        gone = dict.fromkeys(range(3), "diverged") if end == 0.1 else {2: "diverged"} if momentum == "0.99" else {}
        made.add("momentum", {"momentum": momentum}, TUTORIAL, end, optimizer={"momentum": float(momentum)}, fate=gone)
    for step, (network, settings, end, train) in STEPS.items():
        fate = {1: "failed"} if step == "B-sgd" else {}
        made.add("path", {"step": step}, network, end, train=train, fate=fate, **settings)
    for level, (network, end, train) in FEATURES.items():
        cell = made.add("last-layer", {"features": level}, network, end, train=train, start=IMAGENET, speed=0.6,
                        dataset="Caltech-256", dataset_id="256_objectcategories-0000", size=224, classes=256,
                        stages=[{"epochs": epochs, "frozen": FROZEN[level], "lr": 0.001}])  # fmt: skip
        if level == "all":
            pictured(made, cell, "group-vgg16", 64, 3, 224)
    for level in ("drawn", "identical", "identical-both"):
        step = {"type": "identical", "layers": ["conv1"], "outgoing": level == "identical-both"}
        scheme = {"kind": "init", "scheme": "default", "steps": [] if level == "drawn" else [step]}
        end = {"drawn": 0.63, "identical": 0.58, "identical-both": 0.41}[level]
        cell = made.add("filters", {"filters": level}, TUTORIAL, end, start=scheme)
        pictured(made, cell, "group-tutorial", 6, 5, 32, alike=level != "drawn")
        alike(made, cell, level, epochs)
    return made


def alike(made, cell, level, epochs):
    """The rows of identical.csv of one cell."""
    rows = made.tables.setdefault("identical", [])
    for seed, epoch in itertools.product(range(made.replicates), (0, 1, 5, 10, epochs)):
        grown = 1.2 * (1 - math.exp(-epoch / 4)) * (1 + 0.1 * seed)
        distinct, spread = {
            "drawn": (6, 1.6 + grown / 5),
            "identical": (6 if epoch else 1, grown),
            "identical-both": (1 if epoch < 5 else 3, 2e-7 * epoch),
        }[level]
        rows.append((cell, seed, epoch, "conv1", 6, distinct, spread))


def pictured(made, cell, group, count, kernel, size, alike=False):
    """Filters that look like edges and colours, and what they make of a picture of discs."""
    kept, draw_ = made.tensors.setdefault(group, {}), np.random.default_rng(1)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    picture = np.stack([160 + 90 * np.sin(3 * x + shift) * np.cos(4 * y) for shift in range(3)])
    picture[:, (x - 0.2) ** 2 + (y + 0.1) ** 2 < 0.3] = np.array([[220], [120], [60]])
    grid_ = np.mgrid[-1 : 1 : kernel * 1j, -1 : 1 : kernel * 1j]
    weights = np.zeros((count, 3, kernel, kernel))
    for at in range(count):
        angle, phase = draw_.uniform(0, 2 * np.pi, 2)
        wave = np.cos(2.5 * (np.cos(angle) * grid_[0] + np.sin(angle) * grid_[1]) + phase)
        weights[at] = wave * draw_.normal(0, 1, (3, 1, 1)) + draw_.normal(0, 0.2, (3, kernel, kernel))
    if alike:
        weights = weights[:1] + draw_.normal(0, 0.05, weights.shape)
    windows = np.lib.stride_tricks.sliding_window_view(picture / 255 - 0.5, (kernel, kernel), axis=(1, 2))
    first = np.einsum("chwij,ocij->ohw", windows, weights)
    last_ = np.stack([np.roll(first[at % count, :: size // 14, :: size // 14], at, 0) for at in range(16)])
    kept[f"{cell}/seed0/weights"] = weights.astype(np.float32)
    kept[f"{cell}/seed0/first"], kept[f"{cell}/seed0/last"] = first.astype(np.float16), last_.astype(np.float16)
    kept[f"{cell}/picture"] = picture.clip(0, 255).astype(np.uint8)


CARDS = {
    "cifar10-0000": {"dataset_id": "cifar10-0000", "counts": {"train": [5000] * 10}, "classes": CLASSES},
    "256_objectcategories-0000": {
        "dataset_id": "256_objectcategories-0000",
        "counts": {"train": [32] * 256},
        "classes": [],
    },
}


# The step that each step of the path changes.
AFTER = {
    **{"adam": "tutorial", "dropout": "adam", "batchnorm": "adam", "double": "adam", "A": "double"},
    **{"A-no-bn": "A", "A-xavier": "A", "A-dropout": "A", "B": "A", "B-no-bn": "B", "B-sgd": "B", "C": "B"},
}


def numeric(name, levels, setting):
    """An axis whose levels are numbers."""
    ordered = tuple(sorted(levels, key=float))
    return Axis(name, ordered, tuple(map(float, ordered)), setting, ordered[0])


def asked(study, name, shapes, axes, of="accuracy"):
    """An experiment as the plan knows it."""
    return Experiment(study, name, shapes, axes, (), True, "", (of,))


EXPERIMENTS = [
    asked("convnets", "rates", (Shape.SWEEP,), (numeric("rate", RATES, "training.optimizer.lr"),)),
    asked("convnets", "momentum", (Shape.SWEEP,), (numeric("momentum", MOMENTA, "training.optimizer.momentum"),)),
    asked("convnets", "path", (Shape.PATH,), (Axis("step", tuple(STEPS), reference="tutorial", after=AFTER),)),
    asked("convnets", "last-layer", (Shape.COMPARISON,), (Axis("features", tuple(FEATURES), reference="all"),)),
    asked("convnets", "filters", (Shape.COMPARISON,), (Axis("filters", ("drawn", "identical", "identical-both")),)),
]


def opened(folder, study="convnets", cards=CARDS, experiments=EXPERIMENTS):
    """The Tables of a written sample, with the document, the cards and the experiments as draw.py fills them."""
    found = Tables(study, folder / "cells.csv", folder / "tables", folder / "measures")
    found.document = told.reported(study)
    found.cards = cards
    names = found.values("experiment") if "experiment" in found.cells else []
    found.experiments = [experiment for experiment in experiments if experiment.name in names]
    return found


def check_words(items):
    """What every exhibit has: words without what a program says of nothing."""
    assert len({item.name for item in items}) == len(items)
    for item in items:
        for text in (item.caption, item.alt, item.title, item.tab):
            assert text == text.strip(), item.name
            for word in ("nan", "None", "  ", "..", "inf]"):
                assert word not in text, (item.name, word, text)
        assert item.caption and item.alt and item.title and len(item.data), item.name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return full().write(tmp_path_factory.mktemp("convnets"))


@pytest.fixture(scope="module")
def sample(folder):
    return opened(folder)


@pytest.fixture(scope="module")
def exhibits(sample):
    return {item.name: item for item in told.exhibits(sample, "convnets")}


def values(folder, experiment, axis, level, protocol="best_valid"):
    """Accuracies of a level, by seed, as they stand in the files."""
    own = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    cell = own[(own["experiment"] == experiment) & (own[axis] == level)]["cell_id"].iloc[0]
    runs = pd.read_csv(folder / "tables" / "runs.csv")
    found = pd.read_csv(folder / "tables" / "accuracy.csv").merge(runs[["cell_id", "seed", "status"]])
    found = found[(found["cell_id"] == cell) & (found["protocol"] == protocol) & (found["status"] == "done")]
    return found.set_index("seed")["accuracy"]


# --- exhibits


def test_every_exhibit_is_there(sample, exhibits):
    assert set(exhibits) == {
        *("networks", "documented-last-layer"),
        *(f"diagram-{name}" for name in ("a", "b", "c", "tutorial", "tutorial-dropout", "tutorial-bn")),
        *(f"diagram-{name}" for name in ("tutorial-double", "vgg16", "vgg16-four", "vgg16-three")),
        *("path-levels", "path-settings", "path-course-models-a-b-c", "path-course", "path-gap", "identical"),
        *(f"{name}-{kind}" for name in ("rates", "momentum") for kind in ("levels", "lines", "table")),
        *(f"last-layer-{kind}" for kind in ("levels", "course", "gap", "table")),
        *(f"filter-activations-default-filters-{level}" for level in ("drawn", "identical", "identical-both")),
        *(f"filter-weights-default-filters-{level}" for level in ("drawn", "identical")),  # both have the same ones
        *("filter-weights-imagenet-last-layer-all", "filter-activations-imagenet-last-layer-all"),
    }  # fmt: skip
    check_words(list(exhibits.values()))
    shared = exhibits["filter-weights-default-filters-identical"]
    assert shared.tab == "default · filters · identical and default · filters · identical-both"
    assert "default · filters · identical-both has the same." in shared.caption
    assert sample.left_out == []


def test_what_a_step_buys_is_paired_by_seed(folder, sample, exhibits):
    gains = levels.read(sample, sample.experiment("path")).differences
    assert {gain["level"]: gain["to"] for gain in gains} == AFTER
    for gain in gains:
        sides = [values(folder, "path", "step", gain[key]) for key in ("level", "to")]
        both = sorted(set(sides[0].index) & set(sides[1].index))
        expected = stats.ttest_rel(sides[0][both], sides[1][both])
        low, high = expected.confidence_interval(0.95)
        assert [gain[key] for key in ("mean", "low", "high", "p")] == pytest.approx(
            [(sides[0] - sides[1]).dropna().mean(), low, high, expected.pvalue]
        )
        assert gain["n"] == (2 if "B-sgd" in (gain["level"], gain["to"]) else 3)
    q = stats.false_discovery_control([gain["p"] for gain in gains])
    assert [gain["q"] for gain in gains] == pytest.approx(q)
    shown = exhibits["path-levels"].data.query("protocol == 'best_valid'").set_index("step")
    for gain in gains:
        own = shown.loc[gain["level"]]
        assert own["to"] == gain["to"] and own["difference_n"] == gain["n"]
        numbers = own[["difference", "difference_low", "difference_high", "p", "q"]].tolist()
        assert numbers == pytest.approx([gain[key] for key in ("mean", "low", "high", "p", "q")])
    texts = [text.get_text() for text in exhibits["path-levels"].figure.axes[1].texts]
    assert texts[0] == "the start" and texts[1] == "after tutorial" and "after B (2/3)" in texts


def test_methods_beside_the_document(folder, exhibits):
    table = exhibits["path-settings"].data.set_index("step")
    assert table.loc["B", ["batchnorm", "start", "optimizer", "dropout", "batch size"]].tolist() == [
        *("yes", "xavier uniform", "adam", "0.5", "125"),
    ]
    assert table.loc["A", "document"] == "79.51 % (train 98.01 %)" and table.loc["A-no-bn", "document"] == ""
    for protocol, heading in (
        ("last", "last epoch"),
        ("best_valid", "best validation"),
        ("document", "document's own"),
    ):
        own = values(folder, "path", "step", "A", protocol) * 100
        low, high = stats.ttest_1samp(own, 0).confidence_interval(0.95)
        assert table.loc["A", heading] == f"{own.mean():.1f} ± {(high - low) / 2:.1f}"
    assert table.loc["B-sgd", "done"] == "2 of 3 (1 failed)"


def test_the_gap_is_train_less_test_at_the_last_epoch(folder, exhibits):
    data = exhibits["path-gap"].data
    metrics, own = pd.read_csv(folder / "tables" / "metrics.csv"), pd.read_csv(folder / "cells.csv", dtype=str)
    cell = own.loc[own["step"] == "A", "cell_id"].iloc[0]
    rows = metrics[(metrics["cell_id"] == cell) & (metrics["epoch"] == 20)]
    shown = data[(data["step"] == "A") & (data["quantity"] == "gap")].iloc[0]
    assert shown["mean"] == pytest.approx((rows["train_accuracy"] - rows["test_accuracy"]).mean())
    assert shown["n"] == 3


def test_a_sweep_shows_diverged_runs_and_averages_none(folder, exhibits):
    data = exhibits["momentum-levels"].data
    counts = data[data["protocol"] == "best_valid"].set_index("momentum")["n"].to_dict()
    assert counts == {"0.85": 3, "0.9": 3, "0.92": 3, "0.95": 3, "0.99": 2, "1.0": 0, "1.2": 0}
    assert "7 diverged" in exhibits["momentum-levels"].caption
    crosses = [line for line in exhibits["momentum-levels"].figure.axes[0].lines if line.get_marker() == "X"]
    assert [line.get_xdata()[0] for line in crosses] == [0.99, 1.0, 1.2]
    lines = [line for axes in exhibits["momentum-lines"].figure.axes for line in axes.lines]
    assert sum(len(line.get_xdata()) for line in lines if line.get_marker() == "X") == 7
    table = exhibits["momentum-table"].data.set_index("momentum")
    assert table.loc["1.2", "best validation"] == "none" and table.loc["1.2", "done"] == "0 of 3 (3 diverged)"
    assert (table["to the best"] == "best").sum() == 1


def test_a_sweep_of_which_one_level_finished_is_drawn_in_rows(tmp_path):
    """No scale for a single point: each level has a row, and says there what became of its runs."""
    made = Study("convnets", epochs=20)
    for momentum, fate in (("0.9", {}), ("1.2", dict.fromkeys(range(3), "diverged"))):
        optimizer = {"momentum": float(momentum)}
        made.add("momentum", {"momentum": momentum}, TUTORIAL, 0.6, optimizer=optimizer, fate=fate)
    axis = numeric("momentum", ("0.9", "1.2"), "training.optimizer.momentum")
    found = opened(made.write(tmp_path), experiments=[asked("convnets", "momentum", (Shape.SWEEP,), (axis,))])
    [shown] = figures.by_level(found, found.experiment("momentum"))
    axes = shown.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.9", "1.2"]
    assert [text.get_text() for text in axes.texts] == ["✕ 3 diverged"]
    assert axes.get_xlabel() == "test accuracy (%)" and not any(line.get_marker() == "X" for line in axes.lines)


def test_numbers_are_in_order_on_the_axis(exhibits):
    labels = [label.get_text() for label in exhibits["rates-levels"].figure.axes[0].get_xticklabels()]
    assert labels == ["0.00001", "0.0001", "0.001", "0.01", "0.1"]


def test_the_last_layer_beside_the_document(exhibits):
    table = exhibits["last-layer-table"].data.set_index("features")
    assert table.loc["all", ["document, train", "document, test"]].tolist() == ["97.73 %", "71.19 %"]
    assert table.loc["four-blocks", "document, test"] == "5 (cut off)"
    assert table.loc["all", "to all"] == "reference" and "paired by seed" in exhibits["last-layer-table"].caption


def test_filters_are_shown_as_they_are(exhibits):
    item = exhibits["filter-weights-default-filters-drawn"]
    assert item.raster and item.tab.endswith("drawn") and len(item.data) == 6
    shown = [axes for axes in item.figure.axes if axes.images]
    assert len(shown) == 6 and shown[0].images[0].get_array().shape == (5, 5, 3)
    many = exhibits["filter-weights-imagenet-last-layer-all"]
    assert len([axes for axes in many.figure.axes if axes.images]) == 64
    maps = exhibits["filter-activations-default-filters-drawn"]
    assert maps.data["layer"].value_counts().to_dict() == {"last": 16, "first": 6}


def test_filters_of_a_grey_network_have_one_scale():
    assert filters.tile(np.array([[[1.0, 3.0]]] * 3)).tolist() == [[[0, 0, 0], [1, 1, 1]]]
    assert filters.tile(np.ones((3, 2, 2))).tolist() == np.zeros((2, 2, 3)).tolist()


def test_filters_that_begin_alike(sample, exhibits):
    found = filters.outcome(filters.identical_rows(sample)[1])
    assert set(found) == {"drawn", "incoming", "both"}
    assert found["incoming"]["end"] == [6, 6] and not found["incoming"]["equal"]
    assert found["both"]["equal"] and found["both"]["end"] == [3, 3]
    data = exhibits["identical"].data
    own = data[(data["quantity"] == "distinct") & (data["variant"] == "incoming") & (data["epoch"] == 0)]
    assert own["mean"].tolist() == [1]


def test_facts_count_every_cell_once(tmp_path):
    """One cell in two experiments has two rows of cells.csv and counts once."""
    made = full()
    made.rows.append(made.rows[0] | {"experiment": "momentum", "rate": "", "momentum": "0.8"})
    found = opened(made.write(tmp_path))
    facts = told.facts(found, "convnets")
    assert facts["cells"] == len(made.rows) - 1
    assert facts["replicates"]["asked"] == 3 * facts["cells"]
    assert grid.cells_of(found, found.experiment("momentum")).status()["asked"].tolist() == [3] * 8
    assert set(facts["answers"]) == {"parts", "gap", "rate", "momentum", "last-layer", "filters"}
    assert all(facts["answers"].values())


# --- what is not there


def test_a_study_without_an_experiment_leaves_its_exhibits_out(tmp_path):
    made = Study("convnets", epochs=3)
    for rate, end in RATES.items():
        made.add("rates", {"rate": rate}, TUTORIAL, end, optimizer={"lr": float(rate)})
    found = opened(made.write(tmp_path))
    chapter = told.told(found, "convnets")
    names = [item.name for item in chapter.exhibits]
    assert names == ["networks", "diagram-tutorial", "rates-levels", "rates-lines", "rates-table"]
    assert any("asks for no experiment path" in text for text in found.left_out)
    answers = told.in_short(chapter)["answers"]
    assert answers["rate"] and not answers["parts"] and not answers["momentum"]


def test_a_plain_grid_has_nothing_to_show(tmp_path):
    made = full()
    for row in made.rows:
        row.pop("experiment")
    found = opened(made.write(tmp_path))
    chapter = told.told(found, "convnets")
    assert {item.name.split("-")[0] for item in chapter.exhibits} == {"networks", "diagram", "filter", "identical"}, (
        "they need no experiment"
    )
    assert found.faults == []
    for question in told.chapter("convnets").questions[:-1]:
        for part in question.exhibits:
            said = any(f" {part.name} " in text or question.heading in text for text in found.left_out)
            assert said or part.name in ("sources", "networks", "diagrams"), part.name  # no cell is a source


def test_nothing_finished(tmp_path):
    made = full()
    for run in made.runs:
        run["status"] = "failed"
    made.metrics = [row for row in made.metrics if row["epoch"] == 0]
    made.tables = {}
    found = opened(made.write(tmp_path))
    assert told.facts(found, "convnets")["replicates"]["done"] == 0


def test_one_replicate_has_no_interval_and_no_test(tmp_path):
    found = opened(full(replicates=1).write(tmp_path))
    items = told.exhibits(found, "convnets")
    check_words(items)
    assert len(items) > 15
    assert all(math.isnan(gain["q"]) for gain in levels.read(found, found.experiment("path")).differences)


def test_it_is_written_and_the_same_twice(folder, sample, tmp_path):
    for name in "ab":
        items = told.drawn(sample, "levels", experiment="rates")
        exhibit.write(tmp_path / name, items, {"chapter": "convnets"}, [])
    assert (tmp_path / "a/rates-levels.svg").exists()
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
