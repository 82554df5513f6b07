"""Chapters as data: what a document's folder may say, the registry that it names, and the sections of other studies."""

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import yaml

from tests.conftest import ROOT, tiny
from tests.unit import results, told
from tests.unit.designs import GRID, made
from weight_atlas.plan import chapters, spec
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.measures import MEASURES
from weight_atlas.plan.study import Plan
from weight_atlas.reporting import registry, sections, telling
from weight_atlas.reporting.claims.evidence import EVIDENCE
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.shapes import Axis, Experiment, Shape

CHAPTERS = {document: told.chapter(document) for document in told.DOCUMENTS}
QUESTIONS = [question for chapter in CHAPTERS.values() for question in chapter.questions]
CLOSING = [section for chapter in CHAPTERS.values() for section in chapter.closing]
EXPERIMENT = Experiment("first", "", (), (), (), True, "", ())


def with_document(document):
    """A config whose study names a document."""
    config = tiny()
    config["definitions"]["dynamics"]["document"] = document
    return config


# ------------------------------------------------------------------------------------------------ documents


def test_a_study_names_its_document_and_its_name_decides_nothing():
    plan = Plan(with_document("vgg22"), Path("nowhere"))
    assert plan.config.definitions["dynamics"].document == "vgg22"
    config = with_document(None)
    assert Plan(config, Path("nowhere")).config.definitions["dynamics"].document is None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("dynamic", "definitions.dynamics.document: there is no document 'dynamic'; did you mean 'dynamics'?"),
        ("mine", "definitions.dynamics.document: there is no document 'mine'; allowed: cinic, convnets, dynamics, "),
        ("cinic", "the chapter of cinic asks about the experiment 'handmade', which the study does not have"),
        ("./mine", "there is no document './mine'; give a folder with a chapter.yaml"),
    ],
)
def test_a_wrong_document_ends_in_one_line(document, words):
    with pytest.raises(ConfigError) as ended:
        Plan(with_document(document), Path("nowhere"))
    assert words in str(ended.value) and "\n" not in str(ended.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("yosinsky", "definitions.dynamics.references.0: there is no reference 'yosinsky'; did you mean 'yosinski'?"),
        ("./mine.yaml", "there is no reference './mine.yaml'; give a YAML file"),
    ],
)
def test_wrong_published_curves_end_in_one_line(name, words):
    config = with_document(None)
    config["definitions"]["dynamics"]["references"] = [name]
    with pytest.raises(ConfigError) as ended:
        Plan(config, Path("nowhere"))
    assert words in str(ended.value) and "\n" not in str(ended.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"questions": [{"key": "a", "heading": "A?", "exhibit": ["norms"]}]}, "questions.0: unknown key 'exhibit'"),
        ({"questions": [{"key": "a", "heading": "A?", "exhibits": [{"norms": {}, "triples": {}}]}]}, "exhibits.0"),
        ({"questions": [{"heading": "A?"}]}, "questions.0.key"),
        ({"closing": []}, "questions"),
    ],
)
def test_a_faulty_chapter_ends_in_one_line_that_names_the_file(tmp_path, change, words):
    (tmp_path / "chapter.yaml").write_text(yaml.safe_dump(change))
    with pytest.raises(ConfigError) as ended:
        chapters.read(tmp_path)
    assert words in str(ended.value) and "\n" not in str(ended.value)
    assert str(tmp_path / "chapter.yaml") in str(ended.value)


def test_a_part_is_a_name_or_a_name_with_options(tmp_path):
    asked = {"key": "a", "heading": "A?", "exhibits": ["norms", {"triples": {"reported": "norms"}}], "answer": "moved"}
    (tmp_path / "chapter.yaml").write_text(yaml.safe_dump({"questions": [asked]}))
    [question] = chapters.read(tmp_path).questions
    assert [(part.name, part.options) for part in question.exhibits] == [
        ("norms", {}),
        ("triples", {"reported": "norms"}),
    ]
    assert (question.answer.name, question.experiment) == ("moved", None)


def test_every_document_has_its_three_files_and_a_config_that_names_it():
    named = set()
    for path in (ROOT / "config").glob("*.yaml"):
        studies = yaml.safe_load(path.read_text(encoding="utf-8")).get("definitions", {}).values()
        named |= {study["document"] for study in studies if "document" in study}
    assert named == set(told.DOCUMENTS)
    for document in told.DOCUMENTS:
        files = {path.name for path in chapters.folder(document).iterdir()}
        assert files == {"chapter.yaml", "claims.yaml", "document.yaml", *told.reported(document).get("references", [])}
        assert told.reported(document)["source"] and told.ledger(document)


@pytest.mark.parametrize("document", told.DOCUMENTS)
def test_every_document_says_who_made_it(document):
    """As the list of what the documents contain names it, with the year where that is known."""
    listed = yaml.safe_load((ROOT / "tests/coverage.yaml").read_text(encoding="utf-8"))["documents"].values()
    about = chapters.about(chapters.folder(document))
    [title] = [one["title"] for one in listed if all(name in one["title"] for name in about.authors)]
    year = re.search(r"\d{4}", title)
    assert about.year == (int(year[0]) if year else None) and about.title and about.did.endswith(".")


@pytest.mark.parametrize(
    ("about", "line"),
    [
        ("{authors: [], title: A, did: B.}", "authors"),
        ("{authors: [A], did: B.}", "title"),
        ("{authors: [A], title: A, did: B., yaer: 2000}", "did you mean 'year'"),
        ("[A]", "about"),
    ],
)
def test_a_document_that_says_it_wrongly_is_refused_in_one_line(tmp_path, about, line):
    assert chapters.about(tmp_path) is None
    (tmp_path / "document.yaml").write_text("source: x\n")
    assert chapters.about(tmp_path) is None
    (tmp_path / "document.yaml").write_text(f"about: {about}\n")
    with pytest.raises(ConfigError, match=re.escape(line)) as caught:
        chapters.about(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path / "document.yaml") in str(caught.value)


@pytest.mark.parametrize("document", told.DOCUMENTS)
def test_every_chapter_is_whole(document):
    """Each question has all that the templates use, and a key of its own."""
    chapter = CHAPTERS[document]
    keys = [section.key for section in (*chapter.questions, *chapter.closing)]
    assert len(set(keys)) == len(keys) > 3
    for question in chapter.questions:
        assert question.heading and question.words and question.exhibits and question.answer, question.key
    asked = [(question.experiment, part.name, str(part.options)) for question in chapter.questions
             for part in question.exhibits]  # fmt: skip
    assert len(set(asked)) == len(asked), "no exhibit twice"


# ------------------------------------------------------------------------------------------------ the registry


def test_every_name_in_a_chapter_is_in_the_registry():
    for question in QUESTIONS:
        assert {part.name for part in question.exhibits} <= set(registry.EXHIBITS.names), question.key
        assert question.answer.name in registry.ANSWERS.names, question.key
        alone = {*registry.EXHIBITS.of_experiment, *registry.ANSWERS.of_experiment}
        own = {part.name for part in (*question.exhibits, question.answer)} & alone
        assert not own or question.experiment or len(question.exhibits) == 0, f"{question.key}: of which experiment?"
    for section in CLOSING:
        assert {part.name for part in section.sentences} <= set(registry.ANSWERS.of_study), section.key


def followed(tmp_path):
    """The chapters that follow from shapes: of a study with an experiment of each shape, and of given checkpoints, with
    and without a network."""
    trained = opened(tmp_path)
    trained._rows = trained.rows.assign(measure=";".join(MEASURES))
    trained.experiments = [Experiment(**{**vars(EXPERIMENT), "shapes": (shape,), "name": shape}) for shape in Shape]
    given = opened(tmp_path)
    given.cells = given.cells.assign(kind="given")
    tensors = opened(tmp_path)
    tensors.cells, tensors._rows = given.cells, tensors.rows.assign(given="run")
    tensors.are_tensors = lambda _: True
    return [sections.chapter(trained), sections.chapter(given), sections.chapter(tensors)]


def test_every_function_of_the_registry_is_told_somewhere(tmp_path):
    """What no chapter asks for, and no section of a study without a document has, is dead."""
    questions = [*QUESTIONS, *(question for chapter in followed(tmp_path) for question in chapter.questions)]
    exhibits = {part.name for question in questions for part in question.exhibits}
    answers = {question.answer.name for question in questions}
    answers |= {part.name for section in CLOSING for part in section.sentences}
    assert exhibits == set(registry.EXHIBITS.names)
    assert answers == set(registry.ANSWERS.names)


def test_a_documents_chapter_is_followed_by_what_is_asked_for_besides(tmp_path):
    tables = opened(tmp_path)
    tables._rows = tables.rows.assign(measure="laziness;landscape")
    chapter = CHAPTERS["dynamics"]
    assert "laziness" in {part.name for question in chapter.questions for part in question.exhibits}
    found = sections.completed(chapter, tables)
    assert [one.key for one in found.questions] == [*(one.key for one in chapter.questions), "landscape"]
    assert found.closing == chapter.closing


def test_no_name_is_of_a_study_and_of_an_experiment():
    for functions in (registry.EXHIBITS, registry.ANSWERS):
        assert len(set(functions.names)) == len(functions.names)


def test_a_config_knows_the_names_of_all_evidence():
    assert set(get_args(spec.claims.Evidence)) == set(EVIDENCE)


OWN = {"id": "one", "says": "It falls.", "scope": "any", "all": [{"judge": "trend", "below": 0}]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"all": [{"judge": "trend"}]}, "give one of above, below and between"),
        ({"all": [{"judge": "trend", "below": 0, "above": 0}]}, "give one of above, below and between"),
        ({"all": [{"judge": "equivalence", "between": [0, 0]}]}, "the judge equivalence needs the name"),
        ({"all": [{"judge": "difference", "between": [2, 1]}]}, "the first number must not be above the second"),
        ({"all": [{"judge": "trends", "below": 0}]}, "trends"),
        ({"all": []}, "claims.0.all"),
        ({"all": [{"judge": "trend", "below": 0, "parameters": {"experiment": "rates"}}]}, "no experiment 'rates'"),
        ({"saays": "x"}, "saays"),
    ],
)
def test_a_wrong_claim_of_ones_own_ends_in_one_line(change, words):
    design = {"grid": {"dataset": ["digits"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]},
              "claims": [OWN | change]}  # fmt: skip
    config = {"name": "x", "datasets": {"digits": {"source": "digits"}}, "networks": {"lenet1": {}},
              "optimizers": {"sgd": {"type": "sgd", "lr": 0.1}}, "definitions": {"mine": design}}  # fmt: skip
    with pytest.raises(ConfigError) as error:
        Plan(config)
    assert words in str(error.value) and "definitions.mine.claims" in str(error.value)
    assert "\n" not in str(error.value)
    twice = config | {"definitions": {"mine": design | {"claims": [OWN, OWN]}}}
    with pytest.raises(ConfigError, match="'one' stands there twice"):
        Plan(twice)


def test_the_numbers_of_every_claim_are_found_by_a_function_that_is_there():
    claims = [claim for document in told.DOCUMENTS for claim in told.ledger(document)]
    assert len({claim.id for claim in claims}) == len(claims) == 48
    for claim in claims:
        for statement in (*claim.all, *claim.artefact):
            function = EVIDENCE[statement.finder]
            inspect.signature(function).bind(None, **statement.parameters)  # TypeError where an option is not known


# ------------------------------------------------------------------------------------------------ without a document


def opened(tmp_path):
    """The Tables of a small study."""
    folder = tmp_path / "results/first"
    folder = results.make(tmp_path) if not folder.exists() else folder
    return Tables("first", folder / "cells.csv", folder / "tables", folder / "measures")


@pytest.mark.parametrize(
    ("shape", "exhibits", "answer"),
    [
        (Shape.SWEEP, {"levels", "levels-table", "lines"}, "levels"),
        (Shape.COMPARISON, {"levels", "levels-table", "settings"}, "levels"),
        (Shape.PATH, {"levels", "gaps"}, "levels"),
        (Shape.FACTORIAL, {"factorial-means", "factorial-interactions", "effects"}, "factorial"),
        (Shape.PERTURBED, {"triples", "returns", "flip-geometry", "barriers"}, "returned"),
        (Shape.TRANSFERRED, {"segments", "decomposition", "transfer-accuracy"}, "segments"),
        (Shape.CHECKPOINTED, {"checkpoints", "spectra", "correlation", "between"}, "transformed"),
    ],
)
def test_sections_follow_from_shapes(tmp_path, shape, exhibits, answer):
    """Before what the networks learnt and how weights moved; its heading is the config's question."""
    tables = opened(tmp_path)
    tables.experiments = [EXPERIMENT]
    plain = [question.key for question in sections.chapter(tables).questions]
    assert plain == ["learnt", "moved", "features", "layers"]
    heading = sections.SECTIONS[shape][0].replace("{axes}", "a")
    for name, question, words in (("", "", heading), ("A.b+c", "Why?", "Why?")):
        own = {"shapes": (Shape.GIVEN, shape), "name": name, "question": question}
        own |= {"axes": (Axis("a", ("x", "y")),)}
        tables.experiments = [Experiment(**{**vars(EXPERIMENT), **own})]
        found = sections.chapter(tables).questions
        key = f"a-b-c-{shape}" if name else str(shape)
        more = ["recommendation"] if shape == Shape.TRANSFERRED else []
        assert [one.key for one in found] == [key, *more, *plain]
        assert found[0].heading == words and found[0].experiment == (name or None)
        assert exhibits <= {part.name for part in found[0].exhibits} and found[0].answer.name == answer


@pytest.mark.parametrize(
    "names, heading",
    [
        (["batch"], "Does batch matter?"),
        (["loss"], "Does loss matter?"),
        (["bias"], "Does bias matter?"),
        (["features"], "Do features matter?"),
        (["batch", "rate"], "Do batch and rate matter?"),
    ],
)
def test_a_heading_fits_the_number_of_what_it_asks_about(tmp_path, names, heading):
    tables = opened(tmp_path)
    axes = tuple(Axis(name, ("x", "y")) for name in names)
    tables.experiments = [Experiment(**{**vars(EXPERIMENT), "shapes": (Shape.COMPARISON,), "axes": axes})]
    assert sections.chapter(tables).questions[0].heading == heading


def test_what_given_checkpoints_cannot_show_is_said_once(tmp_path):
    """Without a data set nothing is told that needs images; one file in each series has no course."""
    tables = opened(tmp_path)
    tables.cells = tables.cells.assign(kind="given", dataset_id="")
    tables.settings = {name: replace(cell, snapshots=cell.snapshots[:1]) for name, cell in tables.settings.items()}
    assert [question.key for question in sections.chapter(tables).questions] == ["layers", "alike"]
    assert len(tables.left_out) == 2 and "images" in tables.left_out[0] and "single file" in tables.left_out[1]


def test_a_cell_that_two_experiments_share_counts_once_in_the_study(tmp_path):
    sizes = {str(size): {"training": {"batch_size": size}} for size in (16, 64)}
    rates = {text: {"set": {"lr": float(text)}} for text in ("0.1", "0.2")}
    both = {"sizes": {"grid": GRID, "vary": {"batch": sizes}}, "rates": {"grid": GRID, "vary": {"rate": rates}}}
    found = made(tmp_path, {"experiments": both}, lambda labels, seed: 0.5 + 0.01 * seed)
    found.tables.experiments = found.experiments
    assert len(found.tables.cells) == 4 and found.tables.cells["cell_id"].nunique() == 3
    told_ = told.told(found.tables)
    assert found.tables.faults == []
    items = {item.name: item for item in told_.exhibits}
    assert items["accuracy"].data["cell_id"].nunique() == 3 and len(items["accuracy-table"].data) == 3
    assert {len(items[name].data) for name in ("sizes-table", "rates-table")} == {2}
    [table] = telling.draw("compared-table", found.tables, experiments=["sizes", "rates"])
    assert len(table.data) == 4, "each under its experiment"
