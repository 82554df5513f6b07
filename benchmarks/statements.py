"""How large the code is, by package: modules, lines, statements, the largest module, and which functions have types.

    python benchmarks/statements.py

Statements are counted in the syntax tree (`ast.stmt`), so comments, blank lines and line breaks do not count; a
docstring counts as one. Public functions are those of modules and classes without a leading underscore. One has types
where each parameter but `self` and `cls`, and what it returns, is annotated.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """A Python file in numbers; typed and public count functions."""

    name: str
    lines: int
    statements: int
    typed: int
    public: int


def module(path: Path) -> Module:
    """The numbers of one file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = list(public(tree))
    statements = sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
    return Module(path.name, len(text.splitlines()), statements, sum(map(is_typed, functions)), len(functions))


def public(tree: ast.Module | ast.ClassDef) -> Iterator[Function]:
    """The functions and methods of a module or class without a leading underscore, those inside functions apart."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node) if isinstance(node, ast.ClassDef) else [node]


def is_typed(function: Function) -> bool:
    """Whether every parameter and the result are annotated."""
    own = function.args
    named = [*own.posonlyargs, *own.args, *own.kwonlyargs, *filter(None, (own.vararg, own.kwarg))]
    parameters = [one for one in named if one.arg not in ("self", "cls")]
    return function.returns is not None and all(one.annotation is not None for one in parameters)


def parts(root: Path = ROOT) -> dict[str, list[Path]]:
    """{part of the library: its files}: the commands, and each package of scripts/ with its top level apart."""
    found = {"commands": sorted((root / "scripts").glob("*.py"))}
    for library in sorted(path.parent for path in (root / "scripts").glob("*/__init__.py")):
        found[f"{library.name}, top level"] = sorted(library.glob("*.py"))
        for package in sorted(path for path in library.iterdir() if path.is_dir()):
            if files := sorted(package.rglob("*.py")):
                found[f"{library.name}/{package.name}"] = files
    return found


def row(name: str, modules: list[Module]) -> str:
    """A row of the table."""
    largest = max(modules, key=lambda one: one.statements)
    lines, statements, typed, functions = (sum(one[at] for one in modules) for at in (1, 2, 3, 4))
    share = f"{typed} of {functions} ({typed / functions:.0%})" if functions else "none"
    counts = f"{len(modules)} | {lines:,} | {statements:,}"
    return f"| {name} | {counts} | {largest.name} ({largest.statements}) | {share} |"


def main() -> None:
    library = {name: [module(path) for path in files] for name, files in parts().items()}
    print("| Part | Modules | Lines | Statements | Largest module (statements) | Public functions with types |")
    print("| --- | ---: | ---: | ---: | --- | ---: |")
    for name, modules in library.items():
        print(row(name, modules))
    print(row("**library and commands**", [one for modules in library.values() for one in modules]))
    for folder in ("tests", "benchmarks"):
        files = [path for path in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in path.parts]
        print(row(folder, [module(path) for path in files]))
    rules = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in rules)
    print(f"| Snakefile and rules | {len(rules)} | {lines:,} | | | |")


if __name__ == "__main__":
    main()
