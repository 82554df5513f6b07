"""The chapter on CINIC-10: exhibits and answers against numbers computed afresh from the tables."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_reporting_convnets import ADAM, CLASSES, IMAGENET, Study, asked, check_words, numeric
from test_reporting_convnets import opened as opened_of

from tests.unit import told
from weight_atlas.reporting.exhibits.design import staged
from weight_atlas.shapes import Axis, Experiment, Shape
from weight_atlas.store import save_tensors

COUNT = "block-count"
BLOCKS, KERNELS = ("1", "3", "5"), ("2", "3", "4", "5")
ALPHAS, LAMBDAS, DROPOUTS = ("0.2", "0.5", "0.8"), ("0.001", "0.01", "0.1"), ("0.1", "0.3", "0.5")
HANDMADE = {"blocks": 3, "kernel": 3, "dropout": 0.2}
# augmentation -> (test accuracy, training accuracy, what a copy is changed by)
KINDS = {
    "none": (0.663, 0.96, None),
    "duplicate": (0.661, 0.985, {}),
    "brightness": (0.668, 0.93, {"brightness": 0.5}),
    "flip": (0.684, 0.89, {"flip": "both"}),
    "rotation": (0.675, 0.88, {"rotation": 90.0}),
    "zoom": (0.683, 0.90, {"zoom": [0.5, 1.0]}),
    "cutout": (0.677, 0.92, {"cutout": 12}),
}
CARDS = {"cinic-10-0000": {"dataset_id": "cinic-10-0000", "counts": {"train": [9000] * 10}, "classes": CLASSES}}


DIAGRAMS = ["diagram-handmade", "diagram-simple-cnn", "diagram-vgg19-dense"]


def full(epochs=20, dataset="CINIC-10", dataset_id="cinic-10-0000", failing=False, **scale):
    """The study with all of its experiments, in full as the ledger counts it; failing: one run of a grid fails."""
    made = Study("cinic", dataset, dataset_id, epochs=epochs, **scale)
    stop = [epochs - 4, epochs, epochs - 2, epochs, epochs][: made.replicates] if epochs > 4 else None
    network = ("handmade", "handmade_resnet", HANDMADE)
    made.add("handmade", {}, network, 0.692, train=0.83, optimizer=ADAM, last=stop, parameters=299_754)
    for blocks, kernel in itertools.product(BLOCKS, KERNELS):
        at, size = BLOCKS.index(blocks), KERNELS.index(kernel)
        end = 0.655 + (0.004, 0.0, -0.05)[at] + 0.012 * size * (1 - 0.35 * at)
        options = HANDMADE | {"blocks": int(blocks), "kernel": int(kernel)}
        fate = {0: "failed"} if failing and (blocks, kernel) == ("5", "5") else {}
        made.add("blocks", {COUNT: blocks, "kernel": kernel}, ("handmade", "handmade_resnet", options), end, fate=fate,
                 optimizer=ADAM)  # fmt: skip
    for alpha, strength, dropout in itertools.product(ALPHAS, LAMBDAS, DROPOUTS):
        end = 0.68 - 0.012 * LAMBDAS.index(strength) - 0.03 * DROPOUTS.index(dropout) + 0.001 * ALPHAS.index(alpha)
        options = HANDMADE | {"dropout": float(dropout)}
        penalty = {"penalty": {"alpha": float(alpha), "weight": float(strength)}}
        labels = {"alpha": alpha, "lambda": strength, "dropout": dropout}
        made.add("penalty", labels, ("handmade", "handmade_resnet", options), end, optimizer=ADAM, training=penalty)
    for kind, (end, train, change) in KINDS.items():
        copies = {} if change is None else {"copies": [{"flip": False}, {"flip": False} | change]}
        simple = ("simple_cnn", "simple_cnn")
        made.add("augmentation", {"augmentation": kind}, simple, end, train=train, training=copies, optimizer=ADAM)
    half = epochs // 2
    phases = [{"epochs": half, "frozen": 16, "lr": 0.001}, {"epochs": half, "frozen": 0, "lr": 0.00001}]
    made.add("transfer", {}, ("vgg19_dense", "vgg19_dense"), 0.726, train=0.80, optimizer=ADAM, stages=phases,
             start=IMAGENET, jump=(half + 1, 0.15), speed=1.0, parameters=20_817_482)  # fmt: skip
    return made


def factorial(name, *axes):
    """A grid of settings that is told by validation accuracy."""
    return asked("cinic", name, (Shape.FACTORIAL,), tuple(numeric(*axis) for axis in axes), "valid_accuracy")


AUGMENTATION = Axis("augmentation", tuple(KINDS), reference="none")
EXPERIMENTS = [
    asked("cinic", "handmade", (), ()),
    factorial("blocks", (COUNT, BLOCKS, "network.options.blocks"), ("kernel", KERNELS, "network.options.kernel")),
    factorial(
        "penalty",
        ("alpha", ALPHAS, "training.penalty.alpha"),
        ("lambda", LAMBDAS, "training.penalty.weight"),
        ("dropout", DROPOUTS, "network.options.dropout"),
    ),
    asked("cinic", "augmentation", (Shape.COMPARISON, Shape.AUGMENTED), (AUGMENTATION,)),
    asked("cinic", "transfer", (Shape.STAGED,), ()),
]


def opened(folder):
    return opened_of(folder, "cinic", CARDS, EXPERIMENTS)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A data set's file of ten classes, each a square of its own colour on grey."""
    path = tmp_path_factory.mktemp("pictures") / "cinic.safetensors"
    images = np.full((30, 3, 32, 32), 120, np.uint8)
    labels = np.arange(30) % 10
    for image, label in zip(images, labels, strict=True):
        image[:, 4:20, 8:28] = np.array([[[20 * label]], [[255 - 20 * label]], [[128]]])
        image[:, 20:28, 4:12] = 255
    split = np.repeat([0, 1, 2], 10).astype(np.uint8)
    save_tensors(path, {"images": images, "labels": labels.astype(np.int64), "split": split})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    made = full()
    for row in made.rows:
        row["data"] = str(pictures)
    return made.write(tmp_path_factory.mktemp("cinic"))


@pytest.fixture(scope="module")
def sample(folder):
    return opened(folder)


@pytest.fixture(scope="module")
def exhibits(sample):
    return {item.name: item for item in told.exhibits(sample, "cinic")}


def runs(folder, experiment, *axes):
    """One row a finished replicate of an experiment: seed, its axes, and numbers computed from metrics.csv."""
    own = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    own = own[own["experiment"] == experiment][["cell_id", *axes]]
    metrics = pd.read_csv(folder / "tables" / "metrics.csv")
    metrics = metrics[metrics["epoch"] >= 1].sort_values("epoch")
    rows = []
    for (cell, seed), part in metrics.groupby(["cell_id", "seed"]):
        best, last = part.loc[part["valid_accuracy"].idxmax()], part.iloc[-1]
        rows.append({"cell_id": cell, "seed": seed, "valid": best["valid_accuracy"], "test": best["test_accuracy"],
                     "gap": last["train_accuracy"] - last["test_accuracy"]})  # fmt: skip
    return pd.DataFrame(rows).merge(own, on="cell_id")


def t(values):
    """[mean, low, high] by Student's t."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    return [np.mean(values), low, high]


# --- exhibits


def test_every_exhibit_is_there(sample, exhibits):
    assert set(exhibits) == {
        *(*DIAGRAMS, "networks", "handmade-course", "transfer-course", "transfer-stages", "compared", "compared-table"),
        *(
            f"{name}-{kind}"
            for name in ("blocks", "penalty")
            for kind in ("means", "levels", "interactions", "effects")
        ),
        *(f"{name}-anova-{kind}" for name in ("blocks", "penalty") for kind in ("valid-accuracy", "accuracy", "gap")),
        *("blocks-table", "penalty-table"),
        *(f"augmentation-{kind}" for kind in ("examples", "effects", "gap", "course", "table")),
    }
    check_words(list(exhibits.values()))
    assert sample.left_out == []


def test_the_grid_shows_validation_accuracy(folder, exhibits):
    rows = runs(folder, "blocks", COUNT, "kernel")
    data = exhibits["blocks-means"].data.set_index([COUNT, "kernel"])
    for key, own in rows.groupby([COUNT, "kernel"]):
        shown = data.loc[key]
        assert shown["n"] == len(own) == 3
        assert shown[["mean", "low", "high"]].tolist() == pytest.approx(t(own["valid"]))
    texts = [text.get_text() for text in exhibits["blocks-means"].figure.axes[0].texts]
    assert len(texts) == 24


def test_examples_are_of_the_changes_alone(exhibits):
    item = exhibits["augmentation-examples"]
    assert item.raster and item.data["augmentation"].tolist() == ["as it is", *list(KINDS)[2:]]
    assert set(item.data["images"]) == {10}


def test_unfreezing_is_the_jump_between_two_stages(folder, sample, exhibits):
    jumps = staged.unfrozen(sample.part(experiment="transfer"))
    assert set(jumps["epoch"]) == {11}
    own, metrics = pd.read_csv(folder / "cells.csv"), pd.read_csv(folder / "tables" / "metrics.csv")
    cell = own.loc[own["experiment"] == "transfer", "cell_id"].iloc[0]
    rows = metrics[metrics["cell_id"] == cell].set_index(["epoch", "seed"])["valid_accuracy"]
    assert jumps.set_index("seed")["valid_jump"].tolist() == pytest.approx((rows[11] - rows[10]).tolist())
    words = "10 epochs with 16 layers frozen at a learning rate of 0.001, then 10 epochs with no layer frozen"
    assert f"{words} at a learning rate of 0.00001" in exhibits["transfer-course"].caption
    change = f"clearly raises validation accuracy: {100 * jumps['valid_jump'].mean():+.1f} points"
    answer, *_ = staged.answer(sample, Experiment("cinic", "transfer", (), (), (), True, "", ()))
    assert change in answer.text
    for name in ("transfer-course", "compared"):
        assert "CINIC-10's test images hold CIFAR-10's and 70,000 of ImageNet's" in exhibits[name].caption


def test_a_run_that_stopped_early_is_said(exhibits):
    assert "2 of 3 runs ended by themselves after 16 to 18 epochs" in exhibits["handmade-course"].caption


def test_facts(sample):
    facts = told.facts(sample, "cinic")
    assert facts["cells"] == 1 + 12 + 27 + 7 + 1
    assert all(facts["answers"].values())
    assert "block-count 1, kernel 5" in facts["answers"]["blocks"][0]
    assert "dropout" in facts["answers"]["penalty"][1]
    rows = pd.read_csv(sample.folder / "anova.csv")
    rows = rows[(rows["outcome"] == "valid_accuracy") & rows["q"].notna()]
    for experiment, own in rows.groupby("experiment"):
        text = facts["answers"][experiment][1]
        clear = own[own["q"] < 0.05]
        assert text.startswith("Validation accuracy clearly depends on ") and text.count("ω²") == len(clear) > 2
        top = own.loc[own["omega"].idxmax()]
        low, high = (f"{top[end]:.2g}" for end in ("low", "high"))
        assert f"(partial ω² {top['omega']:.2g} [{low}, {high}], q < 0.001)" in text
    [text] = facts["answers"]["handmade"]
    own = runs(sample.folder.parent, "handmade")
    ends = pd.read_csv(sample.folder / "accuracy.csv").query("protocol == 'last'")
    mean = ends[ends["cell_id"].isin(own["cell_id"])]["accuracy"].mean()
    assert f"is {100 * mean:.1f} ± " in text and "handmade" in text, "of the experiment, not the best of the study"


# --- what is not there


def test_a_study_without_an_experiment_leaves_its_exhibits_out(tmp_path):
    made = full()
    made.rows = [row for row in made.rows if row["experiment"] in ("penalty", "handmade")]
    kept = {row["cell_id"] for row in made.rows}
    made.runs, made.metrics = ([row for row in rows if row["cell_id"] in kept] for rows in (made.runs, made.metrics))
    found = opened(made.write(tmp_path))
    names = {item.name for item in told.exhibits(found, "cinic")}
    assert names == {
        *("diagram-handmade", "networks", "handmade-course", "compared-table", "penalty-table"),
        *(f"penalty-{kind}" for kind in ("means", "levels", "interactions", "effects")),
        *(f"penalty-anova-{kind}" for kind in ("valid-accuracy", "accuracy", "gap")),
    }
    assert any("no experiment augmentation" in text for text in found.left_out)
    assert not told.facts(found, "cinic")["answers"]["transfer"]


def test_one_replicate_has_no_test(tmp_path):
    found = opened(full(replicates=1).write(tmp_path))
    items = {item.name: item for item in told.exhibits(found, "cinic")}
    check_words(list(items.values()))
    assert "blocks-means" in items and "blocks-effects" not in items
    assert set(items["penalty-anova-valid-accuracy"].data["p"]) <= {""} or "penalty-effects" in items


def test_nothing_finished(tmp_path):
    made = full()
    for run in made.runs:
        run["status"] = "failed"
    made.metrics = [row for row in made.metrics if row["epoch"] == 0]
    found = opened(made.write(tmp_path))
    assert {item.name for item in told.exhibits(found, "cinic")} <= {"networks", *DIAGRAMS, "augmentation-examples"}
