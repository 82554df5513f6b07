"""Equal tuning: the cells of a grid at other learning rates, of which the report takes the best by validation."""

from collections.abc import Iterator, Sequence

from weight_atlas.plan import spec
from weight_atlas.plan.cell import Entry
from weight_atlas.plan.checks import ConfigError, Overlay
from weight_atlas.plan.children import Parent
from weight_atlas.plan.resolve import Combination, Resolver
from weight_atlas.settings import RateTable, Settings
from weight_atlas.vocabulary import Role

TUNED = "tuned"  # the axis whose labels are the factors


def entries(
    resolver: Resolver, study: str, part: spec.Design, parents: Sequence[Parent], replicates: int, where: str
) -> Iterator[Entry]:
    """The cells of a grid at other learning rates: those of the optimizers, times each factor that is tried.

    Raises
    ------
    ConfigError
        Where a rate cannot be tuned, or two cells of the grid would share one at another rate.
    """
    if not part.factors:
        return
    _check(part, replicates, where)
    named = {parent.cell.cell_id: parent.labels for parent in parents}
    for parent in parents:
        own = _rate(parent.cell.settings, where)
        for factor in part.factors:
            lr = float(f"{own * factor:.12g}")
            sets = [*parent.sets, Overlay(f"{where}.tune", {"lr": lr})]
            labels = parent.labels | {"network": parent.network}
            cell = resolver.cell(Combination(labels, parent.changes, sets, where))
            if cell.cell_id in named:
                raise ConfigError(
                    f"{where}.tune: the rate {lr:g} of {_words(parent.labels)} makes it a cell that "
                    f"{_words(named[cell.cell_id])} has too; give factors, or rates, that do not meet"
                )
            named[cell.cell_id] = parent.labels
            yield Entry(study, Role.TUNING, parent.labels | {TUNED: f"{factor:g}"}, cell.cell_id, replicates)


def check(config: spec.Config, entries: Sequence[Entry]) -> None:
    """Refuse a cell that two experiments of a study tune in different ways, or that one of them does not tune: its
    results are those of one rate there, and of the best one here."""
    found: dict[tuple[str, str], tuple[str, list[float]]] = {}
    for entry in entries:
        if entry.role == Role.GRID:
            study, name = config.definitions[entry.study], entry.labels.get("experiment", "")
            factors = sorted((study.experiments[name] if name else study).factors)
            other, others = found.setdefault((entry.study, entry.cell_id), (name, factors))
            if factors != others:
                raise ConfigError(
                    f"definitions.{entry.study}.experiments.{name}.tune: its cell {_words(entry.labels)} is also in "
                    f"the experiment {other}, which does not tune it so; give both the same, or make two studies"
                )


def _check(part: spec.Design, replicates: int, where: str) -> None:
    for key in ("checkpoints", "perturb", "transfer"):
        if getattr(part, key):
            raise ConfigError(f"{where}: has `tune` and `{key}`; allowed: one of them (which rate is best is not known "
                              "before the cells are trained)")  # fmt: skip
    if replicates < 2:
        raise ConfigError(f"{where}.tune: needs 2 replicates or more, since those that choose a rate are not compared; "
                          "set replicates: 2 or more, or leave it out")  # fmt: skip


def _rate(settings: Settings, where: str) -> float:
    """The learning rate of a cell, where there is one to multiply."""
    training = settings.training
    own = float(training.optimizer.options["lr"])
    for number, stage in enumerate(training.stages):
        if isinstance(stage.schedule, RateTable) or stage.lr != own:
            what = "a table of rates" if isinstance(stage.schedule, RateTable) else f"the rate {stage.lr:g}"
            raise ConfigError(
                f"{where}.tune: stage {number} has {what} whatever the optimizer's rate is; give it none, or leave "
                "`tune` out"
            )
    return own


def _words(labels: dict[str, str]) -> str:
    """A cell in words: "digits x lenet5 x default x sgd"."""
    return " x ".join(filter(None, labels.values()))
