"""Weight Atlas: from a grid of networks to a report. `snakemake --cores all` runs the tour; README.md has the rest."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


# A config file on the command line takes the place of the tour's, instead of being laid over it.
if not workflow.config_settings.configfiles:

    configfile: str(Path(workflow.snakefile).with_name("config") / "config.yaml")


pathvars:
    data="data",
    cells="results/cells",
    results=f"results/{config.get('name')}",
    logs="logs",


include: "rules/common.smk"


wildcard_constraints:
    cell=r"[a-z]+-[a-z0-9_.-]+",
    first=r"\d+",
    last=r"\d+",
    dataset=made("data", "data", PLAN.datasets, r"[a-z0-9_.-]+"),
    weights=made("weights", "data", PLAN.weights, r"[a-z0-9_.-]+"),
    group=r"[a-z0-9_.-]+",
    study="|".join(map(re.escape, PLAN.asked)),
    page="|".join(map(re.escape, JOBS.pages)),
    form=r"pdf|docx",


include: "rules/data.smk"
include: "rules/given.smk"
include: "rules/train.smk"
include: "rules/perturb.smk"
include: "rules/transfer.smk"
include: "rules/measure.smk"
include: "rules/report.smk"
include: "rules/bundle.smk"
include: "rules/compare.smk"
include: "rules/keep.smk"


if IS_MAIN:
    code.remember()


rule all:
    default_target: not IN_MODULE
    input:
        expand("<results>/report/{page}.html", page=JOBS.pages),
        "<results>/explorer.html",


onstart:
    print(before(), file=sys.stderr)
    snakemake_internals.stop_timers(workflow)
    follow()


onsuccess:
    ended()
    print(warned(outcome.after(PLAN, RETRY, snakemake_internals.targets(workflow))), file=sys.stderr)
    if not looking_on() and outcome.faults(PLAN):
        sys.exit(1)  # as for a job that failed, after all that could be made


onerror:
    ended()
    print(interrupt.STOPPED if QUIET.stopped else warned(outcome.troubled(PLAN, RETRY)), file=sys.stderr)
