"""The chapter on CINIC-10: a hand-made residual network and its settings, augmentation, and fine-tuning by stages."""

from weight_atlas.reporting.chapters import study
from weight_atlas.reporting.claims import claims_cinic
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.experiments import anova_figures, augmentation, stages
from weight_atlas.reporting.exhibits.experiments.anova_figures import each
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.exhibit import NothingToShow

TITLE = "CINIC-10"

PARTS = {
    "handmade": stages.handmade,
    "grid": each(anova_figures.heatmaps),
    "levels": each(anova_figures.distributions),
    "interactions": each(anova_figures.interactions),
    "effects": each(anova_figures.effects),
    "anova": anova_figures.anova_table,
    "grid-table": each(anova_figures.grid_table),
    "augmentation-pictures": augmentation.examples,
    "augmentation-effects": augmentation.effects,
    "augmentation-gap": augmentation.gap,
    "augmentation-course": augmentation.courses,
    "augmentation-table": augmentation.table,
    "stages": stages.stages,
    "compared": stages.compared,
    "compared-table": stages.table,
}

CLAIMS = claims_cinic.TESTS


def exhibits(tables):
    """The study's exhibits, list[Exhibit]; reasons for those left out go to tables.left_out."""
    return exhibit.build(PARTS, tables)


def facts(tables):
    """Those of every study, each cell once, and `answers`: question -> its sentences, of which `sentences` has the
    first of each."""
    found = study.facts(tables.part()) | {"left_out": list(tables.left_out)}
    found["answers"], found["answer_sources"] = study.answers(QUESTIONS, tables)
    for key, told in found["answers"].items():
        found["sentences"] += told[:1] if key != "tests" else []
    return found


def reached(tables):
    """What the hand-made network reaches."""
    found = stages.opened(tables, stages.HANDMADE)
    own = grid.reached(found)
    mean = grid.interval(own["best_valid"].dropna())
    if not mean["n"]:
        raise NothingToShow("no run of the hand-made network has finished.")
    return [f"The hand-made network reaches a test accuracy of {grid.share(mean)} at its best validation epoch."]


def settings(experiment):
    """The function that answers what matters in a grid: its best cell, and the terms that are clear."""

    def answer(tables):
        found, factors, _, rows = anova_figures.opened(tables, experiment)
        means = grid.means(found, "valid_accuracy", factors, rows)
        best = means.loc[means[means["n"] > 0]["mean"].idxmax()]
        words = f"{anova_figures.named(best, factors)}: {grid.share(best)}"
        text = (
            f"In the grid of {anova_figures.TITLES[experiment]} the best mean validation accuracy is that of {words}."
        )
        return [text, *anova_figures.told(tables, experiment)]

    return answer


QUESTIONS = {
    "handmade": reached,
    "blocks": settings("blocks"),
    "penalty": settings("penalty"),
    "tests": anova_figures.counted,
    "augmentation": augmentation.answer,
    "transfer": stages.answer,
}
