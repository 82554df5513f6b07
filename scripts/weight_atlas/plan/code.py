"""Which files a command's result depends on (the closure of its imports within `scripts/`), and what they compute.

Listed as plain input files of a rule they are compared by content: a touch reruns nothing, an edit does. `digest` is
for what takes hours to make: comments, docstrings, annotations and line breaks do not change it.
"""

import ast
import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from weight_atlas import store

SCRIPTS = Path(__file__).resolve().parents[2]
KNOWN = Path(".snakemake/atlas/code.json")  # what files import and compute, by their content
NEW = "new"
T = TypeVar("T")
# Fields of a syntax tree that change no result, or that only some versions of Python have.
IGNORED = ("annotation", "returns", "type_params", "type_comment", "kind")
# An import that stands alone on its line, or from its line to the closing bracket.
IMPORT = re.compile(
    r"^(?<!\\\n)[ \t]*((?:from[ \t]+[.\w]+[ \t]+)?import[ \t]+(?:\([^()]*\)|\w[\w., ]*))[ \t]*(?:#.*)?$", re.MULTILINE
)


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
    package = "/".join(Path(file).parts[:-1])
    modules = _once(f"imports of {package}", SCRIPTS / file, lambda text: _modules(text, package))
    return tuple(dict.fromkeys(path for module in modules for path in _files(module)))


def _modules(text: str, package: str) -> list[str]:
    """The modules, and what may be modules, that a module of a package (`weight_atlas/plan`) imports."""
    modules: list[str] = []
    for node in _statements(text):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split("/")[: 1 - node.level or None]
                base = ".".join([*above, *([node.module] if node.module else [])])
            modules += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return list(dict.fromkeys(modules))


def _statements(text: str) -> Iterator[ast.AST]:
    """All imports of a module, perhaps among other nodes of its syntax tree.

    Every run begins with this, and to parse hundreds of files takes most of a second. So only the lines of the imports
    are parsed, unless `import` also stands elsewhere: behind a colon or in a text, say.
    """
    found = list(IMPORT.finditer(text))
    if sum(len(re.findall(r"\bimport\b", line[0])) for line in found) == len(re.findall(r"\bimport\b", text)):
        with suppress(SyntaxError):
            return iter(ast.parse("\n".join(line[1] for line in found)).body)
    return ast.walk(ast.parse(text))


def _files(module: str) -> list[str]:
    """The module's file and the `__init__.py` of each package above it, where they exist below `scripts/`."""
    parts, files = module.split("."), []
    for end in range(1, len(parts) + 1 if parts[0] == "weight_atlas" else 0):
        stem = "/".join(parts[:end])
        files += [path for path in (f"{stem}.py", f"{stem}/__init__.py") if os.path.isfile(f"{SCRIPTS}/{path}")]
    return files


@cache
def digest(*files: str) -> str:
    """SHA-256 of what the files (relative to `scripts/`) and all that they import from there compute."""
    sha = hashlib.sha256()
    for file in closure(*files):
        sha.update(f"{file}\n{behaviour(file)}\n".encode())
    return sha.hexdigest()


@cache
def behaviour(file: str) -> str:
    """SHA-256 of what a file (relative to `scripts/`, or anywhere by its whole path) computes: of its syntax tree as
    JSON, without docstrings, annotations and what only these need.

    `ast.dump` would differ from one Python to the next.
    """
    return _once(
        "behaviour",
        SCRIPTS / file,
        lambda text: hashlib.sha256(json.dumps(_canonical(ast.parse(text))).encode()).hexdigest(),
    )


def _once(what: str, file: Path, find: Callable[[str], T]) -> T:
    """What is found in a file's text, which takes long and so is remembered for its content."""
    content = file.read_bytes()
    found = _known().setdefault(what, {})
    key = hashlib.sha256(content).hexdigest()
    if key not in found:
        found[key] = find(content.decode())
        _known()[NEW] = True
    return cast(T, found[key])


@cache
def _known() -> dict[str, Any]:
    """What was found in files, where the same code on the same Python found it."""
    with suppress(OSError, ValueError):
        known = store.read_json(KNOWN)
        if isinstance(known, dict) and known.get("by") == _by():
            return known
    return {"by": _by()}


def _by() -> list[str]:
    return [platform.python_version(), store.sha256(__file__)]


def remember() -> None:
    """Write what was found in files for the next process that asks, where anything is new."""
    if _known().pop(NEW, False):
        with suppress(OSError):  # a full disk, or a folder that cannot be written, stops no look at it
            store.write_json(KNOWN, _known())


def _canonical(node: object) -> object:
    """A syntax tree as nested lists; None for what changes no result."""
    match node:
        case list():
            return [kept for item in node if (kept := _canonical(item)) is not None]
        case ast.ImportFrom(module="typing" | "collections.abc") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return None
        case ast.AnnAssign(target=target, value=None):  # the field `x: int` of a class, as `x`
            return _canonical(ast.Expr(target))
        case ast.AnnAssign(target=target, value=ast.expr() as value):  # `x: int = 1` as `x = 1`
            return _canonical(ast.Assign([target], value))
        case ast.JoinedStr(values=pieces):  # of an f-string, to which some Pythons add empty ones
            return ["JoinedStr", *(_canonical(one) for one in pieces if ast.unparse(one) != "''")]
        case ast.AST():
            fields = {name: value for name, value in ast.iter_fields(node) if name not in IGNORED}
            match fields.get("body"):
                case [ast.Expr(value=ast.Constant()), *rest]:  # a docstring
                    fields["body"] = rest
            named = [[name, _canonical(value)] for name, value in fields.items() if value not in (None, [])]
            return [type(node).__name__, *named]
        case _:
            return repr(node)
