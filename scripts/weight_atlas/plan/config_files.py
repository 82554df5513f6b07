"""Config files as Snakemake is about to read them: what it would pass over, or end in a traceback at, in one line."""

import json
from pathlib import Path
from typing import Any

import yaml

from weight_atlas.plan import spec
from weight_atlas.plan.checks import DEEPEST, VALUES, ConfigError

BYTES = 1_000_000  # of a config file, at most
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SMALLEST = "name: small"


def check(path: Path) -> None:
    """Refuse what `read` refuses, and what Snakemake's own loader of YAML would."""
    read(path, as_snakemake=True)


def read(path: Path, as_snakemake: bool = False) -> Any:
    """What a file holds; as_snakemake: where its loader takes the file as well.

    ConfigError, in one line with the file and where possible line and column, for what is no config file: another
    encoding, no YAML, several documents, no mapping, a key twice, aliases without end, code.
    """
    text = _text(path)
    if text.lstrip("\ufeff \t\r\n").startswith("{") and (found := _json(text, path)) is not None:
        return found
    try:
        _check_events(text, path)
        root = yaml.compose(text, LOADER)
        if root is None:
            raise ConfigError(f"{path}: is empty; a config begins with a name, such as {SMALLEST!r}")
        if not isinstance(root, yaml.MappingNode):
            what = "a list" if isinstance(root, yaml.SequenceNode) else "one value"
            raise ConfigError(f"{path}: holds {what}; allowed: keys with their values, such as {SMALLEST!r}")
        _Nodes(path).walk(root, ())
        if as_snakemake:
            yaml.load(text, yaml.FullLoader)
        return yaml.constructor.SafeConstructor().construct_document(root)
    except ConfigError:
        raise
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(path, text, error)) from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]}); correct it") from None


def check_value(text: str, place: str) -> None:
    """Raise ConfigError, which begins with `place`, for a list or a mapping of the command line with a key twice,
    nested without end, or with aliases without end."""
    if text[:1] not in ("{", "["):
        return
    try:
        _check_events(text, place)
        root = yaml.compose(text, LOADER)
    except yaml.YAMLError:
        return  # a text, for Snakemake
    if root is not None:
        _Nodes(place).walk(root, ())


def _text(path: Path) -> str:
    """The text of a file; ConfigError where there is none."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no such config file; correct its name")
    if not path.is_file():
        raise ConfigError(f"{path}: is a folder or a device; give a config file")
    if (size := path.stat().st_size) > BYTES:
        raise ConfigError(f"{path}: has {size:,} bytes, which no config has; allowed: up to {BYTES:,}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); correct its permissions") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise ConfigError(
            f"{path}, line {line}: is not UTF-8 but {what} (byte 0x{content[error.start]:02x}); save it as UTF-8"
        ) from None


def _json(text: str, path: Path) -> Any:
    """What a text is as JSON, which Snakemake tries first; None where it is none. ConfigError for a key twice."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for place, (key, _) in enumerate(pairs):
            if key in [other for other, _ in pairs[:place]]:
                raise ConfigError(f"{path}: the key {spec.shown(key)} is there twice in one mapping; leave one out")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=distinct)
    except ConfigError:
        raise
    except (ValueError, RecursionError):
        return None


def _check_events(text: str, place: Path | str) -> None:
    """Refuse several documents, and what is nested too deep for a parser that calls itself."""
    depth = documents = 0
    for event in yaml.parse(text, LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if documents > 1:
            raise ConfigError(f"{place}, line {line}: a second document begins (---); give one file for each config")
        if depth > DEEPEST:
            raise ConfigError(f"{place}, line {line}: is nested deeper than {DEEPEST} levels; write it flatter")


class _Nodes:
    """The nodes of a file (or of another text, as `place` says): how many values each stands for, aliases written
    out."""

    def __init__(self, place: Path | str) -> None:
        self.place = place
        self.scalars = yaml.constructor.SafeConstructor()
        self.counts: dict[int, int] = {}

    def walk(self, node: yaml.Node, keys: tuple[str, ...]) -> int:
        """How many values a node stands for; ConfigError for a key twice, code, or aliases without end."""
        if id(node) in self.counts:
            if not self.counts[id(node)]:
                raise ConfigError(f"{self._at(node)}: {'.'.join(keys)} holds itself; leave the alias out")
            return self.counts[id(node)]
        self.counts[id(node)] = 0  # not known yet
        children: list[tuple[str, yaml.Node]] = []
        if isinstance(node, yaml.ScalarNode):
            self._check_scalar(node, keys)
        elif isinstance(node, yaml.MappingNode):
            self._check_keys(node, keys)
            children = [(str(key.value), value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(str(place), value) for place, value in enumerate(node.value)]
        count = 1
        for key, child in children:
            count += self.walk(child, (*keys, key[:60]))
        if count > VALUES:
            raise ConfigError(
                f"{self._at(node)}: {'.'.join(keys) or 'the file'} has more than {VALUES:,} values, aliases "
                "written out; allowed: fewer"
            )
        self.counts[id(node)] = count
        return count

    def _check_scalar(self, node: yaml.ScalarNode, keys: tuple[str, ...]) -> None:
        try:
            self.scalars.construct_object(node)
        except (ValueError, TypeError, OverflowError) as error:
            said = str(error).partition(":")[0]
            raise ConfigError(
                f"{self._at(node)}: {'.'.join(keys)} has a value that cannot be read ({said}); correct it"
            ) from None

    def _check_keys(self, node: yaml.MappingNode, keys: tuple[str, ...]) -> None:
        seen: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{self._at(key)}: a key is a list or a mapping; give a text")
            if not keys and key.value == "__use_yte__":
                raise ConfigError(f"{self._at(key)}: '__use_yte__' would run code; a config has values alone")
            first = seen.setdefault(key.value, key)
            if first is not key and key.value != "<<":
                place = f" in {'.'.join(keys)}" if keys else ""
                raise ConfigError(
                    f"{self._at(key)}: the key {spec.shown(key.value)} is there twice{place}, first in line "
                    f"{first.start_mark.line + 1}; leave one out"
                )

    def _at(self, node: yaml.Node) -> str:
        return f"{self.place}, line {node.start_mark.line + 1}"


def _syntax(path: Path, text: str, error: yaml.YAMLError) -> str:
    """What is wrong with a text as YAML, and where."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        return f"{path}, line {line}: has a control character (number {error.character}); leave it out"
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: is no YAML: {str(error).splitlines()[0]}"
    place = f"{path}, line {mark.line + 1}, column {mark.column + 1}"
    problem, context = getattr(error, "problem", ""), getattr(error, "context", "")
    begins = getattr(error, "context_mark", None)
    since = f" {context} that begins in line {begins.line + 1}" if context and begins else ""
    if "\t" in "".join(text.splitlines()[mark.line : mark.line + 1])[: mark.column + 1]:
        return f"{place}: is no YAML: a tab; indent with spaces"
    if isinstance(error, yaml.constructor.ConstructorError) and "tag" in problem:
        return f"{place}: has a tag (!), which would make more than a plain value; leave it out"
    return f"{place}: is no YAML: {problem}{since}; correct it there or just above"
