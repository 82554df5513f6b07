"""A chapter as it is told: its exhibits drawn, its questions answered, each part on its own, with its source."""

import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from weight_atlas.faults import NothingToShow, spared
from weight_atlas.plan import chapters, spec
from weight_atlas.reporting import registry
from weight_atlas.reporting.exhibits.runs import study
from weight_atlas.reporting.grammar import dots
from weight_atlas.reporting.grammar.answers import Answer, is_polar
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.source import recorded
from weight_atlas.reporting.grammar.tables import AnyPath, Tables
from weight_atlas.shapes import Experiment
from weight_atlas.store import read_json

WITHOUT_REPLICATES = {"cells.csv", "parameters.csv", "document.yaml"}


def open_study(
    study: str,
    results: Mapping[str, AnyPath],
    document: AnyPath | None = None,
    cards: Sequence[AnyPath] = (),
    references: Sequence[AnyPath] = (),
) -> Tables:
    """The Tables of a study, with what the plan knows of its experiments, and what its document reports.

    Parameters
    ----------
    study : str
    results : {"cells", "config", "tables", "measures": path}
        cells.csv, config.json, and the folders of the tables and the measures.
    document : path, optional
        The folder of the document that the study reports.
    cards : sequence of paths
        Those of the data sets.
    references : sequence of paths
        Files of published curves, beside those that the document names.

    Raises
    ------
    ValueError
        In one line, where a file does not hold what it should.
    """
    tables = Tables(study, results["cells"], results["tables"], results["measures"])
    asked = read_json(results["config"])["experiments"]
    tables.experiments = [Experiment.parse(one) for one in asked if one["study"] == study]
    tables.cards = {card["dataset_id"]: card for card in map(read_json, cards)}
    if document is not None and (reported := Path(document) / "document.yaml").is_file():
        tables.document = yaml.safe_load(reported.read_text(encoding="utf-8"))
    named = [Path(document) / name for name in tables.document.get("references", [])] if document is not None else []
    tables.references = {path.name: chapters.reference(path) for path in (*named, *map(Path, references))}
    return tables


def draw(which: str, tables: Tables, experiment: str = "", **options: Any) -> list[Exhibit]:
    """The exhibits of one name in the registry; NothingToShow where its tables hold nothing to draw."""
    function, arguments = _called(registry.EXHIBITS, spec.Part(name=which), experiment, _views(tables))
    made: list[Exhibit] = function(*arguments, **options)
    return made


class _Views(NamedTuple):
    """The Tables of a study with a cell under each name that its experiments give it, and with each cell once."""

    named: Tables
    once: Tables


def _views(tables: Tables) -> _Views:
    return _Views(tables, tables.part() if tables.cells["cell_id"].duplicated().any() else tables)


@dataclass
class Told:
    """exhibits: all, in order; questions and closing: what the page says, as JSON; facts: the study in short."""

    exhibits: list[Exhibit] = field(default_factory=list[Exhibit])
    questions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    closing: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


def tell(chapter: spec.Chapter, tables: Tables) -> Told:
    """Draw the exhibits of a chapter and answer its questions; answers rest on replicates that learnt.

    A part with nothing to show is left out, and its reason goes to `tables.left_out` (that of a whole question once).
    A part that raises is left out too, and goes to `tables.faults`. Where replicates never learnt, captions say so.
    """
    told, views, sound = Told(), _views(tables), _views(tables.learnt())
    for question in chapter.questions:
        missing: dict[str, str] = {}
        made = [one for part in question.exhibits for one in _exhibits(part, question, views, told, missing)]
        tables.left_out += _left_out(question, missing)
        answers = _answers(question.answer, question.experiment, sound) if question.answer else []
        words = question.model_dump(include={"key", "heading", "words"})
        shown = {"exhibits": [one.name for one in made], "answer": [_asked(one, question) for one in answers]}
        told.questions.append(words | shown)
    for section in chapter.closing:
        sentences = [one.statement for part in section.sentences for one in _answers(part, None, sound)]
        told.closing.append(section.model_dump(include={"key", "heading", "words"}) | {"sentences": sentences})
    with spared(tables.faults, "the study in short"):
        told.facts = study.facts(tables)
    told.facts["left_out"] = list(tables.left_out)
    _say_unlearnt(told, tables)
    return told


def _exhibits(
    part: spec.Part, question: spec.Question, views: _Views, told: Told, missing: dict[str, str]
) -> list[Exhibit]:
    """The exhibits of one part; they join `told`, each under a name that no other has, or the part joins `missing`."""
    made: list[Exhibit] = []
    try:
        with spared(views.named.faults, f"the exhibit {part.name}"):
            function, arguments = _called(registry.EXHIBITS, part, question.experiment, views)
            with recorded(function) as source:
                drawn = function(*arguments, **part.options)
            for exhibit in drawn:
                made.append(replace(exhibit, source=source, name=_free(exhibit.name, told.exhibits)))
                told.exhibits.append(made[-1])
    except NothingToShow as why:
        if part.expected:
            missing[part.name] = str(why)
    return made


def _left_out(question: spec.Question, missing: dict[str, str]) -> list[str]:
    """A sentence per exhibit that is missing, or one on the question where all of its exhibits lack the same."""
    whys = set(missing.values())
    if len(whys) == 1 and len(missing) == len(question.exhibits) > 1:
        return [f"All exhibits on “{question.heading}” are left out: {whys.pop()}"]
    return [f"The exhibit {name} is left out: {why}" for name, why in missing.items()]


def _answers(part: spec.Part, experiment: str | None, views: _Views) -> list[Answer]:
    """The answers to a question, each with its source; none where there is nothing to tell."""
    made: list[Answer] = []
    with suppress(NothingToShow), spared(views.named.faults, f"the answer {part.name}"):
        function, arguments = _called(registry.ANSWERS, part, experiment, views)
        with recorded(function) as source:
            found: list[Answer] = function(*arguments, **part.options)
        made = [replace(one, source=source) for one in found]
    return made


def _asked(one: Answer, question: spec.Question) -> dict[str, Any]:
    """An answer as exhibits.json holds it, with a yes or no where the question asks for one."""
    return one.json if is_polar(question.heading) else {**one.json, "text": one.statement}


def _called(
    functions: registry.Functions, part: spec.Part, experiment: str | None, views: _Views
) -> tuple[registry.Function, tuple[Any, ...]]:
    """The function of a part and what it is called with; ValueError for a name that the registry does not have."""
    if part.name in functions.of_study:
        return functions.of_study[part.name], (views.named if part.name in registry.ACROSS else views.once,)
    if part.name in functions.of_experiment:
        return functions.of_experiment[part.name], (views.named, views.named.experiment(experiment or ""))
    raise ValueError(f"no function is called {part.name!r}; {spec.near(part.name, functions.names)}")


def _free(name: str, made: list[Exhibit]) -> str:
    """The name, with a number behind it where an exhibit that is `made` has it: labels may differ in signs alone."""
    taken = {exhibit.name for exhibit in made}
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)


def _say_unlearnt(told: Told, tables: Tables) -> None:
    """Add a sentence on the study's replicates that never learnt to each caption on replicates that has none."""
    never = 0
    with spared(tables.faults, "the count of replicates that never learnt"):
        never = int(tables.status()["unlearnt"].sum())
    for exhibit in told.exhibits if never else ():
        if dots.NEVER not in exhibit.caption and not set(exhibit.source.files) <= WITHOUT_REPLICATES:
            exhibit.caption += f" In the whole study {dots.unlearnt(never)}"
