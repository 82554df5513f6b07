"""A resolved cell: what its JSON holds is what it says, and settings of another version are refused in one line."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from tests.unit.cells import record, settings
from weight_atlas import cell_table
from weight_atlas.plan import study
from weight_atlas.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("config", ["config", "dynamics", "transferability", "vgg22"])
def test_nothing_of_a_planned_cell_is_lost(config):
    """Every value of the JSON stands in the object, under the same name."""
    asked = yaml.safe_load((ROOT / f"config/{config}.yaml").read_text())
    for cell in study.Plan(asked, Path("nowhere")).cells.values():
        parsed, written = cell.settings, json.loads(json.dumps(cell.settings.json))
        training = asdict(parsed.training)
        training["optimizer"] = {"type": training["optimizer"]["type"]} | training["optimizer"]["options"]
        for stage, given in zip(training["stages"], written["training"]["stages"], strict=True):
            stage["schedule"] |= {"type": given["schedule"]["type"]}
            given["schedule"].setdefault("warmup", 0.0)
        assert training == written["training"]
        assert asdict(parsed.input) == {"mean": None, "std": None} | written["input"]
        assert asdict(parsed.network) == {"tensors": None} | written["network"]
        start = asdict(parsed.start)
        assert {key: start[key] for key in written["start"]} == written["start"]
        assert not [key for key in start if key not in written["start"] and start[key] is not None]
        assert (parsed.epochs, parsed.snapshots) == (written["training"]["epochs"], written["snapshots"])
        assert (parsed.dataset_id, parsed.classes) == (written["dataset_id"], written["classes"])


def test_given_checkpoints_have_no_training():
    given = settings(start={"kind": "given", "files": "run"}, snapshots=[1, 5])
    assert given.is_given and given.stages == [] and not settings().is_given
    with pytest.raises(ValueError, match="given"):
        _ = given.training


@pytest.mark.parametrize(
    ("change", "named"),
    [({"start": {"kind": "init", "colour": "red"}}, "colour"), ({"network": {"depth": 3}}, "depth")],
)
def test_settings_of_another_version_are_refused_in_one_line(tmp_path, change, named):
    with pytest.raises(ValueError, match="are of another version of Weight Atlas") as error:
        Settings.parse(record(**change))
    assert named in str(error.value) and "\n" not in str(error.value)
    row = dict.fromkeys(("study", "kind", "role", "dataset", "network", "init", "optimizer", "blocks", "card"), "x")
    row |= {
        "cell_id": "base-x",
        "group": "g",
        "replicates": "1",
        "checkpoints": "",
        "cell": json.dumps(record(**change)),
    }
    with open(tmp_path / "cells.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    with pytest.raises(ValueError, match=f"{tmp_path}/cells.csv: base-x: the settings are of another version"):
        cell_table.read(tmp_path / "cells.csv")
