"""Studies of one's own: what the report shows of each follows from what it asks. `examples/questions.yaml`, whole."""

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import yaml

from tests import pages
from tests.conftest import Workflow
from weight_atlas import store

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "examples/questions.yaml").read_text(encoding="utf-8"))
# study -> the keys of its questions that follow from its shapes, and exhibits that answer them.
EXPECTED = {
    "batch": {"sweep": {"batch-levels", "batch-table"}},
    "optimizer": {
        "comparison": {"optimizer-levels", "optimizer-table"},
        "connectivity": {"connectivity", "connectivity-table", "connectivity-lines"},
    },
    "changes": {"path": {"changes-levels", "changes-settings"}},
    "together": {"factorial": {"together-means", "together-effects"}},
    "disturbed": {"perturbed": {"returns", "amplification"}},
    "transferred": {"transferred": {"segments", "transfer-accuracy"}},
    "stages": {"checkpointed": {"checkpoints"}, "staged": {"stages-course"}},
    "rotation": {"comparison": {"rotation-levels"}, "augmented": {"rotation-examples"}},
    "both-halves": {"sweep": {"both-halves-levels", "both-halves-levels-gap"}},
    "disturbed-optimizers": {"comparison": {"disturbed-optimizers-levels"}, "perturbed": {"returns"}},
    "pruned": {"pruned": {"pruning", "pruning-table"}},
}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "own questions"
    root.mkdir()
    made = Workflow(root, CONFIG)
    made.run("all")
    return made


def told(workflow, study):
    return store.read_json(workflow.root / f"results/questions/figures/{study}/exhibits.json")


def test_every_study_is_looked_at():
    assert list(EXPECTED) == list(CONFIG["definitions"])
    assert not any("document" in study for study in CONFIG["definitions"].values())


@pytest.mark.parametrize("study", EXPECTED)
def test_a_study_gets_exhibits_and_an_answer_by_its_shapes(workflow, study):
    found = told(workflow, study)
    questions = {question["key"]: question for question in found["questions"]}
    assert not found["faults"]
    for shape, exhibits in EXPECTED[study].items():
        assert exhibits <= set(questions[shape]["exhibits"]), shape
        answers = questions[shape]["answer"]
        assert answers and all(one["sentence"].endswith(".") for one in answers), shape
    asked = CONFIG["definitions"][study].get("question")
    assert asked is None or asked in {question["heading"] for question in found["questions"]}


def test_the_means_of_a_sweep_are_those_of_its_runs(workflow):
    """Against the tables as they lie there: test accuracy at the epoch of the best validation accuracy."""
    results = workflow.root / "results/questions"
    metrics = pd.read_csv(results / "tables/metrics.csv")
    cells = (
        pd.read_csv(results / "cells.csv").query("study == 'batch' and role == 'grid'").set_index("cell_id")["batch"]
    )
    metrics = metrics[metrics["cell_id"].isin(cells.index) & (metrics["epoch"] >= 1)]
    best = metrics.loc[metrics.groupby(["cell_id", "seed"])["valid_accuracy"].idxmax()]
    expected = best.groupby(best["cell_id"].map(cells))["test_accuracy"].mean()
    shown = pd.read_csv(results / "figures/batch/batch-levels.csv")
    shown = shown[shown["protocol"] == "best_valid"].set_index("batch")["mean"]
    assert list(shown.index) == ["small", "middle", "large"], "by the number that they set, not by their names"
    np.testing.assert_allclose(shown[expected.index], expected, rtol=1e-9)


def test_a_second_data_set_is_a_family(workflow):
    table = pd.read_csv(workflow.root / "results/questions/figures/both-halves/both-halves-levels.csv")
    assert set(table["dataset"]) == {"low", "high"} and (table.groupby("dataset")["batch"].nunique() == 2).all()


def test_the_first_page_answers_the_questions_of_the_config(workflow):
    page = pages.without_notes(pages.pages(workflow.root / "results/questions")["report"])
    first = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    for study in ("batch", "optimizer", "rotation"):
        heading = CONFIG["definitions"][study]["question"]
        [question] = [one for one in told(workflow, study)["questions"] if one["heading"] == heading]
        assert f"{heading} {question['answer'][0]['text']}" in first


def test_what_was_expected_is_judged(workflow):
    """Numbers of the verdicts against scipy's, from the table of accuracies."""
    root = workflow.root / "results/questions"
    cells = pd.read_csv(root / "cells.csv").drop_duplicates(["study", "cell_id"])
    accuracy = pd.read_csv(root / "tables/accuracy.csv").query("protocol == 'best_valid'")
    rows = cells.merge(accuracy, on="cell_id")

    def by_seed(study, axis):
        return rows[rows["study"] == study].pivot(index="seed", columns=axis, values="accuracy")

    [claim] = store.read_json(root / "figures/optimizer/claims.json")
    table = by_seed("optimizer", "optimizer")
    change = table["adam"] - table["sgd"]
    [number] = claim["numbers"]
    assert claim["id"] == "adam-is-equal" and (number["n"], number["mean"]) == (3, pytest.approx(change.mean()))
    error = np.hypot(change.std(ddof=1), 1 / 268 / np.sqrt(6)) / np.sqrt(3)  # digits has 268 test images
    half = scipy.stats.t.ppf(0.975, 2) * error
    assert (number["low"], number["high"]) == pytest.approx((change.mean() - half, change.mean() + half))
    inside, outside = half + abs(change.mean()) < 0.02, abs(change.mean()) - half > 0.02
    assert claim["verdict"] == ("reproduced" if inside else "contradicted" if outside else "undecided")
    [claim] = store.read_json(root / "figures/batch/claims.json")
    table = by_seed("batch", "batch")
    slope = np.polyfit(np.log10([16, 64, 256]), table[["small", "middle", "large"]].to_numpy().T, 1)[0]
    assert claim["numbers"][0]["mean"] == pytest.approx(slope.mean() * np.log10(256 / 16))
    [known] = store.read_json(root / "stated/batch.json").values()
    cells = rows[rows["study"] == "batch"]["cell_id"]
    runs = pd.read_csv(root / "tables/runs.csv")
    assert known["at"] < runs[runs["cell_id"].isin(cells)]["started"].min()
    assert "before the first run that it reads began" in claim["stated"]
    page = pages.whole(root)
    assert "“Larger batches end at a lower accuracy, with the same number of epochs.”" in page
    assert "larger-is-worse" in page and "two points of accuracy from the smallest batch to the largest" in page
