"""The developers' command that compares the results of two runs: each kind of difference is found, equal ones pass."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import save_file

from tests import compare_tables

CELLS = """cell_id,study,role,network,group,blocks
base-one-1a,dynamics,grid,one,g-1,results/cells/base-one-1a/seeds_0-1
base-two-2b,dynamics,grid,two,g-1,results/cells/base-two-2b/seeds_0-1
"""
RUNS = """cell_id,seed,status,epochs,wall_seconds,device_name,device
base-one-1a,0,done,3,1.5,this,cpu
base-one-1a,1,diverged,3,1.25,this,cpu
base-two-2b,0,done,3,1.75,this,cpu
"""
ACCURACY = """cell_id,seed,protocol,accuracy,loss
base-one-1a,0,last,0.5,nan
base-one-1a,0,best,0.75,
base-one-1a,1,last,1.0,2.5
base-two-2b,0,last,1e-3,inf
"""
PATHS = """cell_id,t,loss
base-one-1a,0.0,1.5
base-one-1a,0.5,2.5
base-one-1a,1.0,0.25
"""
MARKS = """x,y
0.5,1.5
0.25,2.5
0.25,2.5
"""
CLAIMS = [
    {"id": "002-1", "verdict": "reproduced", "numbers": {"share": 0.5, "n": 3}},
    {"id": "002-2", "verdict": "contradicted", "numbers": {}},
]


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """results/<name> of a small made-up run: 7 files, two blocks of one cell each."""
    folder = tmp_path / "a" / "results" / "tour"
    write(folder / "cells.csv", CELLS)
    write(folder / "tables/runs.csv", RUNS)
    write(folder / "tables/accuracy.csv", ACCURACY)
    write(folder / "measures/g-1/paths.csv", PATHS)
    write(folder / "figures/dynamics/marks.csv", MARKS)
    write(folder / "figures/dynamics/claims.json", json.dumps(CLAIMS))
    write(folder / "figures/dynamics/none.csv", "")
    for cell in ("base-one-1a", "base-two-2b"):
        block = folder.parent / "cells" / cell / "seeds_0-1"
        own = [
            {"seed": seed, "status": "done", "epochs": 3, "best_epoch": 2, "start_sha256": f"hash-{seed}"}
            for seed in range(2)
        ]
        write(block / "run.json", json.dumps({"replicates": own}))
        (block / "snapshots/seed0").mkdir(parents=True)
        save_file({"fc.weight": np.arange(4.0)}, block / "snapshots/seed0/epoch_1.safetensors")
    return folder


@pytest.fixture
def b(a: Path) -> Path:
    """A copy of `a`."""
    shutil.copytree(a.parents[1], a.parents[2] / "b")
    return a.parents[2] / "b" / "results" / "tour"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def change(path: Path, old: str, new: str) -> None:
    """Replace what stands in a file exactly once."""
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def run(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str]:
    """(exit status, what the command printed)."""
    status = compare_tables.main(list(map(str, words)))
    printed = capsys.readouterr()
    return status, (printed.err if status == 2 else printed.out).strip()


def test_equal_results_pass_with_one_line_of_totals(a, b, capsys):
    # Numbers: 6 of runs (seed, epochs), 10 of accuracy (4 seeds, 4 accuracies, 2.5 and inf), 6 of paths, 6 of marks,
    # 2 of claims, 4 x 3 of the replicates.
    assert run(capsys, a, b) == (0, "8 tables, 42 numbers, all equal")
    assert run(capsys, a, b, "--weights") == (0, "9 tables, 42 numbers, all equal")


def test_numbers_are_compared_as_numbers_and_words_as_words(a, b, capsys):
    change(b / "tables/accuracy.csv", "1,last,1.0,2.5", "1.0,last,1,2.50e0")
    change(b / "tables/accuracy.csv", "nan", "NaN")
    change(b / "measures/g-1/paths.csv", "0.25", ".25")
    assert run(capsys, a, b)[0] == 0
    change(b / "cells.csv", "grid,two", "grid,Two")
    status, told = run(capsys, a, b)
    assert status == 1 and "network: 1 of 2 differ\n    cell_id base-two-2b: 'two' | 'Two'" in told


@pytest.mark.parametrize(("old", "new"), [("nan", ""), ("nan", "0"), ("0.75,", "0.75,nan"), ("inf", "-inf")])
def test_undefined_empty_and_infinite_values_are_told_apart(a, b, capsys, old, new):
    change(b / "tables/accuracy.csv", old, new)
    status, told = run(capsys, a, b)
    assert status == 1 and "loss: 1 of 4 differ" in told


def test_the_largest_differences_and_the_first_three_rows_are_reported(a, b, capsys):
    for old, new in ((",0.5,", ",0.625,"), (",0.75,", ",0.5,"), (",1.0,", ",0.875,"), (",1e-3,", ",4e-3,")):
        change(b / "tables/accuracy.csv", old, new)
    status, told = run(capsys, a, b)
    lines = told.splitlines()
    assert status == 1 and lines[-1] == "8 tables, 42 numbers, different tables: 1"
    assert lines[:2] == ["tables/accuracy.csv", "  accuracy: 4 of 4 differ, by at most 0.25 (relative 0.75)"]
    assert lines[2] == "    cell_id base-one-1a, seed 0, protocol last: '0.5' | '0.625'"
    assert len(lines) == 6 and "1e-3" not in told


def test_large_whole_numbers_are_compared_digit_by_digit(a, b, capsys):
    for folder, last in ((a, 2), (b, 3)):
        write(folder / "tables/large.csv", f"cell_id,bytes\nbase-one-1a,900719925474099{last}\n")
    assert "bytes: 1 of 1 differ" in run(capsys, a, b)[1]


def test_rtol_allows_what_it_says_and_no_more(a, b, capsys):
    change(b / "tables/accuracy.csv", ",0.5,", ",0.5005,")
    assert run(capsys, a, b, "--rtol", "0.0011")[0] == 0
    assert run(capsys, a, b, "--rtol", "0.0009")[0] == 1
    assert run(capsys, a, b)[0] == 1


def test_times_and_machines_are_left_out(a, b, capsys):
    change(b / "tables/runs.csv", "1.5,this", "99,that")
    assert run(capsys, a, b)[0] == 0
    change(b / "tables/runs.csv", "that,cpu", "that,cuda")
    assert "device: 1 of 3 differ" in run(capsys, a, b)[1]
    change(b / "tables/runs.csv", "diverged", "failed")
    assert "status: 1 of 3 differ" in run(capsys, a, b)[1]


def test_long_tables_json_and_sentences_leave_out_times_too(a, b, capsys):
    for folder, seconds in ((a, 1), (b, 2)):
        write(folder / "tables/summary.csv", f"measure,cell_id,mean\nwall_seconds,c,{seconds}\naccuracy,c,0.5\n")
        write(folder / "figures/dynamics/overall.csv", f"quantity,value\ntime (s),{seconds} ± 0.1\nepochs,2\n")
        told = {"answer": f"Loss 0.1 and 0.2; wall time in seconds {seconds} and {seconds}.", "seconds": seconds}
        better = [{"quantity": "loss", "mean": 0.1}, {"quantity": "seconds", "mean": seconds}]
        write(folder / "figures/dynamics/exhibits.json", json.dumps({"facts": told | {"better": better, "n": 3}}))
    assert run(capsys, a, b)[0] == 0
    change(b / "tables/summary.csv", "0.5", "0.25")
    change(b / "figures/dynamics/overall.csv", "epochs,2", "epochs,3")
    path = b / "figures/dynamics/exhibits.json"
    path.write_text(path.read_text().replace("0.1", "0.3").replace('"n": 3', '"n": 4'))
    told = run(capsys, a, b)[1]
    assert "measure accuracy: '0.5' | '0.25'" in told and "quantity epochs: '2' | '3'" in told
    for place in ("answer: 'Loss 0.1", "better.0.mean: '0.1' | '0.3'", "n: '3' | '4'"):
        assert f"place facts.{place}" in told


def test_rows_and_columns_of_one_side_alone_are_reported(a, b, capsys):
    change(b / "tables/accuracy.csv", "base-one-1a,1,last,1.0,2.5\n", "")
    change(b / "tables/runs.csv", "epochs", "passes")
    told = run(capsys, a, b)[1]
    assert "rows only in A: 1 (cell_id base-one-1a, seed 1, protocol last)" in told
    assert "columns only in A: epochs" in told and "columns only in B: passes" in told
    assert "rows only in B: 1 (" in run(capsys, b, a)[1]


def test_a_missing_table_is_reported(a, b, capsys):
    (b / "tables/accuracy.csv").unlink()
    assert "tables/accuracy.csv\n  only in A\n" in run(capsys, a, b)[1]
    status, told = run(capsys, b, a)
    assert status == 1 and "tables/accuracy.csv\n  only in B\n" in told


def test_an_empty_table_equals_another_and_no_other(a, b, capsys):
    write(a / "tables/reach.csv", "study,depth\n")
    write(b / "tables/reach.csv", "study,depth\n")
    assert run(capsys, a, b)[0] == 0
    write(b / "tables/reach.csv", "study,depth\ndynamics,1\n")
    assert "rows only in B: 1" in run(capsys, a, b)[1]
    write(b / "tables/reach.csv", "")
    assert "columns only in A: study, depth" in run(capsys, a, b)[1]


@pytest.mark.parametrize("table", ["tables/accuracy.csv", "measures/g-1/paths.csv", "figures/dynamics/marks.csv"])
def test_another_order_of_rows_is_said_and_is_no_difference(a, b, capsys, table):
    head, first, *rest = (b / table).read_text().splitlines(keepends=True)
    (b / table).write_text(head + "".join(rest) + first)
    status, told = run(capsys, a, b)
    assert status == 0 and told.splitlines()[:2] == [table, "  the rows stand in another order"]
    assert told.endswith("all equal")


def test_a_difference_is_found_among_rows_in_another_order(a, b, capsys):
    head, first, *rest = (b / "measures/g-1/paths.csv").read_text().splitlines(keepends=True)
    (b / "measures/g-1/paths.csv").write_text(head + "".join(rest) + first.replace("1.5", "1.75"))
    told = run(capsys, a, b)[1]
    assert "loss: 1 of 3 differ, by at most 0.25 (relative 0.143)\n    t 0.0: '1.5' | '1.75'" in told
    assert "another order" in told


def test_rows_without_keys_are_compared_by_position(a, b, capsys):
    change(b / "figures/dynamics/marks.csv", "0.5,1.5", "0.5,1.25")
    assert "y: 1 of 3 differ, by at most 0.25 (relative 0.167)\n    row 1: '1.5' | '1.25'" in run(capsys, a, b)[1]


def test_keys_are_the_fewest_leftmost_columns_that_tell_rows_apart():
    frame = pd.DataFrame({"cell": ["a", "a", "b"], "kind": ["k"] * 3, "mean": ["0.5"] * 3, "seed": ["0", "1", "0"]})
    assert compare_tables.key_columns(frame, frame) == ["cell", "seed"]
    assert compare_tables.key_columns(frame, frame.assign(seed="0")) == []


def test_claims_are_compared_by_their_ids(a, b, capsys):
    write(b / "figures/dynamics/claims.json", json.dumps(CLAIMS[::-1]))
    assert run(capsys, a, b)[0] == 0
    change(b / "figures/dynamics/claims.json", "reproduced", "undecided")
    assert "place 002-1.verdict: 'reproduced' | 'undecided'" in run(capsys, a, b)[1]


@pytest.mark.parametrize(
    ("key", "value"), [("status", "failed"), ("epochs", 4), ("best_epoch", None), ("start_sha256", "other")]
)
def test_replicates_are_compared(a, b, capsys, key, value):
    path = b.parent / "cells/base-two-2b/seeds_0-1/run.json"
    record = json.loads(path.read_text())
    record["replicates"][1][key] = value
    record["replicates"][0]["wall_seconds"] = 7
    path.write_text(json.dumps(record))
    told = run(capsys, a, b)[1]
    assert told.startswith(f"replicates\n  {key}: 1 of 4 differ") and "cell_id base-two-2b, seed 1: " in told


def test_weights_are_compared_by_bytes_where_asked(a, b, capsys):
    path = b.parent / "cells/base-two-2b/seeds_0-1/snapshots/seed0/epoch_1.safetensors"
    save_file({"fc.weight": np.arange(4.0)}, path, {"note": "metadata are no tensors"})
    assert run(capsys, a, b, "--weights")[0] == 0
    save_file({"fc.weight": np.array([-0.0, 1.0, 2.0, 3.0])}, path)
    assert run(capsys, a, b)[0] == 0
    told = run(capsys, a, b, "--weights")[1]
    assert told.startswith("weights\n  sha256: 1 of 2 differ\n    cell_id base-two-2b: ")


# ------------------------------------------------------------------------------------------------------ what is renamed


def renamed(tmp_path: Path, given: object) -> Path:
    path = tmp_path / "renamed.yaml"
    path.write_text(yaml.safe_dump(given))
    return path


def test_renamed_tables_files_columns_and_values_are_compared_through(a, b, tmp_path, capsys):
    (b / "tables/runs.csv").rename(b / "tables/replicates.csv")
    (b / "measures/g-1/paths.csv").rename(b / "measures/g-1/lines.csv")
    (b / "figures/dynamics/none.csv").rename(b / "figures/dynamics/nothing.csv")
    (b / "tables/accuracy.csv").write_text(ACCURACY.replace("protocol", "chosen_at").replace("best", "best_valid"))
    (b / "tables/replicates.csv").write_text(RUNS.replace("wall_seconds", "seconds_in_all").replace("1.5", "9"))
    given = {
        "tables": {"runs": "replicates", "paths": "lines"},
        "files": {"figures/dynamics/none.csv": "figures/dynamics/nothing.csv"},
        "columns": {"accuracy": {"protocol": "chosen_at"}, "*": {"wall_seconds": "seconds_in_all"}},
        "values": {"protocol": {"best": "best_valid"}},
    }
    assert run(capsys, a, b)[0] == 1
    assert run(capsys, a, b, "--renamed", renamed(tmp_path, given)) == (0, "8 tables, 42 numbers, all equal")
    change(b / "tables/accuracy.csv", "0.75", "0.5")
    told = run(capsys, a, b, "--renamed", renamed(tmp_path, given))[1]
    assert "cell_id base-one-1a, seed 0, chosen_at best_valid: '0.75' | '0.5'" in told


def test_a_time_that_is_renamed_in_a_long_table_is_left_out(a, b, tmp_path, capsys):
    write(a / "tables/summary.csv", "measure,mean\nwall_seconds,1\n")
    write(b / "tables/summary.csv", "measure,mean\nduration,2\n")
    assert "rows only in B: 1 (measure duration)" in run(capsys, a, b)[1]
    given = {"values": {"measure": {"wall_seconds": "duration"}}}
    assert run(capsys, a, b, "--renamed", renamed(tmp_path, given))[0] == 0


def test_a_renamed_folder_is_compared_through(a, b, tmp_path, capsys):
    (b / "figures/dynamics").rename(b / "figures/motion")
    given = {"files": {"figures/dynamics": "figures/motion"}}
    assert run(capsys, a, b, "--renamed", renamed(tmp_path, given))[0] == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": {"accuracy": {"protocl": "x"}}}, "columns.accuracy.protocl: A has no such column"),
        ({"columns": {"accurcy": {"protocol": "x"}}}, "columns.accurcy.protocol: A has no such column"),
        ({"columns": {"accuracy": {"protocol": "seed"}}}, "columns: tables/accuracy.csv would have a column twice"),
        ({"values": {"status": {"ended": "x"}}}, "values.status.ended: A has no such value"),
        ({"tables": {"metrics": "x"}}, "tables.metrics: A has no such table"),
        ({"tables": {"runs": "accuracy"}}, "tables, files: two tables of A would be tables/accuracy.csv"),
        ({"files": {"figures/none": "x"}}, "files.figures/none: A has no such file"),
        ({"column": {}}, "unknown key 'column'; allowed: tables, files, columns, values"),
        ({"columns": {"seed": "x"}}, "columns.seed is 'x'; allowed: a mapping of old names to new ones"),
        ([1], "is no mapping of names; allowed: tables, files, columns, values, each a mapping"),
    ],
)
def test_a_wrong_renaming_is_an_error_in_one_line(a, b, tmp_path, capsys, given, message):
    path = renamed(tmp_path, given)
    assert run(capsys, a, b, "--renamed", path) == (2, f"compare_tables.py: {path}: {message}")


def test_a_folder_without_results_is_an_error_in_one_line(a, tmp_path, capsys):
    status, told = run(capsys, a, tmp_path / "nothing")
    assert (status, len(told.splitlines())) == (2, 1) and "has no cells.csv" in told


def test_cells_with_other_ids_are_matched_by_their_labels(a, b, capsys):
    for path in [*b.rglob("*.csv"), *b.parent.glob("cells/*/*/run.json")]:
        path.write_text(path.read_text().replace("base-two-2b", "base-two-3c").replace("g-1", "g-2"))
    (b.parent / "cells/base-two-2b").rename(b.parent / "cells/base-two-3c")
    (b / "measures/g-1").rename(b / "measures/g-2")
    assert run(capsys, a, b)[0] == 1
    assert run(capsys, a, b, "--by-labels", "--weights") == (0, "9 tables, 42 numbers, all equal")
    change(b / "tables/runs.csv", "diverged", "failed")
    assert "status: 1 of 3 differ" in run(capsys, a, b, "--by-labels")[1]
