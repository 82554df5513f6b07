"""A study is data: no code, rule or template knows what a document's config calls its studies and experiments."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from weight_atlas.plan import chapters
from weight_atlas.reporting import registry
from weight_atlas.reporting.grammar.tables import PUBLISHED
from weight_atlas.vocabulary import AXES, CHILD_AXES, Kind, Role

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scripts/weight_atlas"
ROOMS = ("reporting", "analysis", "schema", "stats", "export")
# Words that are also an option of torch's, a role, a measure or a function of the report: there they mean these.
GENERAL = {"momentum", "filters", "path", "penalty", "rates", "blocks", "features", "step", "kernel"}
GENERAL |= {"dropout", "alpha", "lambda", "rate"}


def named() -> set[str]:
    """What the configs of the documents call their studies, experiments and further axes."""
    names: set[str] = set()
    for path in sorted((ROOT / "config").glob("*.yaml")):
        for name, study in yaml.safe_load(path.read_text(encoding="utf-8"))["definitions"].items():
            parts = study.get("experiments", {})
            names |= {name, *parts, *(axis for part in (study, *parts.values()) for axis in part.get("vary", {}))}
    return names


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every text in a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


# Networks and published data sets that a study is called after are known by these names.
NETWORKS = {path.stem for path in (LIBRARY / "networks/architectures").glob("*.py")}
NAMES = sorted(named() - NETWORKS - {*PUBLISHED} - {str(word) for word in (*AXES, *CHILD_AXES, *Kind, *Role)})


def test_the_names_are_there():
    assert {"dynamics", "convnets", "handmade", "block-count", "last-layer"} <= set(NAMES)


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_knows_a_name(room):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in sorted((LIBRARY / room).rglob("*.py"))
        for line, text in literals(path)
        if text in set(NAMES) - GENERAL
    ]
    assert not found, "\n".join(found)


def test_general_words_stand_for_something_else():
    """A name that is let through is a key of settings, of a table or of the registry."""
    keys = {
        text for path in (LIBRARY / "settings.py", *(LIBRARY / "schema").glob("*.py")) for _, text in literals(path)
    }
    keys |= {
        word for path in LIBRARY.rglob("*.py") for word in re.findall(r"(\w+): ", path.read_text(encoding="utf-8"))
    }
    assert keys | {*registry.EXHIBITS.names, *registry.ANSWERS.names} >= GENERAL


@pytest.mark.parametrize("folder", ["rules", "report"])
def test_no_rule_and_no_template_knows_a_name(folder):
    files = [*(ROOT / folder).glob("*.smk"), *(ROOT / folder).glob("*.j2"), ROOT / "Snakefile"]
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in set(NAMES) - GENERAL
        if re.search(rf"[\"'/]{re.escape(name)}[\"'/.]", path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_documents_are_data():
    assert {path.suffix for path in chapters.DOCUMENTS.rglob("*") if path.is_file()} == {".yaml", ".md"}
