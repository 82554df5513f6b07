"""The page of a run, results/<name>/status.html: progress, curves so far, what failed, time left. No script in it."""

import collections
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from weight_atlas import store
from weight_atlas.plan import curves, outcome
from weight_atlas.plan.curves import Curve
from weight_atlas.plan.progress import STATES, Progress
from weight_atlas.plan.study import Plan
from weight_atlas.text import literal

REFRESH = 10  # seconds after which the page loads itself anew while something is left to do
TROUBLES = 50  # entries of what failed and diverged
COLOURS = {"done": "green", "running": "blue", "failed": "red", "diverged": "orange", "waiting": "line"}

STYLE = """
:root { color-scheme: light dark;
  --ink: light-dark(#1d2127, #dfe3e8); --quiet: light-dark(#59616c, #a3abb6); --paper: light-dark(#ffffff, #14171b);
  --raised: light-dark(#f5f6f8, #1e2329); --line: light-dark(#d9dde3, #353c45); --link: light-dark(#0a5a9c, #7cbcf2);
  --blue: light-dark(#0072b2, #56b4e9); --green: light-dark(#00795a, #3cc79b); --red: light-dark(#b3261e, #f2827b);
  --orange: light-dark(#c04e00, #f0934e); }
* { box-sizing: border-box; }
body { max-width: 66rem; margin: 0 auto; padding: 1.2rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 100%/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
  overflow-wrap: anywhere; }
h1 { margin: 0 0 0.3rem; font-size: clamp(1.5rem, 1.2rem + 1.5vw, 2.1rem); line-height: 1.2; }
h2 { margin: 2.4rem 0 0.7rem; font-size: 1.3rem; }
h3 { margin: 1.4rem 0 0.2rem; font-size: 1rem; }
p { margin: 0 0 0.5rem; }
a { color: var(--link); }
.quiet, figcaption, .legend { color: var(--quiet); font-size: 0.9rem; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.4rem 0.8rem 0.4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; }
thead th { color: var(--quiet); font-size: 0.9rem; }
.progress th { width: 34%; }
.study th, .study td { padding-top: 0.9rem; }
.experiment th { padding-left: 1rem; font-weight: 400; }
.of { display: flex; flex-wrap: wrap; align-items: center; gap: 0 1rem; }
.of .bar { flex: 1 1 8rem; height: 0.6rem; }
.of span { flex: 1 1 15rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin: 0 0 0.6rem; padding: 0; list-style: none; }
.legend svg { width: 1.4rem; height: 0.7rem; margin-right: 0.4rem; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(28rem, 100%), 1fr)); gap: 0 2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); gap: 0.3rem 1rem; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; }
figure text { fill: var(--quiet); font-size: 11px; }
figure line { stroke: var(--line); }
.curve { fill: none; stroke: var(--quiet); stroke-width: 1.2; stroke-opacity: 0.65; stroke-linecap: round;
  stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.curve.running { stroke: var(--blue); stroke-opacity: 1; stroke-width: 2.4; }
.curve.failed { stroke: var(--red); stroke-opacity: 1; stroke-width: 1.8; stroke-dasharray: 2 4; }
.curve.diverged { stroke: var(--orange); stroke-opacity: 1; stroke-width: 1.8; stroke-dasharray: 7 4; }
.curve:hover { stroke: var(--ink); stroke-opacity: 1; stroke-width: 3.5; }
.troubles { padding-left: 1.2rem; }
.troubles li { margin-bottom: 0.5rem; }
.table-scroll { overflow-x: auto; }
.table-scroll td { white-space: nowrap; }
.table-scroll table { min-width: 38rem; font-size: 0.88rem; }
summary { width: fit-content; color: var(--link); cursor: pointer; }
:focus-visible { outline: 3px solid var(--orange); outline-offset: 2px; }
"""


def path(plan: Plan) -> Path:
    """Where the page of a plan is."""
    return plan.path(f"results/{plan.config.name}/status.html")


def write(progress: Progress, works: bool) -> None:
    """Write the page, whole. works: whether a Snakemake goes on with it. OSError, ValueError where something of it
    cannot be read or written."""
    text = page(progress, works, datetime.now().astimezone())
    with store.atomic_write(path(progress.plan)) as part:
        part.write_text(text, encoding="utf-8")


def page(progress: Progress, works: bool, now: datetime) -> str:
    """The page as it is now."""
    plan, counts = progress.plan, progress.counts(progress.plan.replicates)
    shown = curves.read(progress)
    left = counts["running"] + counts["waiting"]
    refresh = f'<meta http-equiv="refresh" content="{REFRESH}">' if works or left else ""
    title = f"{_text(plan.config.name)}: {counts['done']} of {sum(plan.replicates.values())} replicates done"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        refresh,
        f"<title>{title}</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{title}</h1>",
        *_summary(progress, works, left, now),
        *_troubles(progress, left),
        *_running(progress),
        *_experiments(progress),
        *_curves(progress, shown),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def _text(text: object) -> str:
    """A text of others as HTML."""
    return escape(literal(text))


def _summary(progress: Progress, works: bool, left: int, now: datetime) -> Iterator[str]:
    """What goes on, the time left, and when this was said."""
    plan, running = progress.plan, len(progress.running)
    yield f"<p><strong>{_goes_on(running, works, left)}</strong> {_time_left(progress, works)}</p>"
    when = f'<time datetime="{now.isoformat(timespec="seconds")}">{now:%Y-%m-%d %H:%M:%S %Z}</time>'
    again = f"; it loads itself anew every {REFRESH} seconds" if works or left else ""
    yield f'<p class="quiet">This page was written at {when}{again}.</p>'
    pages = {"report/report.html": "the report", "explorer.html": "the explorer"}
    there = [f'<a href="{name}">{words}</a>' for name, words in pages.items() if (path(plan).parent / name).exists()]
    if there and not (works or left):
        yield f"<p>See {' and '.join(there)}.</p>"


def _goes_on(running: int, works: bool, left: int) -> str:
    jobs = f"{running} training job{'' if running == 1 else 's'}"
    if running:
        return f"Running: {jobs}."
    if works:
        return "Running: no training yet." if left else "Running: all training is done, the rest is being made."
    return f"Stopped: no snakemake works here, and {_count(left)} left." if left else "All training is done."


def _count(left: int) -> str:
    return f"{left} replicate{'' if left == 1 else 's'} {'is' if left == 1 else 'are'}"


def _time_left(progress: Progress, works: bool) -> str:
    training, measuring = progress.seconds_left(), progress.measuring_seconds_left()
    parts = [f"{outcome.spoken(training)} of training"] if training else []
    parts += [f"{outcome.spoken(measuring)} of measures"] if measuring and (training or works) else []
    if not parts:
        return ""
    pace = f", at the pace of the {done} that are done" if progress.pace and (done := _done(progress)) else ""
    how = f" ({len(progress.running)} at a time{pace})" if progress.running else ""
    return f"About {' and then '.join(parts)} are left{how}; figures and pages follow."


def _done(progress: Progress) -> int:
    return sum(record["status"] == "done" for record in progress.finished.values())


def _experiments(progress: Progress) -> Iterator[str]:
    """The replicates of each study and of its experiments, with a bar."""
    plan = progress.plan
    yield "<h2>Progress</h2>"
    yield '<ul class="legend">'
    for state in STATES:
        yield f"<li>{_swatch(COLOURS[state])}{state}</li>"
    yield "</ul>"
    yield '<table class="progress"><thead><tr><th scope="col">Study and experiment</th>'
    yield '<th scope="col">Replicates</th></tr></thead>'
    for study in plan.asked:
        yield "<tbody>"
        yield _row("study", study, progress.replicates(study), progress)
        roles: dict[str, set[str]] = collections.defaultdict(set)
        for entry in plan.entries:
            if entry.study == study:
                roles[entry.labels.get("experiment", "")].add(entry.role)
        for name in sorted(roles, key=bool, reverse=True) if len(roles) > 1 else ():  # "" last
            unnamed = "source cells" if roles[name] == {"source"} else "other cells"
            yield _row("experiment", name or unnamed, progress.replicates(study, name), progress)
        yield "</tbody>"
    yield "</table>"


def _row(kind: str, name: str, replicates: dict[str, int], progress: Progress) -> str:
    counts, of = progress.counts(replicates), sum(replicates.values())
    others = [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
    words = ", ".join([f"{counts['done']} of {of} done", *others])
    return (
        f'<tr class="{kind}"><th scope="row">{_text(name)}</th><td><div class="of">'
        f"{_bar([counts[state] for state in STATES])}<span>{words}</span></div></td></tr>"
    )


def _bar(counts: Sequence[int]) -> str:
    """A bar of so many replicates in each state; what it shows stands beside it in words."""
    total, x, parts = sum(counts) or 1, 0.0, []
    for state, count in zip(STATES, counts, strict=True):
        width = 100 * count / total
        if count:
            parts.append(f'<rect x="{x:g}" width="{width:g}" height="10" fill="var(--{COLOURS[state]})"/>')
        x += width
    return f'<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'


def _swatch(colour: str) -> str:
    rectangle = f'<rect width="20" height="10" fill="var(--{colour})"/>'
    return f'<svg viewBox="0 0 20 10" aria-hidden="true">{rectangle}</svg>'


def _running(progress: Progress) -> Iterator[str]:
    """A line for each replicate that is being trained."""
    if progress.running:
        yield "<h2>Running now</h2>"
        yield '<table class="progress"><thead><tr><th scope="col">Replicate</th>'
        yield '<th scope="col">Epochs</th></tr></thead><tbody>'
        for one in progress.running:
            bar = _bar([0, round(1000 * one.trained), 0, 0, round(1000 * (1 - one.trained))])
            name = f"{_text(progress.labels[one.cell_id])}, seed {one.seed}"
            line = _text(one.line.replace("  ", ", "))
            yield f'<tr><th scope="row">{name}</th><td><div class="of">{bar}<span>{line}</span></div></td></tr>'
        yield "</tbody></table>"


def _troubles(progress: Progress, left: int) -> Iterator[str]:
    """What failed or diverged with its cause, and, once all is trained, which measures and parts of the report did."""
    plan = progress.plan
    troubled: dict[tuple[str, str, str], list[str]] = collections.defaultdict(list)
    for (cell_id, seed), record in progress.finished.items():
        if record["status"] in ("failed", "diverged") and seed < plan.replicates[cell_id]:
            troubled[record["status"], cell_id, record.get("cause") or "no cause is recorded"].append(str(seed))
    faults = [] if left else outcome.faults(plan)
    if not troubled and not faults:
        return
    yield "<h2>What failed or diverged</h2>"
    if troubled:
        yield '<ul class="troubles">'
        for (status, cell_id, cause), seeds in itertools.islice(troubled.items(), TROUBLES):
            who = f"{_text(progress.labels[cell_id])}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
            yield f"<li><strong>{status}</strong>: {who}: {_text(cause)}"
            yield f'<br><span class="quiet">{_text(cell_id)}</span></li>'
        yield "</ul>"
    if len(troubled) > TROUBLES:
        yield f"<p>{len(troubled) - TROUBLES} more are not listed.</p>"
    yield from (f"<p>{_text(line.strip())}</p>" for line in faults)


def _curves(progress: Progress, shown: curves.Shown) -> Iterator[str]:
    """Accuracy and loss of each network on each data set, and their last numbers as a table."""
    if not shown.curves:
        return
    yield "<h2>Curves so far</h2>"
    yield '<ul class="legend">'
    for state in ("running", "done", "failed", "diverged"):
        line = f'<path class="curve {state}" d="M1,5L27,5"/>'
        yield f'<li><svg viewBox="0 0 28 10" aria-hidden="true">{line}</svg>{state}</li>'
    yield "</ul>"
    rest = f" {_count(shown.left_out)} not shown." if shown.left_out else ""
    order = "Those that run come first, then those that failed or diverged, then the latest."
    yield f'<p class="quiet">{len(shown.curves)} replicates.{rest}{f" {order}" if rest else ""}</p>'
    yield '<div class="groups">'
    for (network, dataset), group in _by_network(progress, shown.curves).items():
        yield f"<section><h3>{_text(network)} on {_text(dataset)}</h3>"
        yield '<div class="charts">'
        for of_loss in (False, True):
            caption = "Validation loss, nats" if of_loss else "Validation accuracy"
            chart = curves.chart(group, progress.labels, of_loss)
            yield f"<figure><figcaption>{caption}</figcaption>\n{chart}\n</figure>"
        yield "</div></section>"
    yield "</div>"
    yield from _numbers(progress, shown.curves)


def _by_network(progress: Progress, shown: Sequence[Curve]) -> dict[tuple[str, str], list[Curve]]:
    """Curves by the labels of network and data set, in the order of the plan."""
    places = {e.cell_id: (e.labels["network"], e.labels["dataset"]) for e in reversed(progress.plan.entries)}
    groups: dict[tuple[str, str], list[Curve]] = collections.defaultdict(list)
    order = {cell_id: number for number, cell_id in enumerate(progress.plan.cells)}
    for curve in sorted(shown, key=lambda one: (order[one.cell_id], one.seed)):
        groups[places[curve.cell_id]].append(curve)
    return groups


def _numbers(progress: Progress, shown: Sequence[Curve]) -> Iterator[str]:
    yield "<details><summary>The last numbers of these replicates</summary>"
    yield '<div class="table-scroll" tabindex="0" role="region" aria-label="The last numbers"><table><thead><tr>'
    for name in ("Cell", "Seed", "State", "Epoch", "Validation accuracy", "Validation loss, nats"):
        yield f'<th scope="col">{name}</th>'
    yield "</tr></thead><tbody>"
    for one in shown:
        cells = (one.seed, one.state, f"{one.last.epoch} of {one.epochs}")
        values = (*cells, curves.percent(one.last.accuracy), curves.nats(one.last.loss))
        fields = "".join(f"<td>{value}</td>" for value in values)
        yield f'<tr><th scope="row">{_text(progress.labels[one.cell_id])}</th>{fields}</tr>'
    yield "</tbody></table></div></details>"
