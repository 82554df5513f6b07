"""Names of files and where these are, wherever the four folders are put."""

import json
import shutil

import pytest

from tests.unit import results
from weight_atlas import cell_table, folders
from weight_atlas.export.result import Result
from weight_atlas.folders import Folders

NAMES = {
    "data/x.json": "d/x.json",
    "data/weights/w.safetensors": "d/weights/w.safetensors",
    "results/cells/base-x/seeds_0-1": "/far/base-x/seeds_0-1",
    "results/mine/tables/runs.csv": "out/it/tables/runs.csv",
    "results/other/measures/g": "out/other/measures/g",
    "results/cells": "/far",
    "results/mine": "out/it",
    "results": "out",
    "logs/draw/mine/data.log": "said/draw/mine/data.log",
}


def test_by_default_a_place_is_called_as_its_name():
    usual = Folders.of("mine")
    assert usual.are_usual and all(usual.place(name) == name for name in NAMES)


def test_each_folder_can_be_elsewhere():
    found = Folders.of("mine", {"data": "d/", "cells": "/far", "results": "out/it", "logs": "./said"})
    assert not found.are_usual and {name: found.place(name) for name in NAMES} == NAMES
    assert found.relative == {"data": "../../d", "cells": "/far", "logs": "../../said"}


@pytest.fixture
def moved(tmp_path):
    """Results whose cells and data lie elsewhere, all of which was moved since."""
    made = results.make(tmp_path / "before")
    where = Folders.of("small", {"data": "d", "cells": "far/away", "results": "out/it"})
    for name, place in (("data", "d"), ("results/cells", "far/away"), ("results/small", "out/it")):
        (tmp_path / "after" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(tmp_path / "before" / name, tmp_path / "after" / place)
    config = json.loads((made / "config.json").read_text()) | {"folders": where.relative}
    (tmp_path / "after/out/it/config.json").write_text(json.dumps(config))
    return tmp_path / "after"


def test_results_find_their_cells_and_data_beside_them(moved, monkeypatch):
    found = Result(moved / "out/it")
    [card] = found.cards
    assert card == "data/toy-1.json" and found.card(card)["dataset_id"] == "toy-1", "a name, as in cells.csv"
    for cell_id in results.CELLS:
        paths = found.snapshots(cell_id, 0)
        assert paths and all(path.is_file() and moved / "far/away" in path.parents for path in paths.values())
    monkeypatch.chdir(moved.parent)
    for cell in cell_table.located("after/out/it/cells.csv").values():
        assert [str(moved / "far/away") in block for block in cell["blocks"]] == [True]
        assert cell["card"] == str(moved / "d/toy-1.json")
    before = cell_table.located(moved.parent / "before/results/small/cells.csv")
    assert all(block.startswith("results/cells/") for cell in before.values() for block in cell["blocks"])


def test_without_a_config_beside_them_names_are_places(tmp_path):
    assert folders.read(tmp_path) is None
