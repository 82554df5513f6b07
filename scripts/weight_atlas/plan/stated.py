"""Which claims of a user's own the workflow has read, since when, and which commit holds them. No torch, no pandas.

`results/NAME/stated/STUDY.json` holds {SHA-256 of a claim: {claim, at, commit}}. An entry is written when the workflow
first reads the claim, before any job, and stays: a claim that was changed is another one. It is a record and no proof:
whoever can write the file can also change it.
"""

import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import records, store
from weight_atlas.folders import Folders
from weight_atlas.plan.identity import digest
from weight_atlas.plan.spec import Claim, Config


class Stated(NamedTuple):
    """When the workflow first read a claim (UTC, ISO 8601), and the commit of the config that holds it, if any."""

    at: str
    commit: str | None


def name(config: Config, study: str) -> str:
    """What the file with the claims of a study is called (`weight_atlas.folders`)."""
    return f"results/{config.name}/stated/{study}.json"


def path(config: Config, study: str) -> Path:
    """Where it is, relative to the working directory."""
    return Path(Folders.of(config.name, config.pathvars).place(name(config, study)))


def fingerprint(claim: Claim) -> str:
    """A claim in full, as a digest: another margin is another claim."""
    return digest(claim.model_dump(mode="json"), 64)


def read(file: Path | None) -> dict[str, Stated]:
    """{fingerprint: since when} of what a file of statements holds; {} where there is none."""
    if file is None or not file.is_file():
        return {}
    return {key: Stated(entry["at"], entry["commit"]) for key, entry in store.read_json(file).items()}


def record(config: Config, root: Path, files: Sequence[str], typed: bool) -> None:
    """Add the claims that the asked studies state to their files, those that are not there yet.

    root: the working directory; files: the config's files; typed: whether some of the config was typed on the command
    line, which no commit holds.
    """
    commit = functools.cache(lambda: None if typed else _commit(files))  # asked for once, and only where one is missing
    for study in config.asked:
        claims = config.definitions[study].claims
        if not claims:
            continue
        file = root / path(config, study)
        before: dict[str, Any] = store.read_json(file) if file.is_file() else {}
        known = dict(before)
        for claim in claims:
            key, said = fingerprint(claim), claim.model_dump(mode="json", exclude_defaults=True)
            entry = known.get(key, {"claim": said, "at": records.timestamp(), "commit": None})
            known[key] = entry if entry["commit"] else entry | {"commit": commit()}
        if known != before:
            file.parent.mkdir(parents=True, exist_ok=True)
            store.write_json(file, known)


def _commit(files: Sequence[str]) -> str | None:
    """The commit that is checked out where all files stand in it as they are on disk; None where there is none."""
    commits = set()
    for file in map(Path, files):
        git = ["git", "-C", str(file.parent)]
        try:
            for question in (["ls-files", "--error-unmatch", file.name], ["diff", "--quiet", "HEAD", "--", file.name]):
                subprocess.run([*git, *question], check=True, capture_output=True)
            head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        commits.add(head.stdout.strip())
    return commits.pop() if len(commits) == 1 else None
