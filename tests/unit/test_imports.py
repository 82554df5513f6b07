"""Who may import whom in the library: no circles, and packages in an order."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from weight_atlas.plan import code

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LIBRARY = "weight_atlas"

# What each package may import besides itself and the modules at the root, which import only one another.
ORDER = {
    "stats": set(),
    "networks": set(),
    "perturbations": {"networks"},
    "datasets": set(),
    "plan": {"networks", "perturbations", "datasets"},
    "starts": {"networks", "perturbations"},
    "training": {"networks", "perturbations", "datasets", "plan", "starts"},
    "analysis": {"networks", "plan", "starts", "stats"},
    "reporting": {"plan", "stats"},
    "export": {"plan", "reporting", "stats"},
    "api": {"networks", "plan", "starts", "training", "analysis", "reporting"},
}
# A package that stands beside the modules at the root, and imports only these.
FOUNDATION = "schema"
# The same within reporting.
REPORTING = {
    "grammar": set(),
    "exhibits": {"grammar"},
    "claims": {"grammar", "exhibits"},
    "registry": {"exhibits", "claims"},
    "sections": {"grammar"},
    "telling": {"grammar", "exhibits", "registry"},
    "pages": set(),
}
# (who, whom): why, although the order says otherwise. The first is a module, or a package with all of its modules.
EXCEPTIONS = {
    ("plan.cost", "training.frozen"): "one rule says what frozen layers compute only once",
    ("plan.fits", "training.frozen"): "one rule says which layers keep their statistics",
    ("reporting.exhibits.design.augmented", "training.augment"): "example images are changed as in training",
    ("reporting.exhibits.transfer.transfers", "networks"): "the layer table of a cell's network",
    ("reporting.exhibits.networks", "networks"): "the layer tables of a study, to count",
    ("reporting.exhibits.diagrams", "networks"): "the same, to draw",
    ("export.cards", "networks"): "the size of a network's layer table",
    ("export.networks", "networks.foreign"): "the traced layer tables that go along with weights",
    ("export.networks", "networks.named"): "the same: which networks have one",
}
# Imports inside functions that close a circle, and why they may.
LATE = {
    ("starts.perturb", "starts"): "a start may be a perturbed one, of a parent that starts in turn",
}


class Import(NamedTuple):
    """One module importing another, by dotted names without the library's; late: inside a function."""

    who: str
    whom: str
    late: bool


def read(scripts: Path) -> tuple[dict[str, ast.Module], list[Import]]:
    """({module: syntax tree}, imports between them) of the library below a folder of scripts."""
    trees = {}
    for path in sorted((scripts / LIBRARY).rglob("*.py")):
        parts = path.relative_to(scripts / LIBRARY).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees, [one for who, tree in trees.items() for one in imports(who, tree, set(trees))]


def imports(who: str, tree: ast.Module, modules: set[str]) -> Iterator[Import]:
    """The imports of the library's modules in one of them."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    late = {inner for outer in ast.walk(tree) if isinstance(outer, functions) for inner in ast.walk(outer)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{who} imports by dots: name the module in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == LIBRARY:
                yield Import(who, rest if rest in modules else rest.rpartition(".")[0], node in late)


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """The modules of a circle, or none."""
    graph: dict[str, set[str]] = {}
    for who, whom in edges:
        graph.setdefault(who, set()).add(whom)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def part(module: str, trees: dict[str, ast.Module]) -> str:
    """The package that a module is in, or is; nothing for FOUNDATION and a module at the root, `api` apart."""
    first = module.split(".")[0]
    if first == FOUNDATION:
        return ""
    return first if first == "api" or any(name.startswith(f"{first}.") for name in trees) else ""


def excepted(one: Import) -> tuple[str, str] | None:
    """The exception that covers an import."""
    return next((e for e in EXCEPTIONS if one.whom == e[1] and f"{one.who}.".startswith(f"{e[0]}.")), None)


TREES, IMPORTS = read(SCRIPTS)


def against_the_order(one: Import) -> bool:
    who, whom = part(one.who, TREES), part(one.whom, TREES)
    if who == "reporting" == whom:
        who, whom = one.who.split(".")[1], one.whom.split(".")[1]
        return who != whom and whom not in REPORTING[who]
    return bool(whom) and who != whom and whom not in ORDER.get(who, set())


def test_every_module_has_a_place_in_the_order():
    assert {part(name, TREES) for name in TREES} - {""} == set(ORDER)
    rooms = {name.split(".")[1] for name in TREES if name.startswith("reporting.")}
    assert rooms == set(REPORTING)


@pytest.mark.parametrize("order", [ORDER, REPORTING], ids=["library", "reporting"])
def test_the_order_is_one(order):
    assert circle({(who, whom) for who, others in order.items() for whom in others}) == []


def test_nothing_is_imported_against_the_order():
    assert [one for one in IMPORTS if against_the_order(one) and not excepted(one)] == []


def test_every_exception_is_needed():
    assert {excepted(one) for one in IMPORTS if against_the_order(one)} - {None} == set(EXCEPTIONS)


def test_modules_import_one_another_in_no_circle():
    assert circle({(one.who, one.whom) for one in IMPORTS if not one.late}) == []


def test_nor_do_imports_inside_functions_but_for_those_that_must():
    edges = {(one.who, one.whom) for one in IMPORTS}
    assert circle(edges - set(LATE)) == []
    for one in LATE:
        assert one not in {(early.who, early.whom) for early in IMPORTS if not early.late}
        assert circle(edges - set(LATE) | {one}), f"{one} closes no circle (any more)"


def test_the_library_imports_no_command():
    commands = {path.stem for path in SCRIPTS.glob("*.py")}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not commands & {one.split(".")[0] for one in names}, name


def test_the_foundation_imports_only_modules_at_the_root():
    own = [one for one in IMPORTS if one.who.split(".")[0] == FOUNDATION]
    assert own and {part(one.whom, TREES) for one in own} == {""}


def test_training_imports_none_of_the_schema():
    """So that a column's meaning, told in other words, trains nothing again."""
    for command in ("train.py", "prepare.py", "weight_atlas/training/block.py"):
        assert not [file for file in code.closure(command) if f"/{FOUNDATION}/" in file], command
