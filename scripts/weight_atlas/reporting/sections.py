"""The chapter of a study that names no document: its sections follow from the shapes of its experiments."""

import re
from collections.abc import Iterator, Sequence

from weight_atlas.plan import spec
from weight_atlas.plan.measures import MEASURES
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, slug
from weight_atlas.shapes import Experiment, Shape
from weight_atlas.vocabulary import Kind

# What a section shows for each shape: its heading (axes stands for the words of the experiment's axes), its exhibits,
# its answer.
LEVELS = ("levels", "levels-table", "tuning", "lines", "gaps", "settings")
SECTIONS: dict[Shape, tuple[str, tuple[str, ...], str]] = {
    Shape.SWEEP: ("Does {axes} matter?", LEVELS, "levels"),
    Shape.COMPARISON: ("Does {axes} matter?", LEVELS, "levels"),
    Shape.PATH: ("What does each change of {axes} buy?", LEVELS, "levels"),
    Shape.FACTORIAL: (
        "What do {axes} do, alone and together?",
        (
            *("factorial-means", "factorial-levels", "factorial-interactions", "effects"),
            *("factorial-table", "effects-table", "tuning"),
        ),
        "factorial",
    ),
    Shape.AUGMENTED: (
        "Which changes of the images help?",
        ("augmented-examples", "augmented-effects", "augmented-table"),
        "augmented",
    ),
    Shape.STAGED: ("What does each stage of training do?", ("stages-course", "stages-table"), "staged"),
    Shape.PRUNED: ("Is a ticket a winning one?", ("pruning", "pruning-table"), "pruning"),
    Shape.PERTURBED: (
        "Do perturbed networks return to what they were?",
        (
            *("triples", "returns", "amplification", "ladder", "precision", "perturbed-pairs", "perturbed-features"),
            *("flip-geometry", "aftermath", "aftermath-layers", "barriers", "paths", "symmetries", "symmetries-tried"),
        ),
        "returned",
    ),
    Shape.TRANSFERRED: (
        "Which layers transfer, and what does it cost?",
        (
            *("segments", "segments-table", "decomposition", "base-target", "transfer-course", "transfer-accuracy"),
            *("reference-curves", "reference-agreement", "reference-numbers"),
            *("diagnosis", "diagnosis-table", "similarity", "outputs", "transfer-epochs", "transfer-epochs-table"),
        ),
        "segments",
    ),
    Shape.CHECKPOINTED: (
        "How do weights change from checkpoint to checkpoint?",
        ("checkpoints", "checkpoint-statistics", "spectra", "correlation", "aligned", "between", "invariants"),
        "transformed",
    ),
}
WEIGHTS = (
    *("movement", "interval-norms", "norms", "movement-layers", "rotation"),
    *("unchanged", "unchanged-layers", "tolerance", "effective"),
)
OF_NETWORKS = ("effective",)  # of the exhibits above those that tensors alone say nothing for
TENSORS = ("tensors", "tensors-roles", "tensors-depth")
LEFT_OUT = ("accuracy", "features", "transfer", "the matching of channels")  # what needs a network
FEATURES = ("feature-correlation", "feature-correlation-summary", "feature-pairs", "feature-cross")
ORDER = ("convergence", "settled", "settled-order", "convergence-others")
LANDSCAPE = ("landscape", "sharpness")
CONNECTIVITY = ("connectivity", "connectivity-table", "connectivity-lines")
FILTERS = ("filter-weights", "filter-activations", "identical")


def chapter(tables: Tables) -> spec.Chapter:
    """The questions of a study in order: what its experiments ask, what its networks learnt, how weights moved."""
    return spec.Chapter(questions=[*_asked(tables.experiments), *_learnt(tables), *_weights(tables)])


def completed(chapter: spec.Chapter, tables: Tables) -> spec.Chapter:
    """A document's chapter, and behind its questions those of measures that are asked for by name and that it does not
    show."""
    shown = {part.name for question in chapter.questions for part in question.exhibits}
    more = [question for question in _by_name(tables) if shown.isdisjoint(part.name for part in question.exhibits)]
    return chapter.model_copy(update={"questions": [*chapter.questions, *more]})


def _question(key: str, heading: str, exhibits: tuple[str, ...], answer: str, experiment: str = "") -> spec.Question:
    return spec.Question(
        key=key,
        heading=heading,
        experiment=experiment or None,
        exhibits=[spec.Part(name=name, expected=False) for name in exhibits],
        answer=spec.Part(name=answer),
    )


def _learnt(tables: Tables) -> Iterator[spec.Question]:
    if tables.sees_images:
        exhibits = ("accuracy", "accuracy-table", "sources", "training-curves", "networks", "diagrams")
        yield _question("learnt", "What the networks learnt", exhibits, "best")
    else:
        tables.left_out.append("No data set is named for these checkpoints, so nothing is told that needs images.")


def _asked(experiments: list[Experiment]) -> Iterator[spec.Question]:
    for experiment in experiments:
        heading = experiment.question
        for shape in experiment.shapes:
            if shape in SECTIONS:
                words, exhibits, answer = SECTIONS[shape]
                key = slug(experiment.name, shape)
                heading = heading or _heading(words, [axis.name for axis in experiment.axes])
                yield _question(key, heading, exhibits, answer, experiment.name)
                heading = ""
    if any(Shape.TRANSFERRED in experiment.shapes for experiment in experiments):
        yield _question("recommendation", "How many layers should be copied?", ("recommendation",), "recommendation")


def _heading(words: str, axes: Sequence[str]) -> str:
    """A heading of SECTIONS on these axes: "Does batch matter?", "Does loss matter?", "Do features matter?"."""
    singular = len(axes) == 1 and not re.search("[^aius]s$", axes[0])  # bias, axis, radius and loss are singular
    asked = words.format(axes=" and ".join(axes))
    return asked if singular else re.sub("^Does ", "Do ", asked)


def _weights(tables: Tables) -> Iterator[spec.Question]:
    tensors = [cell for cell in tables.cells["cell_id"] if tables.are_tensors([cell])]
    if tables.has_courses:
        exhibits = tuple(name for name in WEIGHTS if name not in OF_NETWORKS or len(tensors) < len(tables.cells))
        yield _question("moved", "How far do the weights move, and when?", exhibits, "moved")
        if tensors:
            yield _question("tensors", "Which tensors move, and which never change?", TENSORS, "tensors")
    else:
        tables.left_out.append("Every series is a single file, so nothing is told that needs two.")
    if tables.sees_images:
        yield _question("features", "Are the learnt features independent, and alike?", FEATURES, "features")
    yield from _by_name(tables)
    exhibits = ("statistics", "spectra", "between") if _all_given(tables) else ("statistics",)
    yield _question("layers", f"What happens {tables.noun} by {tables.noun}?", exhibits, "layers")
    if _all_given(tables) and tables.cells["replicates"].sum() > 1:
        yield _question("alike", "How alike are the runs?", ("between-runs",), "between-runs")
    if tensors:
        tables.left_out.append(_of_tensors(tables, tensors))


def _all_given(tables: Tables) -> bool:
    return set(tables.cells["kind"]) == {Kind.GIVEN}


def _by_name(tables: Tables) -> Iterator[spec.Question]:
    """The questions of the measures that some cell is asked for by name."""
    if _asks(tables, "representations"):
        heading = "Which measures of likeness tell models apart?"
        yield _question("representations", heading, ("representations", "representations-table"), "representations")
    if _asks(tables, "convergence"):
        yield _question("order", "In which order do layers settle, and is it the same?", ORDER, "in-order")
    if _asks(tables, "laziness"):
        yield _question("lazy", "Is training lazy?", ("laziness",), "lazy")
    if _asks(tables, "classes"):
        yield _question("classes", "Which classes does a condition cost?", ("classes", "confusion"), "classes")
    if _asks(tables, "landscape"):
        yield _question("landscape", "Is the loss flatter at the end than at the start?", LANDSCAPE, "landscape")
    if _asks(tables, "connectivity"):
        yield _question("connectivity", "Do two trainings end in one basin?", CONNECTIVITY, "connectivity")
    if _asks(tables, "filters"):
        yield _question("filters", "What do filters show?", FILTERS, "filters")
    if _asks(tables, "spectra") and tables.sees_images:
        told = _all_given(tables) or any(Shape.CHECKPOINTED in experiment.shapes for experiment in tables.experiments)
        own = ("spectra-accuracy",) if told else ("spectra-accuracy", "spectra")
        yield _question("spectra", "Do the spectra of the weights go with test accuracy?", own, "spectra")


def _of_tensors(tables: Tables, cells: Sequence[str]) -> str:
    """A sentence on what is left out of series for which no network is named."""
    names = tables.rows.loc[tables.rows["cell_id"].isin(cells), "given"]
    asked = [name for name, measure in MEASURES.items() if measure.network and _asks(tables, name)]
    needs = [*LEFT_OUT, *(name for name in asked if name not in LEFT_OUT)]
    return f"No network is named for {enumerated([*dict.fromkeys(names)])}. One is needed for {enumerated(needs)}."


def _asks(tables: Tables, measure: str) -> bool:
    """Whether some cell is asked for a measure by its name."""
    return any(measure in names.split(";") for names in tables.rows["measure"])
