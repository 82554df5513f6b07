"""The page of a run: its numbers against the records, its curves against the metrics, and when it stops refreshing."""

import html.parser
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_progress import SAID, finish, record

from tests.conftest import tiny, until
from weight_atlas import store
from weight_atlas.plan import curves, live, lock, outcome, status_page, study
from weight_atlas.plan.progress import Progress
from weight_atlas.training import launcher

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NOW = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
HOSTILE = "</td><script>alert('x')</script>\"&\u202e"
VOID = {"meta", "link", "br"}


def planned(root):
    """Two cells in one experiment of a study, and a third in another."""
    config = tiny() | {"networks": {"lenet1": {}, "lenet5": {}}, "sources": {}, "inits": {}, "perturbations": {}}
    grid = {"dataset": ["digits"], "init": ["default"], "network": ["lenet1", "lenet5"], "optimizer": ["sgd"]}
    second = grid | {"network": ["lenet1"], "optimizer": ["adam"]}
    config["definitions"] = {"mine": {"experiments": {"first": {"grid": grid}, "second": {"grid": second}}}}
    return study.Plan(config, root)


def metrics(where, seed, rows):
    """The metrics of a replicate: (validation accuracy, loss) of each epoch from 0 on; None for what is not finite."""
    path = store.metrics_path(where, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(store.METRICS)]
    for epoch, (accuracy, loss) in enumerate(rows):
        values = {"cell_id": "x", "seed": seed, "epoch": epoch, "valid_accuracy": accuracy, "valid_loss": loss}
        lines.append(",".join("" if (value := values.get(name)) is None else str(value) for name in store.METRICS))
    path.write_text("\n".join(lines) + "\n")


COURSES = {
    "done": [(0.1, 2.3), (0.55, 1.25), (0.875, 0.5)],
    "diverged": [(0.1, 2.4), (0.2, 900.0), (None, None)],
    "running": [(0.125, 2.2), (0.4, 1.5)],
}


def half(tmp_path):
    """(plan, its three cells, the lock of the one that runs): one has ended, one is at its second replicate."""
    plan = planned(tmp_path)
    ended, now, waiting = plan.cells
    directory = tmp_path / study.block_path(ended, (0, 2))
    metrics(directory, 0, COURSES["done"])
    metrics(directory, 2, COURSES["diverged"])
    finish(plan, ended, record(0), record(1, "failed", f"KeyError: {HOSTILE}"), record(2, "diverged", "the loss"))
    scratch = store.scratch_path(tmp_path / study.block_path(now, (0, 2)))
    store.write_json(store.record_path(scratch, 0), record(0))
    metrics(scratch, 0, COURSES["done"])
    metrics(scratch, 1, COURSES["running"])
    (scratch / "train.log").write_text("".join(f"{line}\n" for line in SAID))
    return plan, (ended, now, waiting), launcher.Block(tmp_path / study.block_path(now, (0, 2)), now, {}).lock()


@pytest.fixture
def halfway(tmp_path):
    return half(tmp_path)


class Page(html.parser.HTMLParser):
    """The text of a page without its style; fails where its tags do not close one another."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.rows = [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("tr", "li"):
            self.rows.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("tr", "li"):
            self.rows[-1] = self.rows[-1].replace("\n", " ")
            self.rows.append("")

    def handle_data(self, data):
        if "style" not in self.open and "title" not in self.open:
            self.text += data
            if self.rows:
                self.rows[-1] += data


def refreshes(text):
    return ("meta", {"http-equiv": "refresh", "content": "10"}) in Page(text).tags


def test_the_page_has_the_numbers_of_the_records(halfway):
    plan, _, launching = halfway
    with launching:
        progress = Progress(plan)
        text = status_page.page(progress, False, NOW)
    page = Page(text)
    assert "tiny: 2 of 9 replicates done" in page.text and "Running: 1 training job." in page.text
    assert [row for row in page.rows if re.search(r"\d of \d done", row)] == [
        "mine2 of 9 done, 1 running, 1 failed, 1 diverged, 4 waiting",
        "first2 of 6 done, 1 running, 1 failed, 1 diverged, 1 waiting",
        "second0 of 3 done, 3 waiting",
    ]
    assert "written at 2026-03-01 12:30:05 UTC" in page.text
    (said,) = re.findall(r"About (.+) of training and then (.+) of measures are left", page.text)
    assert said == (outcome.spoken(progress.seconds_left()), outcome.spoken(progress.measuring_seconds_left()))
    assert progress.seconds_left() > 0 < progress.measuring_seconds_left()
    assert any(row.startswith("digits x lenet5") and "epoch 2/6 50%, valid 13.70%" in row for row in page.rows)


def test_the_bars_are_as_long_as_the_shares(halfway):
    plan, _, launching = halfway
    with launching:
        text = status_page.page(Progress(plan), False, NOW)
    bars = [ElementTree.fromstring(bar) for bar in re.findall(r'<svg class="bar".*?</svg>', text)]
    running, whole, *_ = ([float(part.get("width")) for part in bar] for bar in bars)
    assert running == pytest.approx([25, 75]), "1.5 of 6 epochs"
    assert whole == pytest.approx([100 * count / 9 for count in (2, 1, 1, 1, 4)], rel=1e-5)
    starts = [float(part.get("x")) for part in bars[1]]
    assert starts == pytest.approx([100 * count / 9 for count in (0, 2, 3, 4, 5)], rel=1e-5)


def test_what_failed_stands_with_its_cause_and_others_texts_do_nothing(halfway):
    plan, (ended, *_), launching = halfway
    with launching:
        text = status_page.page(Progress(plan), False, NOW)
    page = Page(text)
    shown = HOSTILE.replace("\u202e", "\\u202e")
    troubles = [row for row in page.rows if row.startswith(("failed: ", "diverged: "))]
    label = "digits x lenet1 x default x sgd x first"
    assert troubles == [
        f"failed: {label}, seed 1: KeyError: {shown} {ended}",
        f"diverged: {label}, seed 2: the loss {ended}",
    ]
    assert not {"script"} & {tag for tag, _ in page.tags} and "\u202e" not in text


def test_replicates_that_failed_alike_are_one_entry(halfway):
    plan, (ended, *_), _ = halfway
    finish(plan, ended, record(0, "failed", "the same"), record(1), record(2, "failed", "the same"))
    rows = [row for row in Page(status_page.page(Progress(plan), False, NOW)).rows if row.startswith("failed: ")]
    assert rows == [f"failed: digits x lenet1 x default x sgd x first, seeds 0, 2: the same {ended}"]


def drawn(text):
    """{(whether of the loss, the title of a curve): its points} as the page's charts draw them, in their scales."""
    found = {}
    for chart in re.findall(r'<svg viewBox="[^"]+" role="img".*?</svg>\n</svg>', text, re.S):
        svg = ElementTree.fromstring(chart)
        inner = svg.find("svg")
        width, height = float(inner.get("width")), float(inner.get("height"))
        numbers = [mark for mark in svg.findall("text") if mark.get("text-anchor") == "end"]
        top, epochs = float(numbers[2].text.removesuffix(" %")), float(numbers[3].text)
        for path in inner.findall("path"):
            places = re.findall(r"([\d.]+),(-?[\d.]+)", path.get("d").partition("L")[2])
            points = [(float(x) / width * epochs, (1 - float(y) / height) * top) for x, y in places]
            found["loss" in svg.get("aria-label"), path.get("class"), path.find("title").text] = points
    return found


def test_the_curves_are_the_metrics(halfway):
    plan, (ended, now, _), launching = halfway
    with launching:
        text = status_page.page(Progress(plan), False, NOW)
    found = drawn(text)
    assert len(found) == 8, "four replicates have metrics, the failed one has none"
    for state, course in COURSES.items():
        for of_loss in (False, True):
            values = [one[of_loss] * (1 if of_loss else 100) for one in course if one[of_loss] is not None]
            own = [points for (kind, css, _), points in found.items() if kind == of_loss and css == f"curve {state}"]
            assert len(own) == (2 if state == "done" else 1)
            for points in own:
                assert [epoch for epoch, _ in points] == pytest.approx(list(range(len(values))), abs=0.01)
                assert [value for _, value in points] == pytest.approx(
                    values, rel=0.01, abs=0.5 if not of_loss else 0.02
                )
    (title,) = (title for kind, css, title in found if not kind and css == "curve running")
    assert title.endswith("seed 1, running: 40 % after epoch 1") and title.startswith("digits x lenet5 x default")
    rows = [row for row in Page(text).rows if "of 2" in row]
    assert len(rows) == 4 and any(row.endswith("1running1 of 240 %1.5") for row in rows)


def test_a_loss_that_explodes_leaves_the_scale_to_the_others():
    lines = [[(0, 2.3), (1, 0.5)], [(0, 2.32), (1, 0.4)], [(0, 2.4), (1, 9e9)]]
    assert curves.loss_top(lines) == pytest.approx(2.4) and curves.loss_top(lines[2:]) == pytest.approx(9e9)
    assert curves.loss_top([[(0, 0.111)]]) == pytest.approx(0.12) and curves.loss_top([[(0, 0.0)]]) == 1.0


def test_at_most_so_many_curves_and_the_rest_is_said(halfway):
    plan, (ended, now, _), launching = halfway
    with launching:
        progress = Progress(plan)
    assert [(curve.cell_id, curve.seed) for curve in curves.read(progress).curves] == [
        *((now, 1), (ended, 2)),
        *sorted([(now, 0), (ended, 0)], reverse=True),
    ], "running, diverged, done"
    shown, left_out = curves.read(progress, 2)
    assert [curve.state for curve in shown] == ["running", "diverged"] and left_out == 3, "one of which has no curve"
    progress.finished[ended, 0]["started"] = "2026-01-31T09:30:00Z"
    progress.finished[now, 0]["started"] = "2026-01-31T09:29:00Z"
    assert (curves.read(progress, 3).curves[-1].cell_id, curves.read(progress).left_out) == (ended, 0)


def test_metrics_that_are_moved_or_no_table_are_left_out(halfway):
    plan, (ended, *_), _ = halfway
    path = store.metrics_path(plan.root / study.block_path(ended, (0, 2)), 0)
    for text in ("", "epoch,valid_accuracy\n0,0.1\n", "epoch,valid_accuracy,valid_loss\nx,y,z\n"):
        path.write_text(text)
        assert (ended, 0) not in {(curve.cell_id, curve.seed) for curve in curves.read(Progress(plan)).curves}


def test_the_page_refreshes_itself_until_all_is_done(halfway):
    plan, cells, _ = halfway
    assert refreshes(status_page.page(Progress(plan), False, NOW)), "something is left"
    for cell_id in cells:
        finish(plan, cell_id, *(record(seed) for seed in range(3)))
    done = Progress(plan)
    assert refreshes(status_page.page(done, True, NOW)), "measures and figures are to come"
    text = status_page.page(done, False, NOW)
    assert not refreshes(text) and "All training is done." in text and "left" not in Page(text).text
    assert "report" not in Page(text).text
    for name in ("report/report.html", "explorer.html"):
        path = status_page.path(plan).parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    links = [attributes["href"] for tag, attributes in Page(status_page.page(done, False, NOW)).tags if tag == "a"]
    assert links == ["report/report.html", "explorer.html"]


def test_a_run_writes_the_page_until_it_ends(halfway, monkeypatch):
    plan, cells, _ = halfway
    monkeypatch.setattr(live, "SECONDS", 0.0)
    monkeypatch.setattr(live, "SHARE", 1e9)
    page = status_page.path(plan)
    page.parent.parent.joinpath("tiny").touch()  # no folder can be made: the run goes on, and the page comes later
    held = lock.hold(plan.root / ".snakemake/atlas.lock")
    follower = live.Follower(plan)
    follower.start()
    try:
        page.parent.unlink()
        until(page.exists)
        assert "2 of 9 replicates" in page.read_text() and refreshes(page.read_text())
        for cell_id in cells:
            finish(plan, cell_id, *(record(seed) for seed in range(3)))
        until(lambda: "9 of 9 replicates" in page.read_text())
    finally:
        follower.end()
        os.close(held)
    assert not follower.is_alive() and not refreshes(page.read_text()), "though the lock was held to the last"
    assert [path.name for path in page.parent.iterdir()] == ["status.html"]
    live.Follower(plan).end()  # of a run that never began


def test_the_page_needs_no_slow_package():
    code = "import sys, weight_atlas.plan.live; print({'torch', 'pandas', 'altair', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_console_is_told_what_is_left_of_all(halfway):
    """Four of nine replicates have ended: three of one cell, and the first of another."""
    plan, _, _ = halfway
    progress = Progress(plan)
    seconds = progress.seconds_left() + progress.measuring_seconds_left()
    assert seconds > progress.seconds_left() > 0
    said = f"tiny: 4 of 9 replicates have ended; about {outcome.spoken(seconds)} left, measures included"
    assert live.left(progress) == said


def test_it_is_told_once_a_minute(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(live, "SECONDS", 0.01)
    monkeypatch.setattr(live, "TOLD", 0.0)
    follower = live.Follower(planned(tmp_path))
    follower.start()
    until(lambda: "tiny: 0 of 9 replicates have ended; about " in capsys.readouterr().err)
    follower.end()
