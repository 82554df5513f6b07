"""The documents that a study may name, and their chapters: read and checked before anything is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weight_atlas.plan import code, config_files, spec
from weight_atlas.plan.checks import ConfigError, check

DOCUMENTS = code.SCRIPTS.parent / "report" / "documents"
PARTS = ("chapter", "claims", "document")  # the files of a document; all others hold published curves


def folder(document: str) -> Path:
    """Where the files of a document are: chapter.yaml, and claims.yaml and document.yaml where it has them.

    It is one of the workflow's documents by its name, or, with a slash in it, a folder of the user's own.
    """
    return Path(document) if "/" in document else DOCUMENTS / document


def read(document: Path) -> spec.Chapter:
    """The chapter of the document in a folder; ConfigError, in one line, where it is none."""
    path = document / "chapter.yaml"
    return checked(config_files.read(path), path)


def about(document: Path) -> spec.About | None:
    """Who made the document in a folder, where its document.yaml says so; ConfigError, in one line, where that is
    malformed."""
    path = document / "document.yaml"
    if not path.is_file():
        return None
    content = config_files.read(path)
    return check(spec.About, content["about"], f"{path}: about") if "about" in content else None


def checked(content: Any, path: Path) -> spec.Chapter:
    """What a chapter.yaml holds as a chapter; ConfigError, which names the file, where it is none."""
    return check(spec.Chapter, content, str(path))


def references(names: Sequence[str]) -> list[Path]:
    """The files of published curves that a study names: one of the workflow's by its name, or, with a slash in it, one
    of the user's own."""
    return [Path(name) if "/" in name else _published().get(name, DOCUMENTS / name) for name in names]


def _published() -> dict[str, Path]:
    """The workflow's files of published curves, by name."""
    return {path.stem: path for path in DOCUMENTS.glob("*/*.yaml") if path.stem not in PARTS}


def reference(path: Path) -> spec.Reference:
    """The published curves in a file; ConfigError, in one line, where it holds none."""
    return check(spec.Reference, config_files.read(path), str(path))


def check_references(config: spec.Config) -> None:
    """Refuse published curves that are not there, and files that hold none."""
    for name in config.asked:
        study = config.definitions[name]
        for at, path in enumerate(references(study.references)):
            if not path.is_file():
                wanted = study.references[at]
                hint = "give a YAML file" if "/" in wanted else spec.near(wanted, sorted(_published()))
                raise ConfigError(f"definitions.{name}.references.{at}: there is no reference {wanted!r}; {hint}")
            reference(path)


def check_documents(config: spec.Config) -> None:
    """Refuse a document that is not there, and a chapter that speaks of an experiment that its study does not have."""
    for name in config.asked:
        study = config.definitions[name]
        if study.document is None:
            continue
        place = f"definitions.{name}.document"
        if not (folder(study.document) / "chapter.yaml").is_file():
            known = sorted(path.parent.name for path in DOCUMENTS.glob("*/chapter.yaml"))
            hint = "give a folder with a chapter.yaml" if "/" in study.document else spec.near(study.document, known)
            raise ConfigError(f"{place}: there is no document {study.document!r}; {hint}")
        about(folder(study.document))
        for question in read(folder(study.document)).questions:
            experiment = question.experiment
            if experiment is not None and experiment not in study.experiments:
                raise ConfigError(
                    f"{place}: the chapter of {study.document} asks about the experiment {experiment!r}, which the "
                    "study does not have; define it, or leave `document` out"
                )


def check_claims(config: spec.Config) -> None:
    """Refuse claims of one's own that share an id, or ask about an experiment that their study does not have."""
    for name in config.asked:
        study = config.definitions[name]
        seen: set[str] = set()
        for at, claim in enumerate(study.claims):
            place = f"definitions.{name}.claims.{at}"
            if claim.id in seen:
                raise ConfigError(f"{place}.id: {claim.id!r} stands there twice; give each claim its own")
            seen.add(claim.id)
            for statement in (*claim.all, *claim.artefact):
                experiment = statement.parameters.get("experiment", "")
                if experiment not in (study.experiments or [""]) and "experiment" in statement.parameters:
                    hint = spec.near(str(experiment), list(study.experiments)) if study.experiments else "leave it out"
                    raise ConfigError(f"{place}: the study has no experiment {experiment!r}; {hint}")
