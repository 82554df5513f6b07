"""The walk over a group: which measure writes what, and what each of them is handed."""

from collections import Counter
from itertools import chain
from typing import get_args

import numpy as np
import pytest
from test_analysis import cell, layers, replicate, snapshot, write_block, write_data

from weight_atlas import schema, starts, store
from weight_atlas.analysis import course, group, measures
from weight_atlas.analysis.measure import CellMeasure, CourseMeasure, ModelMeasure
from weight_atlas.plan.measures import MEASURES, MeasureName

LISTS = (measures.CELL_MEASURES, measures.COURSE_MEASURES, measures.MODEL_MEASURES)


def test_every_table_is_written_by_one_measure():
    written = [name for measure in chain(*LISTS) for name in measure.tables]
    assert sorted([*written, "missing", "faults", "right"]) == sorted(schema.MEASURES)  # these are of the walk itself
    assert len(set(written)) == len(written)


def test_every_measure_is_declared_under_its_name():
    made = {measure.name: measure.tables for measure in chain(*LISTS)}
    assert made == {name: declared.tables for name, declared in MEASURES.items()}
    assert get_args(MeasureName) == tuple(MEASURES)


def test_the_code_of_a_course_has_the_modules_of_its_measures():
    modules = {
        measure.__module__.removeprefix("weight_atlas.analysis.").replace(".", "/") for measure in course.MEASURES
    }
    assert modules <= {*course.MODULES}


@pytest.fixture
def members(tmp_path):
    """Two cells: x with seeds done and failed, y with one that diverged at its second of three snapshots."""
    random, settings = np.random.default_rng(0), cell(epochs=2)
    statuses = {"x": ["done", "failed"], "y": ["diverged"]}
    found = []
    for name, own in statuses.items():
        block = tmp_path / name / f"seeds_0-{len(own) - 1}"
        series = {0: {epoch: snapshot(layers(settings), random) for epoch in range(3)}}
        if own[0] == "diverged":
            series[0][1]["fc.bias"][0] = np.inf
        records = [replicate(seed, status, 2, cause="no memory") for seed, status in enumerate(own)]
        write_block(block, name, settings, records, series)
        found.append({"cell_id": name, "blocks": [block], "seeds": [*range(len(own))], "cell": settings, "named": []})
        found[-1] |= {"checkpoints": {}, "measures": []}
    return found


def test_each_measure_is_handed_what_it_wants_to_see(members, tmp_path, monkeypatch):
    seen = []

    class Cells(CellMeasure):
        name, tables = "parameters", ("parameters",)

        def see(self, cell, network):
            seen.append(cell["cell_id"])

        def rows(self):
            return {"parameters": [("x", "all", "all", *range(4))]}

    class Course(CourseMeasure):
        name, tables = "statistics", ("statistics",)

        def see(self, snapshot):
            seen.append((self.replicate.seed, snapshot.epoch, snapshot.finite))

        def rows(self):
            return {"statistics": [(0, "fc", "bias", 1, *[0.0] * 6)]}

        @classmethod
        def asked_for(cls, cell):
            return cell["cell_id"] == "x"

    class Models(ModelMeasure):
        name, tables = "features", ("features",)

        @classmethod
        def asked_for(cls, cell):
            return cell["cell_id"] == "x"

        def see(self, model):
            seen.append((*model.key, model.path.name, model.activated is None))

        def rows(self):
            seen.append("all models")
            return {"features": []}

        def tensors(self):
            return {"more": {"one": np.ones(1)}}

    monkeypatch.setattr(measures, "CELL_MEASURES", (Cells,))
    monkeypatch.setattr(measures, "COURSE_MEASURES", (Course,))
    monkeypatch.setattr(course, "MEASURES", (Course,))
    monkeypatch.setattr(measures, "MODEL_MEASURES", (Models,))
    group.measure(members, None, None, tmp_path / "out")
    assert seen == [
        *("x", (0, 0, True), (0, 1, True), (0, 2, True), ("x", 0, "epoch_2.safetensors", True)),
        "y",
        "all models",
    ]
    counts = {name: len(list(schema.rows(tmp_path / "out" / f"{name}.csv", name))) for name in schema.MEASURES}
    assert {name: count for name, count in counts.items() if count} == {"parameters": 1, "statistics": 1}
    assert store.load_arrays(tmp_path / "out" / "more.safetensors")["one"] == 1


def test_each_snapshot_of_a_course_is_read_once(members, tmp_path, monkeypatch):
    """And the last one of a finished replicate once more, for all that look at it (pairs compare files)."""
    load, read = starts.load, Counter()

    def counted(path):
        read[path.relative_to(tmp_path).parts[0], path.stem] += 1
        return load(path)

    monkeypatch.setattr(starts, "load", counted)
    data, card, _ = write_data(tmp_path, count=20)
    group.measure(members, data, store.read_json(card), tmp_path / "out")
    once = dict.fromkeys([(name, f"epoch_{epoch}") for name in "xy" for epoch in range(3)], 1)
    assert read == once | {("x", "epoch_2"): 2}
