"""A measure and a part of the report that raise: the run ends with a report of all else, and a status that says so."""

import csv

from tests import pages
from tests.workflow.test_keep import copied

MEASURE, EXHIBIT = "analysis/weights/movement.py", "reporting/exhibits/weights/norms.py"
SEE = "    def see(self, snapshot: Snapshot) -> None:\n"
HARMED = f"{SEE}        if self.replicate.seed == 1 and snapshot.epoch == 2:\n            raise LookupError('$mad_')\n"


def movement(workflow):
    with open(workflow.root / "results/tiny/tables/movement.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_one_measure_and_one_exhibit_that_raise_cost_nothing_else(finished, tmp_path):
    workflow = copied(finished, tmp_path)
    figures, rows = workflow.root / "results/tiny/figures/dynamics", movement(workflow)
    before = {path.name for path in figures.iterdir()}
    measure, code = (workflow.root / "scripts/weight_atlas" / name for name in (MEASURE, EXHIBIT))
    whole, sound = measure.read_text(), code.read_text()
    measure.write_text(whole.replace(SEE, HARMED, 1))
    head = "def norms(tables: Tables) -> list[Exhibit]:"
    assert head in sound
    code.write_text(sound.replace(head, f"{head}\n    raise KeyError('$odd_')", 1))
    ended = workflow.run(check=False)
    assert ended.returncode == 1
    told = ended.stdout[ended.stdout.index("tiny: measures failed (2); all else stands") :]
    [lenet] = (workflow.root / "logs/measure/tiny").glob("digits-lenet1-*.log")
    first, *others = dict.fromkeys(row["cell_id"] for row in rows if "-lenet1-" in row["cell_id"])
    what = f"the measure movement of {first} (seed 1) and {len(others)} more cells: LookupError: $mad_"
    assert f"  {what} (log: logs/measure/tiny/{lenet.name})\n" in told
    assert "Once its code is mended the same command measures it again; to try as it is, add --forcerun measure" in told
    assert "LookupError" in lenet.read_text() and "in see" in lenet.read_text(), "the log has the traceback"
    assert movement(workflow) == [row for row in rows if row["seed"] != "1"] != rows
    assert "retry_failed" not in told, "nothing is to be trained again"
    told = told[told.index("tiny: parts of the report failed (1); all else stands") :]
    line = "dynamics: the exhibit norms: KeyError: '$odd_' (log: logs/draw/tiny/dynamics.log)"
    assert line in told and "The report: results/tiny/report/report.html" in told and "Traceback" not in told
    assert before - {path.name for path in figures.iterdir()} == {"norms.csv"}
    assert "in norms" in (workflow.root / "logs/draw/tiny/dynamics.log").read_text(), "the log has the traceback"
    page = pages.whole(workflow.root / "results/tiny")
    assert page.count("KeyError: '$odd_'") == 2, "on the first page and in its chapter"
    assert page.count(what) == 1 and page.count("LookupError: $mad_") == 4, "the same, for two networks"
    assert "2 measures failed" in page and "1 part of the report failed" in page and "add --forcerun measure" in page
    assert workflow.run("status").returncode == 0, "looking on is no failure"
    code.write_text(sound)
    measure.write_text(whole)
    mended = workflow.run().stdout
    assert "parts of the report failed" not in mended and "measures failed" not in mended
    assert {path.name for path in figures.iterdir()} == before and movement(workflow) == rows
