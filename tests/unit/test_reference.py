"""The reference result in docs/reference: whole, its numbers follow from its tables, and results compare with it."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import yaml
from snakemake.utils import update_config

from tests.unit.results import rows, write
from weight_atlas.export import compare, compare_page
from weight_atlas.export.result import Result
from weight_atlas.plan import study

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/reference"
BUNDLE = FOLDER / "lenet"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def table(name):
    return pd.read_csv(BUNDLE / "tables" / f"{name}.csv")


def interval(values):
    half = scipy.stats.sem(values) * scipy.stats.t.ppf(0.975, len(values) - 1)
    return np.mean(values), np.mean(values) - half, np.mean(values) + half


def test_every_file_is_what_the_manifest_says():
    listed = dict(reversed(line.split("  ", 1)) for line in (BUNDLE / "MANIFEST.sha256").read_text().splitlines())
    found = {str(path.relative_to(BUNDLE)): path for path in BUNDLE.rglob("*") if path.is_file()}
    assert listed.keys() == found.keys() - {"MANIFEST.sha256"}
    assert all(hashlib.sha256(found[name].read_bytes()).hexdigest() == digest for name, digest in listed.items())
    assert not [name for name in found if name.endswith((".safetensors", ".pth"))]


def test_its_config_is_the_overlay_on_the_study_in_full():
    config = yaml.safe_load((ROOT / "config/dynamics.yaml").read_text())
    update_config(config, yaml.safe_load((FOLDER / "lenet.yaml").read_text()))
    assert study.Plan(config, Path("nowhere"), absent=True).cells.keys() == Result(BUNDLE).cells.keys()


def test_the_accuracy_on_the_page_is_that_of_the_table():
    ends = table("accuracy").query("protocol == 'last' and cell_id.str.startswith('base-')")["accuracy"]
    mean, low, high = interval(ends)
    assert len(ends) == 6 and f"is {100 * mean:.1f} ± {50 * (high - low):.1f} % on MNIST (lenet5; n = 6)" in PAGE


def test_the_amplification_on_the_page_is_that_of_the_distances():
    found = table("returns").query("layer == 'total' and cell_id.str.contains('-add-')")
    found = found.pivot_table(index="seed", columns="pair", values="distance")
    mean, low, high = np.exp(interval(np.log(found["control"] / found["perturbation"])))
    assert f"{mean:.0f} [{low:.0f}, {high:.0f}], n = 6, times as far from its control" in PAGE
    claim = next(
        one for one in json.loads((BUNDLE / "figures/dynamics/claims.json").read_text()) if one["id"] == "002-7"
    )
    assert claim["numbers"][0]["mean"] == pytest.approx(mean) and claim["verdict"] in PAGE


def test_what_never_learnt_is_in_no_mean():
    flipped = table("runs").query("cell_id.str.contains('-flip-')")
    assert flipped["counted"].tolist() == ((flipped["status"] == "done") & (flipped["learnt"] == True)).tolist()  # noqa: E712
    assert f"{(flipped['learnt'] == False).sum()} replicates never learnt and are not counted" in PAGE  # noqa: E712
    row = table("summary").query("cell_id.str.contains('-flip-') and measure == 'accuracy' and key == 'last'").iloc[0]
    own = table("accuracy").query("protocol == 'last'").merge(flipped[flipped["counted"]], on=["cell_id", "seed"])
    assert (row["n"], row["of"]) == (len(own), 6) and row["mean"] == pytest.approx(own["accuracy"].mean())


def test_a_cell_of_other_results_compares_with_it(tmp_path):
    """One cell, trained again elsewhere: the same settings, weights with other hashes, accuracies a point higher."""
    other = tmp_path / "lenet"
    shutil.copytree(BUNDLE, other)
    cell = next(cell for cell in Result(BUNDLE).cells if cell.startswith("base-"))
    for name in ("cells.csv", "tables/runs.csv", "tables/accuracy.csv", "tables/movement.csv"):
        kept = [row for row in rows(other / name) if row["cell_id"] == cell]
        if name == "tables/accuracy.csv":
            kept = [row | {"accuracy": float(row["accuracy"]) + 0.01} for row in kept]
        write(other / name, kept)
    sums = (other / "weights.sha256").read_text()
    (other / "weights.sha256").write_text(re.sub("^[0-9a-f]{4}", "abcd", sums, flags=re.M))
    a, b = Result(BUNDLE), Result(other)
    assert [pair.by for pair in compare.pairs(a, b)].count("id") == 1
    said = compare_page.write(BUNDLE, other, tmp_path / "out")
    assert "1 cells in both, 4 only in A, 0 only in B" in said
    assert "bit-identical: 0 of 1 cells at their last epoch (0 of 6 replicates)" in said
    assert "+1.00 points (B − A)" in said
    same = compare_page.write(BUNDLE, BUNDLE, tmp_path / "same")
    assert "bit-identical: 5 of 5 cells" in same
