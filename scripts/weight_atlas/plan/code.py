"""Which files a command's result depends on: the closure of its imports within `scripts/`.

Listed as plain input files of a rule they are compared by content: a touch reruns nothing, an edit does.
"""

import ast
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]


@cache
def closure(*files: str) -> tuple[str, ...]:
    """The given files (relative to `scripts/`) and all that they import from there, sorted, relative to `scripts/`."""
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imports(file))
    return tuple(sorted(found))


@cache
def _imports(file: str) -> tuple[str, ...]:
    """The files below `scripts/` that `file` imports, at its top or within a function."""
    found = []
    for node in ast.walk(ast.parse((SCRIPTS / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [_files(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = Path(file).parts[: -node.level]
                base = ".".join([*package, *([node.module] if node.module else [])])
            found += [_files(base), *(_files(f"{base}.{alias.name}") for alias in node.names)]
    return tuple(dict.fromkeys(path for paths in found for path in paths))


def _files(module: str) -> list[str]:
    """The module's file and the `__init__.py` of each package above it, where they exist below `scripts/`."""
    parts, found = module.split("."), []
    for end in range(1, len(parts) + 1):
        stem = Path(*parts[:end])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if parts[0] == "weight_atlas" and (SCRIPTS / path).is_file():
                found.append(path.as_posix())
    return found
