"""The exhibits and answers of freeze-depth transfer, against numbers computed afresh from the tables."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from scipy import stats
from test_transfer import GROUPS, Sample, full, lenet, of, table
from torchvision.models import resnet18, vgg11_bn

import draw
from tests.unit import told
from weight_atlas.analysis.transfer import curves, drops, reach
from weight_atlas.reporting.exhibits.transfer import segments, training, transfers
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.tables import Tables

CARDS = {
    f"cifar10-{name.lower()}": {
        "dataset_id": f"cifar10-{name.lower()}",
        "classes": list(own),
        "counts": {"train": [5000] * len(own), "valid": [500] * len(own), "test": [500] * len(own)},
    }
    for name, own in GROUPS.items()
}


def opened(folder):
    """The Tables of a written sample, with the document and the cards as draw.py fills them."""
    found = Tables("transferability", folder / "cells.csv", folder / "tables", folder / "measures")
    found.document = told.reported("transferability")
    found.references = told.references("transferability")
    found.cards = CARDS
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return full().write(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def tables(folder):
    return opened(folder)


@pytest.fixture(scope="module")
def chapter(tables):
    return told.told(tables, "transferability")


@pytest.fixture(scope="module")
def exhibits(chapter):
    return {item.name: item for item in chapter.exhibits}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return lenet().write(tmp_path_factory.mktemp("small"))


# --- exhibits


def test_every_exhibit_is_there(exhibits):
    names = {"accuracy", "accuracy-table", "segments", "segments-table", "decomposition", "base-target", "course-a-b",
             "course-b-b", "transfer-accuracy", "diagnosis", "diagnosis-table", "similarity", "outputs", "epochs",
             "epochs-saved", "document-numbers", "document-networks", "reference-curves", "reference-agreement",
             "reference-numbers", "recommendation", "networks", "diagram-vgg11-bn", "diagram-vgg11-bn-100"}  # fmt: skip
    assert set(exhibits) == names


def test_captions_say_how_many_replicates_and_by_which_protocol(exhibits):
    for name in ("transfer-accuracy", "decomposition", "similarity", "outputs", "diagnosis"):
        assert "best validation epoch" in exhibits[name].caption, name
        assert "n = 3" in exhibits[name].caption, name
    for item in exhibits.values():
        assert item.alt and item.caption == item.caption.strip() and "nan" not in item.caption + item.alt


def test_accuracy_by_depth_is_the_mean_over_replicates(folder, exhibits):
    data = exhibits["transfer-accuracy"].data
    for key, row in (("A", 7), ("B", 10)):
        own = of(table(folder, "curves"), network="vgg11_bn", setting="", mode="frozen", base=key, target="B",
                 depth=row)["accuracy"]  # fmt: skip
        shown = of(data, base=key, mode="frozen", depth=row, target="B").iloc[0]
        low, high = stats.ttest_1samp(own, 0).confidence_interval(0.95)
        assert shown[["mean", "low", "high"]].tolist() == pytest.approx([own.mean(), low, high])
    assert set(data["target"]) == {"B"}
    assert set(data["mode"]) == {"base", *curves.MODES}
    assert set(data["network"]) == {"vgg11_bn"}


def test_the_decomposition_shows_the_rows_of_drops(folder, exhibits):
    data = exhibits["decomposition"].data
    drops = of(table(folder, "drops"), network="vgg11_bn", setting="", target="B")
    drops = drops[drops["mode"] != "random"]
    merged = data.merge(drops, on=["base", "target", "mode", "depth", "quantity"], suffixes=("", "_of"))
    assert len(merged) == len(data) == len(drops)
    np.testing.assert_allclose(merged["mean"], merged["mean_of"])


def test_the_decomposition_draws_both_intervals_at_every_depth(folder, exhibits):
    axes = exhibits["decomposition"].figure.axes[0]
    drops = of(table(folder, "drops"), network="vgg11_bn", setting="", base="A", target="B", mode="frozen",
               quantity="D").sort_values("depth")  # fmt: skip
    own = [lines for lines in axes.collections if isinstance(lines, LineCollection)][:2]  # those of the frozen curve
    drawn = {round(lines.get_linewidth()[0], 1): np.array(lines.get_segments())[:, :, 1] for lines in own}
    np.testing.assert_allclose(drawn[1.1], drops[["low", "high"]] * 100)
    np.testing.assert_allclose(drawn[3.2], drops[["low90", "high90"]] * 100)
    [margin] = [patch for patch in axes.patches if patch.get_label().startswith("± 1 point")]
    assert sorted(margin.get_corners()[:, 1]) == [-1, -1, 1, 1]


def test_the_base_is_a_level_with_its_interval(folder, exhibits):
    own = of(table(folder, "curves"), network="vgg11_bn", mode="base", target="B")["accuracy"] * 100
    low, high = stats.ttest_1samp(own, 0).confidence_interval(0.95)
    for axes in exhibits["transfer-accuracy"].figure.axes:
        [level] = [line for line in axes.lines if line.get_label() == "base, from scratch"]
        np.testing.assert_allclose(level.get_ydata(), own.mean())
        [shaded] = axes.patches
        np.testing.assert_allclose(sorted(shaded.get_corners()[:, 1]), [low, low, high, high])


def test_the_strip_shows_verdicts_breakpoints_and_the_document(tables, exhibits):
    item = exhibits["segments"]
    axes = item.figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[:4] == ["A → B", "breakpoints", "document's rule", "in the document"]
    assert rows[4:] == ["A1 → A2", "V → A2", "A1 → V", "V → A1"]
    texts = [text.get_text() for text in axes.texts]
    assert texts[0] == "conv1\n64" and texts[8] == "fc1\n4096" and texts[10] == "fc3\n10"
    letters = {transfers.VERDICTS[name][0] for name in item.data["verdict"]}
    assert letters <= {text.partition("\n")[0] for text in texts}
    given = segments.assigned(tables, "vgg11_bn", 11)
    assert "".join(given[depth][0] for depth in range(1, 11)) == "ggggggttss"
    assert "generic 1–6" in item.alt and "specific" in item.alt


def test_the_table_of_verdicts_prints_the_drops(folder, exhibits):
    printed = exhibits["segments-table"].data
    row = of(printed, transfer="A → B", n="9").iloc[0]
    drop = of(table(folder, "drops"), network="vgg11_bn", base="A", target="B", mode="frozen", depth=9, setting="",
              quantity="D").iloc[0]  # fmt: skip
    assert row["D"] == f"+{drop['mean'] * 100:.1f}"
    assert row["90 % interval"] == f"+{drop['low90'] * 100:.1f} to +{drop['high90'] * 100:.1f}"
    assert row["verdict"] == "specific"
    assert "done" not in exhibits["segments-table"].columns


def test_training_curves_by_depth(folder, exhibits):
    data = exhibits["course-a-b"].data
    metrics = pd.read_csv(folder / "tables" / "metrics.csv")
    cell = of(table(folder, "curves"), network="vgg11_bn", base="A", target="B", mode="frozen", depth=4, setting="")
    own = metrics[(metrics["cell_id"] == cell["cell_id"].iloc[0]) & (metrics["epoch"] == 3)]
    for split in ("train", "valid"):
        shown = of(data, depth=4, split=split, epoch=3, mode="frozen")
        assert shown["mean"].tolist() == pytest.approx([own[f"{split}_accuracy"].mean()])
    assert set(data["depth"]) == {-1, *range(11)}


def test_base_beside_target(exhibits):
    item = exhibits["base-target"]
    assert [axes.get_title(loc="left") for axes in item.figure.axes] == ["base B, from scratch", "A → B, n = 1"]
    assert "reaches 0.88 at epoch" in item.caption


def test_without_a_document_nothing_is_said_to_be_one_s(tables, monkeypatch):
    """A study of one's own has the same figures without what a document reports."""
    monkeypatch.setattr(tables, "_document", {})
    [beside, *_] = training.base_target(tables)
    [epochs, *_] = training.epochs(tables)
    [strip, *_] = segments.strip(tables)
    for item in (beside, epochs, strip, *training.saved_table(tables)):
        assert "document" not in item.caption and ".88" not in item.caption, item.name
    assert [axes.get_title(loc="left").split(" (")[0] for axes in epochs.figure.axes] == [
        "to base",
        "to base − 1 point",
    ]
    assert "by accuracy alone" in [label.get_text() for label in strip.figure.axes[0].get_yticklabels()]
    assert not any("document" in one for one in training.saved_table(tables)[0].data)


def test_of_many_layers_the_strip_has_a_column_for_each_n_that_was_tried():
    layers = [(f"conv{n}", "8") for n in range(1, 54)] + [("fc1", "10")]
    columns = segments.Columns.of(layers, [8, 1, 5, 5])
    assert columns.depths == [1, 5, 8, 54] and columns.boxes == ["+1", "+4", "+3", "+46"] and columns.are_wide
    assert [columns.place(n) for n in (1, 3, 5, 8, 54)] == [1, 1.5, 2, 3, 4]
    assert not segments.Columns.of(layers, range(1, 54)).are_wide
    few = segments.Columns.of(layers[-3:], [1])
    assert few.depths == [1, 2, 3] and few.boxes[-1] == "fc1\n10" and few.place(2.5) == 2.5


def test_similar_tasks_are_named_by_their_classes(tables, exhibits):
    labels = [text.get_text() for text in exhibits["similarity"].figure.legends[0].get_texts()]
    assert labels[:4] == ["A1 → A2 (similar)", "V → A2 (different)", "A1 → V (different)", "V → A1 (different)"]
    from weight_atlas.reporting.exhibits.transfer.curves import kind

    assert [kind(tables, name) for name in GROUPS] == ["", "", "animal", "animal", "vehicle"]
    assert set(exhibits["similarity"].data["quantity"]) == {"accuracy", "drop"}


def test_outputs_show_both_networks(exhibits):
    labels = [text.get_text() for text in exhibits["outputs"].figure.legends[0].get_texts()]
    assert labels[:2] == ["10 outputs", "100 outputs"]
    assert exhibits["outputs"].data["depth"].tolist() == list(range(1, 11))


def test_the_diagnosis_shows_every_suspect_at_the_deepest_n(exhibits):
    data = exhibits["diagnosis"].data
    assert set(data["change"]) == {"rate: 0.01", "rate: 0.001", "dropout: off", "epoch taken: last",
                                   "epoch taken: best on validation and test"}  # fmt: skip
    assert set(data["depth"]) == {10}
    assert set(exhibits["diagnosis-table"].data["n"]) == {"9", "10"}
    assert exhibits["diagnosis"].alt.count("rate: 0.01") == 1


def test_epochs_are_those_of_reach(folder, exhibits):
    row = of(exhibits["epochs-saved"].data, transfer="A → B", n="3").iloc[0]
    found = of(table(folder, "reach"), network="vgg11_bn", base="A", target="B", mode="frozen", depth=3, setting="")
    document = of(found, level="document").iloc[0]
    assert row["to document"] == f"{document['median']:g}"
    assert row["saved (document)"] == f"{document['saved']:g}", "three replicates have no interval"
    last = of(exhibits["epochs-saved"].data, transfer="A → B", n="10").iloc[0]
    assert (last["to base"], last["saved (base)"]) == ("0 of 3 runs", "none")


def test_document_tables(folder, tables, exhibits):
    numbers = exhibits["document-numbers"].data.set_index("what")
    own = of(table(folder, "curves"), mode="base", target="B", network="vgg11_bn")["accuracy"]
    assert numbers.loc["accuracy of the base B", "document"] == "94.76 %"
    assert numbers.loc["images to judge by per training image"].tolist() == ["0.2", "0.2", ""]
    assert "No class of a base is used in another task's target." in exhibits["transfer-accuracy"].caption
    assert "contradicts itself on layer 6" in exhibits["segments"].caption
    assert numbers.loc["accuracy of the base B", "here"].startswith(f"{own.mean() * 100:.1f} ±")
    networks = exhibits["document-networks"]
    assert len(networks.data) == 38 and (networks.data["network"] == "(no name)").sum() == 23
    assert "Of its 38 rows 23 have lost their name" in networks.caption
    rows = networks.data.set_index("network")
    vgg = rows.loc["vgg11_bn"]
    assert vgg.tolist() == [
        "28.5 M",
        f"{parameters(vgg11_bn(num_classes=100), 512 * 49):,}",
        "31.36",
        "11.85",
        "1.98 GB",
    ]
    assert vgg["parameters here"] == "28,518,244"
    # torchvision's, its 7x7 stem made the 3x3 one that is usual for CIFAR
    assert rows.loc["resnet18", "parameters here"] == f"{parameters(resnet18(num_classes=100)) - 64 * 3 * (49 - 9):,}"
    assert rows.loc["resnet50"].tolist() == ["23.7 M", "", "22.61", "6.04", "3.40 GB"]
    assert networks.data.iloc[-1].tolist() == ["(no name)", "5.2 M", "", "22.71", "5.91", "3.69 GB"]
    quoted = numbers.loc["ResNet50 from ImageNet to CIFAR-10, quoted from a blog post, likely on training images"]
    assert quoted.tolist() == ["98 % in 5 epochs", "not trained here", ""]


def parameters(model, read=512):
    """The parameters of a torchvision network, its first linear layer with 512 inputs instead of `read`."""
    return sum(one.numel() for one in model.parameters()) - 4096 * (read - 512)


def test_figures_are_the_same_every_time(tables, exhibits):
    again = segments.strip(tables)[0]
    assert exhibit.picture(again, again.figure) == exhibit.picture(exhibits["segments"], exhibits["segments"].figure)


def test_what_is_left_out_is_said(small):
    tables = opened(small)
    names = {item.name for item in told.exhibits(tables, "transferability")}
    assert {"segments", "decomposition", "course-a-b", "transfer-accuracy", "epochs", "base-target"} <= names
    assert not {"similarity", "outputs", "diagnosis"} & names
    left_out = " ".join(tables.left_out)
    assert "no two networks with transfers differ in their number of outputs alone." in left_out
    assert "no transfer was trained in another setting than the document's." in left_out
    strip = next(item for item in told.exhibits(opened(small), "transferability") if item.name == "segments")
    rows = [label.get_text() for label in strip.figure.axes[0].get_yticklabels()]
    assert rows == ["A → B", "document's rule"]  # no breakpoints of 5 depths, and not the document's network
    assert "Two breakpoints need a curve of 7 depths" in strip.caption


def test_unfinished_replicates_are_told(tmp_path):
    made = lenet()
    for run in made.runs:
        own = next(row for row in made.cells if row["cell_id"] == run["cell_id"])
        if own["mode"] == "frozen" and own["depth"] == "3" and run["seed"] == 2:
            run["status"] = "diverged"
    tables = opened(made.write(tmp_path))
    found = {item.name: item for item in told.exhibits(tables, "transferability")}
    assert "Of 39 replicates of these transfers 37 finished (2 diverged)." in found["transfer-accuracy"].caption
    assert "n = 2 to 3" in found["transfer-accuracy"].caption
    assert of(found["segments-table"].data, transfer="A → B", n="3")["done"].tolist() == ["2 of 3"]
    assert of(found["segments"].data, depth=3)["verdict"].tolist() == ["undecided"]
    sentences = told.facts(tables, "transferability")["sentences"]
    assert "Transfers have 39 replicates: 37 finished, 2 diverged." in sentences


def test_one_replicate_draws_without_intervals(tmp_path):
    tables = opened(lenet(seeds=1).write(tmp_path))
    chapter = told.told(tables, "transferability")
    found = {item.name: item for item in chapter.exhibits}
    assert set(found["segments"].data["verdict"]) == {"undecided"}
    assert "nan" not in json.dumps(told.in_short(chapter)["answers"])


def test_two_networks_have_a_tab_each(tmp_path):
    made = lenet()
    for name in ("A", "B"):
        made.cell("grid", name, "vgg11_bn")
    made.transfers("a-to-b", "A", "B", range(11))
    made.transfers("b-to-b", "B", "B", range(11))
    found = {item.name: item for item in told.exhibits(opened(made.write(tmp_path)), "transferability")}
    assert {"segments-lenet5", "segments-vgg11-bn", "course-lenet5-a-b", "course-vgg11-bn-b-b"} <= set(found)
    assert found["segments-lenet5"].tab == "lenet5"
    assert set(found["decomposition-vgg11-bn"].data["network"]) == {"vgg11_bn"}
    assert set(found["segments-table"].data["network"]) == {"lenet5", "vgg11_bn"}


def test_a_study_without_transfers_has_its_bases_alone(tmp_path):
    made = Sample()
    made.cell("grid", "B")
    tables = opened(made.write(tmp_path))
    chapter = told.told(tables, "transferability")
    names = {item.name for item in chapter.exhibits}
    assert names == {
        "accuracy",
        "accuracy-table",
        "document-networks",
        "reference-numbers",
        "networks",
        "diagram-vgg11-bn",
    }
    facts = told.in_short(chapter)
    assert "Transfers" not in " ".join(facts["sentences"])
    assert [key for key, answer in facts["answers"].items() if answer] == ["bases"]


def test_the_margin_is_that_of_the_measure():
    assert transfers.MARGIN == drops.MARGIN
    assert transfers.BASE == curves.BASE
    assert transfers.MODES == curves.MODES
    document = told.reported("transferability")
    assert document["reached"] == reach.REACHED


def test_words():
    assert transfers.stretch([1, 2, 3, 5, 8, 9]) == "1–3, 5, 8–9"
    assert transfers.bracketed(-12.0, np.nan, 14.0) == "−12 […, 14]"
    assert transfers.bracketed(-12.0, np.nan, np.nan) == "−12"
    row = {"median": np.nan, "reached": 1, "n": 3, "saved": np.nan}
    assert training.count(row) == "too long (1 of 3 runs get there)"
    assert training.saving(row) == "none"
    open_ = {"saved": 12.0, "saved_low": np.nan, "saved_high": 14.0, "n": 3}
    assert training.saving(open_) == "12 […, 14]"


# --- answers


def test_answers_are_computed(chapter, exhibits):
    facts = told.in_short(chapter)
    answers = facts["answers"]
    assert list(answers) == [
        "bases",
        "segments",
        "course",
        "agreement",
        "cost",
        "similarity",
        "outputs",
        "epochs",
        "recommendation",
        "document",
    ]
    assert all(answers.values())
    first = exhibits["document-numbers"].data.iloc[0]
    document = answers["document"][0]
    assert "reports 94.76 % as accuracy of the base B" in document and f"it is {first['here']} at the best" in document
    best = max(facts["best"], key=lambda item: item["mean"])
    assert f"{100 * best['mean']:.1f} ±" in answers["bases"][0]
    assert "A → B: generic 1–6" in answers["segments"][0]
    assert "A1 → A2 (similar)" in answers["similarity"][0]
    assert "of 10 depths" in answers["outputs"][0]
    assert any(text.startswith("Transfers have ") and text.endswith(": all finished.") for text in facts["sentences"])
    assert answers["epochs"][0]
    json.dumps(exhibit.plain(facts), allow_nan=False)


# --- the command and the chapter


def test_the_command_draws_the_chapter(small, tmp_path):
    cards = []
    for name, card in CARDS.items():
        cards.append(str(tmp_path / f"{name}.json"))
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
    draw.main(told.command(small, "transferability", tmp_path / "out", "transferability", cards))
    written = json.loads((tmp_path / "out" / "exhibits.json").read_text())
    assert written["chapter"] == "transferability" and written["faults"] == []
    judged_ = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert [claim["id"] for claim in judged_] == [f"001-{number}" for number in range(1, 11)]
    for item in written["exhibits"]:
        assert (tmp_path / "out" / item["csv"]).stat().st_size > 0


def test_the_chapter_places_every_exhibit_under_its_question(chapter, exhibits):
    """None is left to the further ones, and each question has some."""
    assert [name for question in chapter.questions for name in question["exhibits"]] == list(exhibits)
    assert all(question["exhibits"] for question in chapter.questions)
