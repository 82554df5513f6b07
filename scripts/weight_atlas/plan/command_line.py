"""What a user types after `snakemake`: config files and settings, looked at before Snakemake reads them.

Snakemake reads config files before the Snakefile, and a file that it cannot read ends in a traceback, or in words that
name neither file nor line. The workflow's profiles call `check` before that: they are templates that may run code.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from weight_atlas.plan import config_files, spec
from weight_atlas.plan.checks import ConfigError

LOOKS = ("plan", "power", "prune", "status")  # targets that only print what they see
TARGETS = ("all", "bundle", "compare", "docx", "pdf", "plan", "power", "prune", "smoke", "status")


def check(words: Sequence[str], default: Path) -> None:
    """End with one line where a config file among the words cannot be read; `default` is read where none is named.

    Where keys have points (training.epochs=3), which Snakemake refuses, it is started again with what they stand for.
    """
    try:
        files, settings = named(words)
        for file in files or [default]:
            config_files.check(file)
        check_settings(settings)
    except ConfigError as problem:
        sys.exit(f"config: {problem}")
    again = [nested(word) if word in settings else word for word in words]
    if again != list(words):
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(words)], *again])


def quiet(words: Sequence[str]) -> list[str]:
    """What Snakemake leaves out on the console: its own head and reasons, and all of a job that only looks."""
    looks = bool(words) and words[0] in LOOKS
    return ["reason", "host", *(["progress", "rules"] if looks else [])]


def named(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The config files and the settings among the words; ConfigError for what Snakemake would leave out."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="*", action="append", default=[])
    parser.add_argument("--config", "-C", nargs="*", action="append", default=[])
    found, _ = parser.parse_known_args(list(words))
    for option, groups in (("--configfile", found.configfile), ("--config", found.config)):
        if len(groups) > 1:
            raise ConfigError(
                f"{option}: is given {len(groups)} times, of which Snakemake reads the last; give it once"
            )
    files = [word for group in found.configfile for word in group]
    for word in files:
        if not Path(word).exists() and (word in TARGETS or (files.index(word) and not Path(word).suffix)):
            raise ConfigError(
                f"{word!r} stands after --configfile, which takes every word that follows as a file; give the target "
                f"first: snakemake {word} --configfile {files[0] if files[0] != word else 'FILE'}"
            )
    return [Path(word) for word in files], [word for group in found.config for word in group]


def check_settings(settings: Sequence[str]) -> None:
    """Refuse words after --config that are no key=value, unknown keys, and keys that are given twice."""
    seen: set[str] = set()
    for word in settings:
        key, sign, value = word.partition("=")
        if not sign:
            hint = f"give the target first: snakemake {word} --config .." if word in TARGETS else "give key=value"
            raise ConfigError(f"{spec.shown(word)} stands after --config and is no key=value; {hint}")
        first = key.partition(".")[0]
        if not all(key.split(".")):
            raise ConfigError(f"--config: {spec.shown(key)} is no key; give key=value, or key.inner=value")
        if first not in (known := spec.Config.model_fields):
            raise ConfigError(f"--config: unknown key {spec.shown(first)}; {spec.near(first, known)}")
        if key in seen:
            raise ConfigError(f"--config: {key} is given twice, of which the last would count; give it once")
        seen.add(key)
        config_files.check_value(value, f"--config: {key}")


def nested(word: str) -> str:
    """A setting whose key has points as Snakemake takes it: training.epochs=3 is training={"epochs": 3}."""
    key, _, text = word.partition("=")
    first, *inner = key.split(".")
    if not inner:
        return word
    try:
        value = yaml.load(text, yaml.BaseLoader)  # texts, as Snakemake reads nested values
    except yaml.YAMLError:
        value = text
    for part in reversed(inner):
        value = {part: value}
    return f"{first}={json.dumps(value)}"


def typed(config: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The config with numbers and booleans where `given`, the command line's settings, have nested ones.

    Snakemake reads training={"epochs": 3} as the text '3'.
    """
    return config | {key: _typed(config[key], value) for key, value in given.items() if isinstance(value, dict | list)}


def _typed(value: Any, given: Any) -> Any:
    """A value of the config with what the command line gives of it as YAML reads it; the rest stays."""
    if isinstance(given, dict) and isinstance(value, dict):
        return value | {key: _typed(value[key], inner) for key, inner in given.items()}
    if isinstance(given, list) and isinstance(value, list):
        return [_typed(*both) for both in zip(value, given, strict=True)]
    return yaml.safe_load(value) if isinstance(value, str) and _is_plain(value) else value


def _is_plain(text: str) -> bool:
    """Whether a text stands for a number, a boolean or nothing."""
    try:
        return isinstance(yaml.safe_load(text), bool | int | float | None) and bool(text.strip())
    except (yaml.YAMLError, ValueError):
        return False
