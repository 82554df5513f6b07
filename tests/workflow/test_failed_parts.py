"""A part of the report that raises: the run ends with a report of all else, and its exit status says so."""

import html

from tests.workflow.test_keep import copied


def test_one_exhibit_that_raises_costs_nothing_else(finished, tmp_path):
    workflow = copied(finished, tmp_path)
    figures = workflow.root / "results/tiny/figures/dynamics"
    before = {path.name for path in figures.iterdir()}
    code = workflow.root / "scripts/weight_atlas/reporting/exhibits/weights/norms.py"
    sound = code.read_text()
    code.write_text(sound.replace("def norms(tables):", "def norms(tables):\n    raise KeyError('$odd_')", 1))
    ended = workflow.run(check=False)
    assert ended.returncode == 1
    told = ended.stdout[ended.stdout.index("tiny: parts of the report failed (1); all else stands") :]
    line = "dynamics: the exhibit norms: KeyError: '$odd_' (log: logs/draw/tiny/dynamics.log)"
    assert line in told and "The report: results/tiny/report/report.html" in told and "Traceback" not in told
    assert before - {path.name for path in figures.iterdir()} == {"norms.csv"}
    assert "in norms" in (workflow.root / "logs/draw/tiny/dynamics.log").read_text(), "the log has the traceback"
    page = (workflow.root / "results/tiny/report/report.html").read_text(encoding="utf-8")
    assert html.unescape(" ".join(page.split())).count("KeyError: '$odd_'") == 2, "on the first page and in its chapter"
    assert workflow.run("status").returncode == 0, "looking on is no failure"
    code.write_text(sound)
    assert "parts of the report failed" not in workflow.run().stdout
    assert {path.name for path in figures.iterdir()} == before
