"""Two results: which cells are the same to the last bit, how far others are apart, and what is set otherwise."""

import math
import re
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.unit import blocks, results
from weight_atlas import store
from weight_atlas.export import bundle, compare, compare_page
from weight_atlas.export.result import Result, tensors_sha256

ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = results.CELLS


def sides(tmp_path, **other):
    """A, and a B made with other arguments."""
    return Result(results.make(tmp_path / "a")), Result(results.make(tmp_path / "b", **other))


def rewrite(result, cell_id, seed, epoch, change):
    """Change the tensors of a snapshot in place."""
    path = result.snapshots(cell_id, seed)[epoch]
    tensors, metadata = store.load_arrays(path), store.tensor_header(path)[0]
    change(tensors)
    store.save_tensors(path, tensors, metadata)
    blocks.again(path.parents[2])


# ----------------------------------------------------------------------------------------------------- identity


def test_a_result_is_identical_to_itself_and_to_its_copy(tmp_path):
    a, b = sides(tmp_path)
    for other in (a, b):
        found = compare_page.gather(a, other)
        assert [cell["paired_by"] for cell in found["cells"]] == ["id", "id"]
        assert all((cell["compared"], cell["last"], cell["all"]) == (2, 2, 2) for cell in found["cells"])
        assert len(found["differences"]) == 6 and not any(row["difference"] for row in found["differences"])
        assert all(row["spreads"] == 0 for row in found["differences"] if row["n"] == 2)
        assert found["settings"] == [] and {row["contents"] for row in found["datasets"]} == {"same"}


@pytest.mark.parametrize(("epoch", "last"), [(0, True), ("best", True), (2, False)])
def test_one_changed_snapshot_is_found(tmp_path, epoch, last):
    a, b = sides(tmp_path)
    rewrite(b, ONE, 1, epoch, lambda tensors: tensors["fc.weight"].view(np.uint32).__ixor__(1))
    (pair, *_) = compare.pairs(a, b)
    assert compare.identity(a, b, *pair, 0) == compare.Identity(3, 3, True, None)
    assert compare.identity(a, b, *pair, 1) == compare.Identity(3, 2, last, epoch)
    (cell, other) = compare_page.gather(a, b)["cells"]
    assert (cell["compared"], cell["last"], cell["all"], cell["first_different"]) == (2, 1 + last, 1, epoch)
    assert other["all"] == 2


def test_an_altered_snapshot_is_no_difference_between_two_results(tmp_path):
    a, b = sides(tmp_path)
    path = b.snapshots(ONE, 1)[0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for call in (lambda: compare_page.gather(a, b), lambda: b.check(ONE, 1, [path])):
        with pytest.raises(ValueError, match="seed1/epoch_0.safetensors was altered.*run.json and run the workflow"):
            call()


def test_other_last_epochs_are_no_identity(tmp_path):
    a, b = sides(tmp_path)
    path = b.snapshots(ONE, 0)[2]
    path.rename(path.with_name("epoch_3.safetensors"))
    blocks.again(path.parents[2])
    same = compare.identity(a, b, ONE, ONE, 0)
    assert same.shared == same.equal == 2 and not same.last


def test_tensors_are_the_same_whatever_the_metadata_say(tmp_path):
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for path, name, value in zip(paths, "aba", (1, 1, 2), strict=True):
        store.save_tensors(path, {"x": np.full(3, value, np.float32)}, {"cell_id": name})
    assert tensors_sha256(paths[0]) == tensors_sha256(paths[1]) != tensors_sha256(paths[2])
    assert store.sha256(paths[0]) != store.sha256(paths[1])


def test_the_distance_is_that_of_the_weights_without_the_statistics_of_batchnorm(tmp_path):
    a, b = sides(tmp_path, noise=0.5)
    rows = compare.replicates(a, b, compare.pairs(a, b))
    for row in rows:
        ends = [store.load_arrays(result.snapshots(row["cell_a"], row["seed"])[2])["fc.weight"] for result in (a, b)]
        assert row["distance"] == pytest.approx(np.linalg.norm(ends[1].astype(float) - ends[0]))
        assert row["relative"] == pytest.approx(row["distance"] / np.linalg.norm(ends[0].astype(float)))
    ends = [store.load_arrays(a.snapshots(ONE, seed)[2])["fc.weight"].astype(float) for seed in (0, 1)]
    assert compare.between_seeds(a, ONE) == pytest.approx(np.linalg.norm(ends[0] - ends[1]))
    assert compare.between_seeds(a, TWO) is None, "one of its two replicates diverged"


def test_weights_of_other_shapes_have_no_distance(tmp_path):
    a, b = sides(tmp_path)
    rewrite(b, ONE, 0, 2, lambda tensors: tensors.update({"fc.weight": np.zeros(5, np.float32)}))
    row = compare.replicates(a, b, compare.pairs(a, b))[0]
    assert row["last"] is False and row["distance"] is None and row["relative"] is None


# ------------------------------------------------------------------------------------------------------ pairing


def test_cells_of_other_ids_meet_by_their_labels(tmp_path):
    a, b = sides(tmp_path, cells={ONE: 0.1, "base-toy-one-adam-aaaaaaaaaa": 0.02})
    assert compare.pairs(a, b) == [(ONE, ONE), (TWO, "base-toy-one-adam-aaaaaaaaaa")]
    found = compare_page.gather(a, b)
    assert [cell["paired_by"] for cell in found["cells"]] == ["id", "labels"]
    (row,) = found["settings"]
    assert (row["setting"], row["a"], row["b"]) == ("training.optimizer.lr", "0.01", "0.02")
    assert found["cells"][1]["all"] == 2, "the tensors are the same, though the metadata have other ids"


def test_cells_without_a_counterpart_are_listed(tmp_path):
    a, b = sides(tmp_path, cells={ONE: 0.1})
    for one, other, expected in ((a, b, ("only A", TWO, None)), (b, a, ("only B", None, TWO))):
        found = compare_page.gather(one, other)["cells"]
        told = [(cell["paired_by"], cell["cell_a"], cell["cell_b"]) for cell in found]
        assert told == [("id", ONE, ONE), expected]


def test_data_sets_of_one_id_are_compared_by_their_contents(tmp_path):
    a, b = sides(tmp_path)
    path = b.root / "data/toy-1.json"
    store.write_json(path, store.read_json(path) | {"sha256": "1" * 64})
    assert [(row["in"], row["contents"]) for row in compare.datasets(a, b)] == [("both", "different")]


# -------------------------------------------------------------------------------------------------- differences


def test_a_difference_is_paired_with_an_interval_and_in_standard_deviations():
    one, two = [0.90, 0.92, 0.97, 0.91], [0.93, 0.93, 0.99, 0.96]
    found = compare.difference(one, two)
    test = stats.ttest_rel(two, one)
    low, high = test.confidence_interval(0.95)
    assert found["n"] == 4 and found["difference"] == pytest.approx(statistics.fmean(two) - statistics.fmean(one))
    assert (found["low"], found["high"], found["p"]) == pytest.approx((low, high, test.pvalue))
    spread = math.sqrt((np.var(one, ddof=1) + np.var(two, ddof=1)) / 2)
    assert found["spread"] == pytest.approx(spread)
    assert found["spreads"] == pytest.approx(found["difference"] / spread)


def test_what_is_undefined_is_none():
    alone = compare.difference([0.5], [0.6])
    assert alone["n"] == 1 and [alone[key] for key in ("low", "high", "spread", "spreads", "p")] == [None] * 5
    constant = compare.difference([0.5, 0.5], [0.6, 0.6])
    assert constant["spreads"] is None and constant["difference"] == pytest.approx(0.1)
    same = compare.difference([0.5, 0.5], [0.5, 0.5])
    assert same["spreads"] == 0 and same["p"] is None


def test_outcomes_are_those_of_replicates_that_are_done(tmp_path):
    a, b = sides(tmp_path, noise=0.25)
    found = {(row["cell_a"], row["outcome"]): row for row in compare.differences(a, b, compare.pairs(a, b))}
    assert found[ONE, "accuracy"]["n"] == 2 and found[TWO, "accuracy"]["n"] == 1
    assert found[ONE, "accuracy"]["difference"] == pytest.approx(-0.25), "best validation epoch, not the last one"
    for outcome, factor in (("norm", 1), ("distance", 0.5)):
        ends = [store.load_arrays(a.snapshots(ONE, seed)[2])["fc.weight"].astype(float) for seed in (0, 1)]
        expected = factor * np.linalg.norm(ends, axis=1).mean()
        assert found[ONE, outcome]["mean_a"] == pytest.approx(expected), "the last epoch of the table"
    tested = [row for row in found.values() if row["p"] is not None]
    assert [row["q"] for row in tested] == pytest.approx(stats.false_discovery_control([row["p"] for row in tested]))


def halved(result, cell, seed, epoch):
    """Leave out of a snapshot what the start has as well."""
    path = result.snapshots(cell, seed)[epoch]
    own = {"fc.weight": store.load_arrays(path)["fc.weight"]}
    store.save_tensors(path, own, store.tensor_header(path)[0] | {"rest": "epoch_0.safetensors"})
    blocks.again(path.parents[2])


def test_a_snapshot_in_two_files_is_the_same_as_in_one(tmp_path):
    a, b = sides(tmp_path)
    before = tensors_sha256(b.snapshots(ONE, 0)[2])
    halved(b, ONE, 0, 2)
    assert tensors_sha256(b.snapshots(ONE, 0)[2]) == before != store.sha256(b.snapshots(ONE, 0)[2])
    same = compare.identity(a, b, ONE, ONE, 0)
    assert same.equal == same.shared == 3 and same.last
    assert compare.distance(a.snapshots(ONE, 0)[2], b.snapshots(ONE, 0)[2]).distance == 0


def test_a_bundle_lists_both_files_and_says_nothing_of_one(tmp_path):
    a, b = sides(tmp_path)
    halved(b, ONE, 0, 2)
    bundle.write(b.folder, tmp_path / "b.zip", "commit", "9.0")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(a.root / "results/theirs")
    theirs = Result(a.root / "results/theirs")
    assert set(theirs.hashes(ONE, 0)) == {0, 2} and set(theirs.hashes(ONE, 1)) == {2}
    assert compare.identity(a, theirs, ONE, ONE, 0) == compare.Identity(), "one file against two"
    assert compare.identity(b, theirs, ONE, ONE, 0).last
    assert compare.identity(a, theirs, ONE, ONE, 1).last


# ------------------------------------------------------------------------------------------------------ bundles


def test_a_bundle_is_compared_by_the_hashes_that_it_lists(tmp_path):
    a, b = sides(tmp_path)
    bundle.write(b.folder, tmp_path / "b.zip", "commit", "9.0")
    rewrite(a, ONE, 1, 2, lambda tensors: tensors["fc.weight"].__iadd__(1))
    # Unpacked beside the cells of A, which are not the bundle's.
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(a.root / "results/theirs")
    theirs = Result(a.root / "results/theirs")
    assert theirs.snapshots(ONE, 0) == {}
    same = [compare.identity(a, theirs, ONE, ONE, seed) for seed in (0, 1)]
    assert same[0] == compare.Identity(1, 1, True, None)
    assert same[1] == compare.Identity(1, 0, False, 2)
    rows = compare.replicates(a, theirs, compare.pairs(a, theirs))
    assert rows[1]["distance"] is None
    assert compare.datasets(a, theirs)[0]["contents"] == "same"


# ------------------------------------------------------------------------------------------- page, tables, lines


def test_the_page_says_it_and_lets_nothing_through(tmp_path):
    evil = "<script>alert(1)</script> *x* | $y$ `z` [a](b)"
    a, b = sides(tmp_path, cells={ONE: 0.1}, noise=0.25)
    for path in (a.folder / "cells.csv", b.folder / "cells.csv"):
        results.write(path, [row | {"dataset": evil, "study": evil} for row in results.rows(path)])
    said = compare_page.write(a.folder, b.folder, tmp_path / "out")
    page = (tmp_path / "out/compare.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; *x* | $y$" in page
    assert "1 cells in both, 1 only in A, 0 only in B" in said
    assert "bit-identical: 0 of 1 cells at their last epoch (0 of 2 replicates), 0 in every snapshot" in said
    assert "−25.00 points (B − A)" in said and "−25.00 points" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#|https:)', page)
    tables = {path.stem: results.rows(path) for path in (tmp_path / "out").glob("*.csv")}
    assert set(tables) == {name.removeprefix("compare/") for name in compare_page.TABLES}
    assert [row["first_different"] for row in tables["cells"]] == ["2", ""]
    assert float(tables["differences"][0]["difference"]) == pytest.approx(-0.25)


def test_the_command_prints_it_or_one_line(tmp_path):
    folder = results.make(tmp_path)
    command = [sys.executable, str(ROOT / "scripts/compare.py"), str(folder)]
    out = ["--output", str(tmp_path / "out")]
    done = subprocess.run([*command, str(folder), *out], capture_output=True, text=True)
    assert done.returncode == 0 and "2 of 2 cells at their last epoch (4 of 4 replicates)" in done.stdout, done.stderr
    done = subprocess.run([*command, str(tmp_path), *out], capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "cells.csv" in done.stderr
