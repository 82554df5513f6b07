"""What all rules share: the plan of the config, its jobs, and what is said on the console."""

import json
import os
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

BASE = Path(os.path.abspath(workflow.snakefile)).parents[1]  # in a module `basedir` is the caller's
SCRIPTS = os.path.relpath(BASE / "scripts")
if not os.path.isdir(SCRIPTS):
    sys.exit(f"Weight Atlas cannot be read from {BASE}: clone the repository, and give the path of its Snakefile")
sys.path.insert(0, str(BASE / "scripts"))

from weight_atlas import folders, interrupt, warm
from weight_atlas.export import commit, result
from weight_atlas.plan import (
    clock,
    code,
    command_line,
    commands,
    data_lines,
    jobs,
    live,
    lock,
    outcome,
    outdated,
    preload,
    recipe,
    snakemake_internals,
    spec,
    stated,
    stored,
)
from weight_atlas.plan.study import block_path

FIRST = 10**9  # data before training, so that the most urgent cell can be the first to train
snakemake_internals.share_python(workflow)
IN_MODULE = snakemake_internals.is_module(workflow)  # no handler below runs there, and the command line is another's
QUIET = None if IN_MODULE else snakemake_internals.QuietOnceStopped()
snakemake_internals.ignore_dates(BASE)

# The config's files, and what was typed on top of them.
FILES = [] if IN_MODULE else snakemake_internals.config_files(workflow)
TYPED = {} if IN_MODULE else snakemake_internals.config_settings(workflow)
config.update(command_line.typed(config, TYPED))
SAID = snakemake_internals.pathvars(workflow, folders.NAMES)
FOLDERS = snakemake_internals.places(workflow, SAID)  # where these are
STORAGE = stored.Storage(workflow)
STORED = STORAGE.is_used
if STORED:  # which blocks there are, and what is known of data sets whose images are elsewhere
    STORAGE.bring_all(SAID["cells"], r"[^/]+/seeds_\d+-\d+/run\.json")
    STORAGE.bring_all(SAID["data"], r"[^/]+\.json")
CONFIG = dict(config)
if not folders.Folders.of(str(config.get("name")), FOLDERS).are_usual:
    CONFIG["pathvars"] = {**config.get("pathvars", {}), **FOLDERS}
IS_MAIN = snakemake_internals.is_main(workflow)
PLAN = commands.plan_or_exit(
    CONFIG,
    FILES or ([] if IN_MODULE else [os.path.relpath(BASE / "config/config.yaml")]),
    TYPED,
    IS_MAIN,
    absent=IS_MAIN and not IN_MODULE and snakemake_internals.asks_only_for("plan", "power"),
    fetch=IS_MAIN and not (snakemake_internals.asks_only_for("status", "prune") or snakemake_internals.only_looks()),
)
JOBS = jobs.Jobs(
    PLAN,
    SCRIPTS,
    snakemake_internals.prefix(workflow),
    folders.Folders.of(PLAN.config.name, SAID),
    snakemake_internals.source if STORED else str,
    STORED,
)
AGAIN = {}
if IS_MAIN:
    if STORED:
        STORAGE.bring([*JOBS.prepared(), *JOBS.starts(), *JOBS.claims(), *JOBS.told()])
    try:
        if future := clock.set_right(PLAN):
            print(
                f"{future} results were dated in the future (is a clock wrong?) and are now dated today",
                file=sys.stderr,
            )
        AGAIN = outdated.outdated(PLAN)
        stamps = {} if PLAN.absent else outdated.stamp(PLAN, AGAIN)
        stated.record(PLAN.config, PLAN.root, FILES, IN_MODULE or "definitions" in TYPED)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    if STORED:
        kept = {str(file): file for name, file in stamps.items() if name in AGAIN or not STORAGE.has(str(file))}
        STORAGE.send(kept | {path: PLAN.path(JOBS.names[path]) for path in JOBS.claims()})
        STORAGE.forget(path for name in AGAIN for path in JOBS.files_of(name))

REMOVING = PLAN.config.prune == "remove"
READING = {"plan", "power", "status"} | (
    set() if REMOVING else {"prune"}
)  # targets that look on: they run beside a run
MAKING_NONE = READING | {"smoke", "prune"}  # targets that make no results of the config
# What results are made from: the config without what it says to do this once.
LASTING = {key: value for key, value in CONFIG.items() if key not in spec.PASSING}


def made(what, folder, ids, usual):
    """The regular expression of a wildcard, for the ids that this workflow makes: any that look like such (`usual`),
    but in a module its own alone, since another import may make others in the same folder."""
    if not IN_MODULE:
        return usual
    return "|".join(map(re.escape, snakemake_internals.claimed(workflow, what, FOLDERS[folder], ids))) or "(?!)"


def cells_of(kind):
    """The regular expression of the ids of cells of a kind."""
    return made("cells", "cells", [cell for cell in PLAN.cells if cell.startswith(kind)], rf"{kind}-[a-z0-9_.-]+")


def command(*passing, target=()):
    """What a user types for this config: its files, what was set on the command line, and keys for this once."""
    words = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in TYPED.items()
        if key in LASTING
    ]
    return outcome.command(FILES, [*words, *passing], *target)


def settled(paths):
    """An input function: the files of another one, whose times do not count unless they are made again in this run.

    Snakemake starts no job for a file that is `ancient` and made again, whatever else is newer.
    """

    def inputs(wildcards):
        files = paths(wildcards)
        files = [files] if isinstance(files, str) else files
        return [path if outdated.maker(JOBS.names.get(path, path)) in AGAIN else ancient(path) for path in files]

    return inputs


def trained(name="run.json"):
    """A file of each block of trained replicates, for rules of other workflows: `weight_atlas.trained()`."""
    blocks = [block_path(cell, block) for cell, blocks in PLAN.blocks.items() for block in blocks]
    return [str(PLAN.path(block) / name) for block in blocks]


RETRY = command("retry_failed=true")
LIVE = live.Follower(PLAN)
PRELOADED = preload.Preloaded()


def before():
    """What is about to run, for the console; the end where another run is under way here."""
    targets = snakemake_internals.targets(workflow) or {"all"}
    if REMOVING and targets != {"prune"}:
        sys.exit("config: prune: 'remove' is for the target prune: snakemake prune --config prune=remove")
    if not targets <= READING:
        try:
            lock.hold(Path(".snakemake/atlas.lock"))
        except lock.Busy as busy:
            sys.exit(str(busy))
    return warned(outcome.before(PLAN, AGAIN, snakemake_internals.gpu(workflow)), AGAIN)


def looking_on():
    """Whether all targets only read what is there."""
    targets = snakemake_internals.targets(workflow)
    return bool(targets) and targets <= READING


def follow():
    """Begin the page of this run, and what its jobs are forks of, where it makes results."""
    if not (snakemake_internals.targets(workflow) or {"all"}) <= MAKING_NONE:
        LIVE.start()
        if PLAN.config.preload and snakemake_internals.is_local(workflow) and (folder := PRELOADED.begin()):
            snakemake_internals.count_forks(folder / warm.FORKS)


def ended():
    """End what follows the run, and bring copies of what the last lines on the console tell of, where files are in a
    storage."""
    LIVE.end()
    PRELOADED.end()
    if STORED:
        STORAGE.bring([*JOBS.block_files("run.json"), *JOBS.told()])


def warned(text, again={}):
    """The text below what a user should look at in the data, unless the target prints that by itself."""
    targets = snakemake_internals.targets(workflow)
    quiet = targets and targets <= MAKING_NONE
    return "\n".join([*([] if quiet else data_lines.warnings(PLAN, again)), text])


def workflow_files(*names):
    """Files of the workflow, and all files of its folders, relative to the working directory."""
    paths = (path for name in names for path in [BASE / name, *(BASE / name).rglob("*")])
    return [JOBS.source(one) for one in sorted(JOBS.outside(os.path.relpath(path)) for path in paths if path.is_file())]


def option(name, *values):
    """An option of a command, where it has a value."""
    return shlex.join([f"--{name}", *map(str, values)]) if values else ""


def page_templates():
    """What the pages of the report are made from: the files of report/ but for those of the explorer."""
    names = [path.name for path in (BASE / "report").iterdir() if path.is_file()]
    return workflow_files(*(f"report/{name}" for name in names if not name.startswith("explorer.")))


def compared(wildcards=None):
    """The folder of the other results; the end, in one line, where the config names none."""
    if not PLAN.config.compare:
        sys.exit("config: compare: names no results to compare with; give --config compare=OTHER/results/NAME")
    return os.path.normpath(PLAN.config.compare)


def compared_tables(wildcards):
    """What is read of the other results; the end, in one line, where something is missing."""
    paths = [f"{compared()}/{name}" for name in result.REQUIRED]
    for path in paths:
        if not Path(path).is_file():
            sys.exit(f"config: compare: {path} is not there; give a finished results/NAME, or an unpacked bundle")
    return [JOBS.source(JOBS.outside(path)) for path in paths]
