"""What all rules share: the plan of the config, its jobs, and what is said on the console."""

import json
import os
import shlex
import sys
from importlib import metadata
from pathlib import Path

BASE = Path(workflow.basedir)
SCRIPTS = os.path.relpath(BASE / "scripts")
sys.path.insert(0, str(BASE / "scripts"))

from weight_atlas import interrupt
from weight_atlas.export import commit, result
from weight_atlas.plan import (
    clock,
    command_line,
    commands,
    data_lines,
    jobs,
    live,
    lock,
    outcome,
    outdated,
    recipe,
    snakemake_internals,
    spec,
    stated,
)

FIRST = 10**9  # data before training, so that the most urgent cell can be the first to train
# Bash for all rules. It is strict, and `logged FILE COMMAND` keeps what a command says in a file, whose last lines go
# to the console where it fails, but not where a user stops it. Jobs use the Python that runs Snakemake, whether or not
# its environment is activated.
STRICT = 'set -euo pipefail; trap "exit 130" INT; '
LOGGED = 'logged() {{ "${{@:2}}" > "$1" 2>&1 || {{ tail -n 20 "$1" >&2; return 1; }}; }}; '
PYTHON = f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"; '
QUIET = snakemake_internals.QuietOnceStopped()
snakemake_internals.ignore_dates(BASE)
shell.prefix(STRICT + LOGGED + ("" if snakemake_internals.deployed(workflow) else PYTHON))

config.update(command_line.typed(config, snakemake_internals.config_settings(workflow)))
IS_MAIN = snakemake_internals.is_main(workflow)
PLAN = commands.plan_or_exit(
    config,
    snakemake_internals.config_files(workflow) or [os.path.relpath(BASE / "config/config.yaml")],
    snakemake_internals.config_settings(workflow),
    IS_MAIN,
    absent=IS_MAIN and snakemake_internals.asks_only_for("plan", "power"),
)
AGAIN = {}
if IS_MAIN:
    try:
        if future := clock.set_right(PLAN):
            print(
                f"{future} results were dated in the future (is a clock wrong?) and are now dated today",
                file=sys.stderr,
            )
        AGAIN = outdated.outdated(PLAN)
        if not PLAN.absent:
            outdated.stamp(PLAN, AGAIN)
        typed = "definitions" in snakemake_internals.config_settings(workflow)
        stated.record(PLAN.config, PLAN.root, snakemake_internals.config_files(workflow), typed)
    except (ValueError, OSError) as error:
        sys.exit(str(error))

JOBS = jobs.Jobs(PLAN, SCRIPTS)
REMOVING = PLAN.config.prune == "remove"
READING = {"plan", "power", "status"} | (
    set() if REMOVING else {"prune"}
)  # targets that look on: they run beside a run
MAKING_NONE = READING | {"smoke", "prune"}  # targets that make no results of the config
# What results are made from: the config without what it says to do this once.
LASTING = {key: value for key, value in config.items() if key not in spec.PASSING}


def command(*passing, target=()):
    """What a user types for this config: its files, what was set on the command line, and keys for this once."""
    given = snakemake_internals.config_settings(workflow).items()
    words = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given if key in LASTING
    ]
    return outcome.command(snakemake_internals.config_files(workflow), [*words, *passing], *target)


def settled(paths):
    """An input function: the files of another one, whose times do not count unless they are made again in this run.

    Snakemake starts no job for a file that is `ancient` and made again, whatever else is newer.
    """

    def inputs(wildcards):
        files = paths(wildcards)
        files = [files] if isinstance(files, str) else files
        return [path if outdated.maker(path) in AGAIN else ancient(path) for path in files]

    return inputs


RETRY = command("retry_failed=true")
LIVE = live.Follower(PLAN)


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
    return warned(outcome.before(PLAN, AGAIN), AGAIN)


def looking_on():
    """Whether all targets only read what is there."""
    targets = snakemake_internals.targets(workflow)
    return bool(targets) and targets <= READING


def follow():
    """Begin the page of this run, where it makes results."""
    if not (snakemake_internals.targets(workflow) or {"all"}) <= MAKING_NONE:
        LIVE.start()


def warned(text, again={}):
    """The text below what a user should look at in the data, unless the target prints that by itself."""
    targets = snakemake_internals.targets(workflow)
    quiet = targets and targets <= MAKING_NONE
    return "\n".join([*([] if quiet else data_lines.warnings(PLAN, again)), text])


def workflow_files(*names):
    """Files of the workflow, and all files of its folders, relative to the working directory."""
    paths = (path for name in names for path in [BASE / name, *(BASE / name).rglob("*")])
    return sorted(os.path.relpath(path) for path in paths if path.is_file())


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
    return paths
