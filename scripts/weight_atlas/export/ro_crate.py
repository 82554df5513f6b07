"""The description of a bundle for machines: a Workflow Run Crate (https://w3id.org/ro/wfrun/workflow/0.6), which is an
RO-Crate (https://w3id.org/ro/crate/1.3), one entity per file."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas.export.active import SNAKEFILE
from weight_atlas.store import sha256

NAME = "ro-crate-metadata.json"
MANIFEST = "MANIFEST.sha256"
RUN = "#run"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {  # {permalink without the version: (name, version)}
    "https://w3id.org/ro/wfrun/process": ("Process Run Crate", "0.6"),
    "https://w3id.org/ro/wfrun/workflow": ("Workflow Run Crate", "0.6"),
    "https://w3id.org/workflowhub/workflow-ro-crate": ("Workflow RO-Crate", "1.1"),
}
TYPES = {
    ".html": "text/html",
    ".qmd": "text/markdown",
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".tex": "application/x-tex",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".cff": "application/yaml",
    ".sha256": "text/plain",
    ".txt": "text/plain",
    ".css": "text/css",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".safetensors": "application/octet-stream",
}
LICENCE = (
    "The licence of the workflow that made these results, not one for the results themselves; "
    "data sets and published weights have their own licences."
)


def media_type(name: str) -> str:
    """The media type of a file by its name; text/plain for other kinds of text."""
    return TYPES.get(name[name.rfind(".") :], "text/plain")


class Part(NamedTuple):
    """A file of a bundle: its size in bytes and its SHA-256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Part":
        """Those of a file."""
        return cls(path.stat().st_size, sha256(path))


def describe(
    folder: Path,
    parts: Mapping[str, Part],
    about: Mapping[str, Any],
    titles: Mapping[str, str],
    own: Collection[str] = (),
) -> str:
    """The RO-Crate of the files of a bundle as JSON text: the same bytes for the same files.

    It follows Workflow Run Crate 0.6 (PROFILES): the workflow is the main entity, and its run an action with what it
    read and what it made.

    Parameters
    ----------
    folder : where the files are that are no weights
    parts : all files by their names
    about : what `weight_atlas.export.bundle.provenance` returns, and as `inputs` {name: SHA-256} of data and weights
    titles : {name of a file: what it shows}
    own : names of files that the run did not make

    The manifest is named without its hash, since it contains that of this description.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    _add_workflow(crate, folder, about)
    for name in sorted([*parts, MANIFEST]):
        properties = {"name": titles.get(name, name), "encodingFormat": media_type(name)}
        if name in parts:
            properties |= {"contentSize": str(parts[name].size), "sha256": parts[name].sha256}
        if name == SNAKEFILE:
            crate.dereference(name).properties().update(properties | {"name": about["workflow"]["title"]})
        else:
            crate.add_file(dest_path=name, properties=properties)
    crate.dereference("LICENSE")["description"] = LICENCE
    crate.dereference("report.html")["about"] = {"@id": RUN}
    root = crate.root_dataset
    root["name"], root["description"], root["datePublished"] = about["title"], about["description"], about["date"]
    root["license"], root["mentions"] = {"@id": "LICENSE"}, {"@id": RUN}
    _add_run(crate, [name for name in sorted(parts) if name not in own], about)
    return json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _add_workflow(crate: Any, folder: Path, about: Mapping[str, Any]) -> None:
    """The main workflow, its language, what it needs, and the profiles that the crate follows."""
    from rocrate.model import ContextEntity

    crate.metadata.extra_contexts.append(TERMS)
    versions = about["versions"]
    workflow = crate.add_workflow(
        folder / SNAKEFILE, SNAKEFILE, main=True, lang="snakemake", lang_version=versions["snakemake"]
    )
    software = about["workflow"]
    workflow["version"], workflow["identifier"] = software["version"], software["commit"]
    needed = []
    for name in sorted(versions):
        found = versions[name]
        own = {"@type": "SoftwareApplication", "name": name}
        own["softwareVersion"] = found if isinstance(found, str) else ", ".join(found)
        needed.append(crate.add(ContextEntity(crate, f"#{name}", own)))
    if about["renderer"] != "written":
        own = {"@type": "SoftwareApplication", "name": about["renderer"], "description": "It rendered the report."}
        needed.append(crate.add(ContextEntity(crate, "#renderer", own)))
    workflow["softwareRequirements"] = needed
    crate.root_dataset["conformsTo"] = [{"@id": f"{base}/{version}"} for base, (_, version) in PROFILES.items()]
    for base, (name, version) in PROFILES.items():
        properties = {"@type": ["CreativeWork", "Profile"], "name": name, "version": version}
        crate.add(ContextEntity(crate, f"{base}/{version}", properties))


def _add_run(crate: Any, made: Sequence[str], about: Mapping[str, Any]) -> None:
    """The run: the config, the data sets and published weights that it read, and the files that it made."""
    from rocrate.model import ContextEntity

    read = [{"@id": name} for name in ("config.yaml", "requirements.txt")]
    for name, digest in about["inputs"].items():
        properties = {"@type": "CreativeWork", "name": name, "sha256": digest}
        properties["description"] = "Read by the run, and not in this archive."
        read.append({"@id": crate.add(ContextEntity(crate, f"#{name}", properties)).id})
    run: dict[str, Any] = {
        "@type": "CreateAction",
        "name": "Running the workflow",
        "description": f"Devices: {'; '.join(about['devices']) or 'not recorded'}.",
        "instrument": {"@id": SNAKEFILE},
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "object": read,
        "result": [{"@id": name} for name in made],
    }
    times = {"startTime": about["time"]["start"], "endTime": about["time"]["end"]} if about["time"] else {}
    crate.add(ContextEntity(crate, RUN, run | times))
