"""Which files a command's result depends on (the closure of its imports within `scripts/`), and what they compute.

Listed as plain input files of a rule they are compared by content: a touch reruns nothing, an edit does. `digest` is
for what takes hours to make: comments, docstrings, annotations and line breaks do not change it.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import cast

SCRIPTS = Path(__file__).resolve().parents[2]


@cache
def closure(*files: str) -> tuple[str, ...]:
    """The given files (relative to `scripts/`) and all that they import from there, sorted, relative to `scripts/`."""
    closed: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in closed:
            closed.add(file)
            waiting.extend(_imports(file))
    return tuple(sorted(closed))


@cache
def _imports(file: str) -> tuple[str, ...]:
    """The files below `scripts/` that `file` imports, at its top or within a function."""
    imported: list[list[str]] = []
    for node in ast.walk(ast.parse((SCRIPTS / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [_files(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = Path(file).parts[: -node.level]
                base = ".".join([*package, *([node.module] if node.module else [])])
            imported += [_files(base), *(_files(f"{base}.{alias.name}") for alias in node.names)]
    return tuple(dict.fromkeys(path for paths in imported for path in paths))


def _files(module: str) -> list[str]:
    """The module's file and the `__init__.py` of each package above it, where they exist below `scripts/`."""
    parts, files = module.split("."), []
    for end in range(1, len(parts) + 1):
        stem = Path(*parts[:end])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if parts[0] == "weight_atlas" and (SCRIPTS / path).is_file():
                files.append(path.as_posix())
    return files


@cache
def digest(*files: str) -> str:
    """SHA-256 of what the files (relative to `scripts/`) and all that they import from there compute."""
    sha = hashlib.sha256()
    for file in closure(*files):
        sha.update(f"{file}\n{_behaviour(file)}\n".encode())
    return sha.hexdigest()


@cache
def _behaviour(file: str) -> str:
    """The syntax tree of a file without docstrings, annotations and what only these need."""
    return ast.dump(_Bare().visit(ast.parse((SCRIPTS / file).read_text(encoding="utf-8"))))


class _Bare(ast.NodeTransformer):
    """Drops from a syntax tree what changes no result."""

    def visit_body(self, node: ast.AST) -> ast.AST:
        """A module, class or function without its docstring."""
        node = self.generic_visit(node)
        body = cast(ast.Module, node).body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            del body[0]
        return node

    visit_Module = visit_ClassDef = visit_body

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.visit_body(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """`x: int = 1` as `x = 1`; the field `x: int` of a class as `x`."""
        if node.value is None:
            return ast.Expr(node.target)
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module in ("typing", "collections.abc") else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)
