"""`snakemake power`: which differences so many replicates would show, and what they cost."""

import math
import re
from pathlib import Path

import pandas as pd
import yaml
from statsmodels.stats.power import TTestPower

import power
from weight_atlas import schema
from weight_atlas.plan.study import Plan

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))


def plan(root):
    return Plan(CONFIG, root, absent=True)


def rows(text, experiment):
    """{what: its columns} of an experiment's table."""
    part = text.split(f"{experiment}: ")[1].split("\n\n")[0]
    return {line[2:28].strip(): re.split(r"\s{2,}", line[28:].strip()) for line in part.splitlines()[1:]}


def test_every_experiment_that_trains_has_its_table(tmp_path):
    text = power.table(plan(tmp_path))
    assert {"convnets.rates", "cinic.penalty"} <= set(re.findall(r"^(\S+): \d+ cells$", text, re.M))
    own = rows(text, "convnets.rates")
    assert own["replicates"] == ["2", "3", "6", "10"]
    expected = [TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * math.sqrt(2) * 0.5 for n in (6, 10)]
    assert own["spread 0.5"][2:] == [f"{size:.1f}" for size in expected], "two cells, each with this spread"
    assert float(own["spread 1"][0]) > float(own["spread 1"][1]) > float(own["spread 1"][3])


def test_the_spread_of_results_that_are_there_is_used(tmp_path):
    made = plan(tmp_path)
    cells = [
        entry.cell_id for name, entries in power.experiments(made) if name == "convnets.rates" for entry in entries
    ]
    values = {cells[0]: [0.90, 0.92, 0.94], cells[1]: [0.80, 0.80, 0.83]}
    header = schema.names("accuracy")
    lines = [
        [{"cell_id": cell, "seed": seed, "status": "done", "protocol": "best_valid", "epoch": 3, "accuracy": value,
          "loss": 0.1}[name] for name in header]
        for cell, own in values.items() for seed, value in enumerate(own)
    ]  # fmt: skip
    folder = tmp_path / "results" / made.config.name / "tables"
    folder.mkdir(parents=True)
    schema.write(folder / "accuracy.csv", "accuracy", lines)
    pooled = math.sqrt(sum(pd.Series(own).var() for own in values.values()) / 2)
    own = rows(power.table(made), "convnets.rates")
    assert f"spread {100 * pooled:.2g}, seen in 2" in own
