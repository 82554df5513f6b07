"""Measures that raise: what they have no rows of is listed, and every other row is what it is without them."""

import csv

import numpy as np
import pytest
import torch
from test_analysis import cell, layers, replicate, snapshot, write_block, write_data

from weight_atlas import store
from weight_atlas.analysis import group
from weight_atlas.analysis.features import feature_statistics, filters
from weight_atlas.analysis.features.pairs import Pairs
from weight_atlas.analysis.weights import statistics
from weight_atlas.analysis.weights.checkpoints import Checkpoints, Correlations, Spectra
from weight_atlas.analysis.weights.movement import Movement
from weight_atlas.analysis.weights.parameters import Parameters
from weight_atlas.plan.measures import MEASURES

# The cells, and the one replicate that raises.
CELLS, HARMED = ("x", "y"), ("x", "1")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Two cells of one network, two replicates each, asked for their filters, and a data set."""
    folder, random, settings = tmp_path_factory.mktemp("faults"), np.random.default_rng(0), cell(epochs=2)
    found = []
    for name in CELLS:
        series = {seed: {epoch: snapshot(layers(settings), random) for epoch in range(3)} for seed in range(2)}
        block = folder / name / "seeds_0-1"
        write_block(block, name, settings, [replicate(seed, epochs=2) for seed in series], series)
        labels = {"study": "s", "kind": "base", "role": "grid", "labels": {"init": name}, "against": {}}
        member = {"cell_id": name, "blocks": [block], "seeds": [0, 1], "cell": settings, "named": [labels]}
        found.append(member | {"checkpoints": {"start": 0, "end": 2}, "measures": ["filters", "identical"]})
    data, card, _ = write_data(folder, count=20)
    return found, data, store.read_json(card)


@pytest.fixture(scope="module")
def sound(members, tmp_path_factory):
    """What is measured where nothing raises."""
    found = measured(members, tmp_path_factory.mktemp("sound"))
    assert found["faults.csv"] == [["cell_id", "seed", "measure", "cause"]]
    return found


def measured(members, folder):
    """{file: its rows} of the tables, and {file: bytes} of the tensors, of the group."""
    group.measure(*members, folder)
    tables = {path.name: list(csv.reader(path.open(newline=""))) for path in folder.glob("*.csv")}
    return tables | {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def on(row, key):
    """Whether a row of a table is on a replicate."""
    return key in (tuple(row[:2]), tuple(row[2:4]))


def raising(function, when):
    """The function, which raises where `when` of its arguments is so."""

    def harmed(*arguments):
        if when(*arguments):
            raise RuntimeError("no \x1b[31mink\nleft")
        return function(*arguments)

    return harmed


WHY = "RuntimeError: no \\x1b[31mink\\nleft"


def is_harmed(measure, shown):
    """Whether a measure that sees snapshots or models is shown the second snapshot of the replicate, or its model."""
    if hasattr(shown, "key"):
        return (shown.cell_id, str(shown.seed)) == HARMED
    return (measure.replicate.block.parent.name, str(measure.replicate.seed)) == HARMED and shown.epoch == 1


def last_weights(members):
    """The weights of the harmed replicate's head at its end, by which a function knows it."""
    return store.load_tensors(store.snapshot_path(members[0][0]["blocks"][0], 1, 2))["fc.weight"]


# What raises for the one replicate, by the measure: the object, its function, and the tables that lose its rows.
SEE = {
    "movement": (Movement, "see", {"movement"}),
    "features": (feature_statistics.FeatureStatistics, "see", {"features"}),
    "filters": (filters.FilterImages, "see", set()),
    "pairs": (Pairs, "see", {"pairs"}),
    "checkpoints": (Checkpoints, "see", {"checkpoints"}),
    "spectra": (Spectra, "see", {"spectra"}),
    "correlations": (Correlations, "see", {"correlations"}),
}


@pytest.mark.parametrize("name", SEE)
def test_a_replicate_is_left_out_of_the_measure_that_raises_alone(members, sound, tmp_path, monkeypatch, capsys, name):
    owner, function, lost = SEE[name]
    monkeypatch.setattr(owner, function, raising(getattr(owner, function), is_harmed))
    found = measured(members, tmp_path)
    assert found["faults.csv"][1:] == [[*HARMED, name, WHY]]
    for file in [file for file in sound if file.endswith(".csv") and file != "faults.csv"]:
        kept = [row for row in sound[file] if file[:-4] not in lost or not on(row, HARMED)]
        assert len(kept) < len(sound[file]) or file[:-4] not in lost, "the replicate has rows to lose"
        if file == "correlations.csv" and name == "correlations":  # the replicates left are paired anew
            kept = [row for row in kept if row[4] != "models"]
        assert found[file] == kept, file
    for file in {"features.safetensors", "filters.safetensors"}:
        assert found[file] == sound[file], f"{file} is of the first replicate"
    said = capsys.readouterr().err
    assert "Traceback" in said and f"failed: the measure {name} of x seed 1; all else goes on" in said


def test_what_raises_half_way_leaves_no_half(members, sound, tmp_path, monkeypatch):
    """The weights of the replicate, which come after its activations."""
    weights = last_weights(members)
    harmed = raising(feature_statistics.describe_weights, lambda _, tensors: torch.equal(tensors["fc.weight"], weights))
    monkeypatch.setattr(feature_statistics, "describe_weights", harmed)
    found = measured(members, tmp_path)
    assert found["features.csv"] == [row for row in sound["features.csv"] if not on(row, HARMED)]
    assert found["faults.csv"][1:] == [[*HARMED, "features", WHY]]


def test_a_course_that_cannot_be_walked_leaves_the_replicate_out_of_all(members, sound, tmp_path, monkeypatch):
    weights = last_weights(members)
    harmed = raising(statistics.rows, lambda _, tensors: torch.equal(tensors["fc.weight"], weights))
    monkeypatch.setattr(statistics, "rows", harmed)
    found = measured(members, tmp_path)
    assert found["faults.csv"][1:] == [[*HARMED, "course", WHY]]
    for file in ("statistics.csv", "movement.csv", "identical.csv", "features.csv", "spectra.csv", "pairs.csv"):
        assert found[file] == [row for row in sound[file] if not on(row, HARMED)] != sound[file], file


def test_without_statistics_nobody_knows_whether_a_model_is_finite(members, sound, tmp_path, monkeypatch):
    see = raising(statistics.Statistics.see, is_harmed)
    monkeypatch.setattr(statistics.Statistics, "see", see)
    found = measured(members, tmp_path)
    assert found["faults.csv"][1:] == [[*HARMED, "statistics", WHY]]
    assert found["movement.csv"] == sound["movement.csv"]
    for file in ("statistics.csv", "features.csv", "spectra.csv"):
        assert found[file] == [row for row in sound[file] if not on(row, HARMED)] != sound[file], file


@pytest.mark.parametrize("name, function", [("pairs", "rows"), ("pairs", "tensors"), ("parameters", "rows")])
def test_a_measure_whose_rows_raise_has_none(members, sound, tmp_path, monkeypatch, name, function):
    owner = {"pairs": Pairs, "parameters": Parameters}[name]
    monkeypatch.setattr(owner, function, raising(getattr(owner, function), lambda _: True))
    found = measured(members, tmp_path)
    assert found["faults.csv"][1:] == [[cell, "", name, WHY] for cell in CELLS]
    lost = {"faults.csv", f"{name}.csv", f"{name}.safetensors"}
    assert len(found[f"{name}.csv"]) == 1 < len(sound[f"{name}.csv"])
    assert {file: found[file] for file in {*sound} - lost} == {file: sound[file] for file in {*sound} - lost}


def test_a_measure_of_cells_leaves_out_the_cell(members, sound, tmp_path, monkeypatch):
    monkeypatch.setattr(Parameters, "see", raising(Parameters.see, lambda _, cell, network: cell["cell_id"] == "y"))
    found = measured(members, tmp_path)
    assert found["faults.csv"][1:] == [["y", "", "parameters", WHY]]
    assert found["parameters.csv"] == [row for row in sound["parameters.csv"] if row[0] != "y"]


def test_a_measure_that_nobody_asked_for_is_no_fault(members, tmp_path, monkeypatch):
    cells, *data = members
    plain = [one | {"measures": []} for one in cells]
    monkeypatch.setattr(filters.IdenticalFilters, "see", raising(filters.IdenticalFilters.see, lambda *_: True))
    assert measured((plain, *data), tmp_path)["faults.csv"][1:] == []


NO_MEMORY = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
ENDS = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), torch.AcceleratorError("CUDA error"), OSError(28)]
ENDS += [RuntimeError(NO_MEMORY), KeyboardInterrupt(), SystemExit(1)]


@pytest.mark.parametrize("error", ENDS, ids=repr)
@pytest.mark.parametrize("owner, function", [(Movement, "see"), (Pairs, "see"), (Pairs, "rows")])
def test_what_is_of_the_machine_ends_the_job(members, tmp_path, monkeypatch, error, owner, function):
    def broken(*_):
        raise error

    monkeypatch.setattr(owner, function, broken)
    with pytest.raises(type(error)):
        group.measure(*members, tmp_path)
    assert not (tmp_path / "faults.csv").exists(), "nothing is written"


def test_no_measure_is_called_as_the_course_is():
    assert "course" not in MEASURES
