"""The description of a bundle for machines: an RO-Crate (https://w3id.org/ro/crate), one entity per file."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weight_atlas.store import sha256

NAME = "ro-crate-metadata.json"
MANIFEST = "MANIFEST.sha256"
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
}
LICENCE = (
    "The licence of the workflow that made these results, not one for the results themselves; "
    "data sets and published weights have their own licences."
)


def media_type(name: str) -> str:
    """The media type of a file by its name; text/plain for other kinds of text."""
    return TYPES.get(name[name.rfind(".") :], "text/plain")


def describe(folder: Path, names: Iterable[str], about: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The RO-Crate of the files `names` (relative to `folder`) as JSON text: the same bytes for the same files.

    about: what `weight_atlas.export.bundle.provenance` returns; titles: {name of a file: what it shows}. The manifest
    is named without its hash, since it contains that of this description.
    """
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    for name in sorted([*names, MANIFEST]):
        properties = {"name": titles.get(name, name), "encodingFormat": media_type(name)}
        if name != MANIFEST:
            path = folder / name
            properties |= {"contentSize": str(path.stat().st_size), "sha256": sha256(path)}
        crate.add_file(dest_path=name, properties=properties)
    crate.dereference("LICENSE")["description"] = LICENCE
    software, root = about["workflow"], crate.root_dataset
    tool = {"@type": "SoftwareApplication", "name": software["title"], "softwareVersion": software["version"]}
    run = {"@type": "CreateAction", "name": "Running the workflow", "instrument": {"@id": "#workflow"}}
    crate.add(ContextEntity(crate, "#workflow", tool | {"version": software["commit"]}))
    crate.add(ContextEntity(crate, "#run", run | {"result": {"@id": "./"}}))
    root["name"], root["description"], root["datePublished"] = about["title"], about["description"], about["date"]
    root["license"], root["mainEntity"], root["mentions"] = {"@id": "LICENSE"}, {"@id": "report.html"}, {"@id": "#run"}
    return json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
