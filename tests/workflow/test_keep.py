"""Looking after a study: what `status` and `prune` say of a finished run, and what is left after a removal."""

import copy
import re
import shutil
import zipfile
from pathlib import Path

from tests.conftest import Workflow


def copied(workflow, root):
    """The finished workflow, in a directory of its own that may be changed."""
    other = Workflow(root, workflow.config)
    for part in ("results", "data", ".snakemake"):
        shutil.copytree(workflow.root / part, root / part, dirs_exist_ok=True)
    return other


def files(root):
    return {path: path.stat().st_mtime_ns for part in ("results", "data") for path in (root / part).rglob("*")}


def test_status_counts_what_is_done_and_changes_nothing_but_its_page(finished):
    page, folder = finished.root / "results/tiny/status.html", finished.root / "results/tiny"
    of_the_run, before = page.read_text(), files(finished.root)
    text = finished.run("status").stdout
    changed = {path for path, when in files(finished.root).items() if before.get(path) != when}
    assert changed == {page, folder} and "page      results/tiny/status.html" in text
    for written in (of_the_run, page.read_text()):
        assert "<h1>tiny: 27 of 27 replicates done</h1>" in written and "All training is done." in written
        assert "http-equiv" not in written and '<a href="report/report.html">' in written
    for row in ("dynamics", "in all"):
        assert re.search(rf"^{row} +27 +0 +0 +0 +0 +27$", text, re.M), text
    assert "running   0 training jobs; no snakemake works here" in text and "all training is done" in text


def test_snakemakes_own_report_has_pages_figures_and_tables(finished, tmp_path):
    finished.run("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        inside = {Path(name).name for name in archive.namelist()}
        [page] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("report/report.html")]
    results = finished.root / "results/tiny"
    shown = [
        *results.glob("figures/dynamics/*.[sp][vn]g"),
        *results.glob("tables/*.csv"),
        *results.glob("report/*.html"),
    ]
    assert {path.suffix for path in shown} == {".svg", ".png", ".csv", ".html"}
    assert {path.name for path in shown} <= inside
    for words in ('"Figures"', '"Tables"', '"Pages"', "Drawn for the study dynamics."):
        assert words in page


def test_prune_lists_what_a_changed_config_left_and_removes_it_when_told(finished, tmp_path):
    workflow = copied(finished, tmp_path)
    assert "wanted by none of them: 0 in all" in workflow.run("prune").stdout
    cells = {path.name for path in (tmp_path / "results/cells").iterdir()}
    adam = {name for name in cells if "-adam-" in name}
    config = copy.deepcopy(workflow.config)
    config["definitions"]["dynamics"]["grid"]["optimizer"] = ["sgd"]
    workflow.write(config)
    before, text = files(tmp_path), workflow.run("prune").stdout
    listed = re.findall(r" old  (results/cells/\S+)  \(still shown in results/tiny\)$", text, re.M)
    assert {Path(path).name for path in listed} == adam and len(adam) == 3 and files(tmp_path) == before
    assert "snakemake prune --cores all --configfile config/tiny.yaml --config prune=remove" in text

    refused = workflow.run("all", "--config", "prune=remove", check=False)
    assert refused.returncode and "is for the target prune" in refused.stdout
    removed = workflow.run("prune", "--config", "prune=remove").stdout
    assert "removed: 3 in all" in removed
    assert {path.name for path in (tmp_path / "results/cells").iterdir()} == cells - adam
    trained = [job for job in workflow.jobs() if job.startswith(("training", "retraining"))]
    assert trained == [], "what the config still asks for is there"
