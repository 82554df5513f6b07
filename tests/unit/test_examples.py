"""The configs and the documents in examples/: planned without their images, and their chapters checked by name."""

import inspect
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

from weight_atlas.plan import chapters, spec
from weight_atlas.plan.study import Plan
from weight_atlas.reporting import registry

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
# Each config with the files that stand behind it on a command line, as in `--configfile config.yaml small.yaml`.
CONFIGS = [(path,) for path in sorted(EXAMPLES.glob("*.yaml"))]
CONFIGS += [(path,) for path in sorted(EXAMPLES.glob("*/config.yaml"))]
SMALL = [(path.with_name("config.yaml"), path) for path in sorted(EXAMPLES.glob("*/small.yaml"))]
CONFIGS += SMALL
DOCUMENTS = sorted(path.parent for path in EXAMPLES.glob("*/chapter.yaml"))


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def merged(files):
    """What Snakemake makes of several configs: each lies over the one before, key by key."""
    config = {}
    for path in files:
        update_config(config, read(path))
    return config


def planned(files, folder, monkeypatch):
    """The plan of configs in the clone, which has no data sets."""
    monkeypatch.chdir(ROOT)  # where a study's `document` starts
    return Plan(merged(files) | {"data_root": str(folder)}, folder, absent=True)


def study_of(plan, folder):
    """The study that reports the document in a folder."""
    named = {name: study.document for name, study in plan.config.definitions.items()}
    [study] = [name for name, document in named.items() if document and (ROOT / document) == folder]
    return study


def test_there_are_examples():
    assert CONFIGS and DOCUMENTS


@pytest.mark.parametrize("files", CONFIGS, ids=lambda files: "+".join(f"{one.parent.name}-{one.stem}" for one in files))
def test_every_example_is_planned_without_its_images(files, tmp_path, monkeypatch):
    jsonschema.validate(merged(files), spec.Config.model_json_schema())
    plan = planned(files, tmp_path, monkeypatch)
    assert {entry.study for entry in plan.entries} == set(plan.config.definitions)
    for name, study in plan.config.definitions.items():
        asked = {one.name for one in plan.experiments if one.study == name}
        assert asked == (set(study.experiments) or {""})


@pytest.mark.parametrize(
    "files", [files for files in CONFIGS if len(files) > 1], ids=lambda files: files[0].parent.name
)
def test_a_small_scale_asks_the_same_of_fewer_images(files, tmp_path, monkeypatch):
    whole, small = planned(files[:1], tmp_path, monkeypatch), planned(files, tmp_path, monkeypatch)
    assert whole.config.name != small.config.name
    assert [entry.labels for entry in whole.entries] == [entry.labels for entry in small.entries]
    assert [one.shapes for one in whole.experiments] == [one.shapes for one in small.experiments]
    for label, dataset in small.config.datasets.items():
        assert dataset.per_class.train < whole.config.datasets[label].per_class.train


@pytest.mark.parametrize("folder", DOCUMENTS, ids=lambda folder: folder.name)
def test_a_chapter_calls_what_the_registry_has_with_options_that_it_takes(folder):
    chapter = chapters.read(folder)
    for question in chapter.questions:
        parts = [(registry.EXHIBITS, part) for part in question.exhibits]
        parts += [(registry.ANSWERS, question.answer)] if question.answer else []
        for functions, part in parts:
            function = {**functions.of_study, **functions.of_experiment}[part.name]
            of_experiment = part.name in functions.of_experiment
            arguments = ("tables", "experiment") if of_experiment else ("tables",)
            inspect.signature(function).bind(*arguments, **part.options)  # TypeError for an option that it lacks
            assert question.experiment or not of_experiment, question.key


@pytest.mark.parametrize("folder", DOCUMENTS, ids=lambda folder: folder.name)
def test_a_document_reports_of_levels_that_its_study_has(folder, tmp_path, monkeypatch):
    plan = planned((folder / "config.yaml",), tmp_path, monkeypatch)
    study, document = study_of(plan, folder), read(folder / "document.yaml")
    experiments = {one.name: one for one in plan.experiments if one.study == study}
    named = set()
    for question in chapters.read(folder).questions:
        for part in question.exhibits:
            if reported := part.options.get("reported"):
                [axis] = experiments[question.experiment].axes
                assert set(document[reported]) <= set(axis.levels)
                assert all(0 < numbers["test"] < 1 for numbers in document[reported].values())
                named.add(reported)
    assert named == set(document) - {"source", "about"}, "numbers that no exhibit shows"
