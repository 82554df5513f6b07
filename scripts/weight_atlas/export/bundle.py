"""One archive of the results of a config, to pass on: report, tables, figures, config, versions and hashes, a card of
each trained network, and on request their weights.

The same results give the same bytes: names are sorted, and no time of day and no path of the machine enters.
"""

import base64
import hashlib
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from markupsafe import escape

from weight_atlas import schema
from weight_atlas.export import active, cards, latex, networks, redact, ro_crate
from weight_atlas.export.result import Result
from weight_atlas.plan import spec
from weight_atlas.plan.pages import pages
from weight_atlas.reporting.pages import document, markdown, render
from weight_atlas.schema import dictionary
from weight_atlas.store import atomic_write, read_json, sha256, write_json

ROOT = Path(__file__).resolve().parents[3]
ABOUT = ("CITATION.cff", "LICENSE", "requirements.txt")  # of the workflow's own folder
OWN = (*ABOUT, *document.FILES, active.SNAKEFILE, "config.json", "config.yaml")  # what the run did not make
AT_ONCE = 2**20  # bytes
AGAIN = "remove the run.json of its block and run the workflow again, which trains it again"
CARD_KEYS = ("dataset_id", "title", "source", "fingerprint", "sha256")  # what the provenance says of a data set
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the time that every file of the archive has: the first that a zip can say


def write(
    results: Path,
    output: Path,
    commit: str,
    snakemake: str,
    weights: str = "none",
    say: Callable[[str], object] = lambda line: None,
) -> None:
    """Bundle a folder of results into a zip file.

    Parameters
    ----------
    results : results/<name>
    output : the zip file
    commit : of the workflow, as `weight_atlas.export.commit.describe` gives it
    snakemake : its version
    weights : which snapshots of the networks go along: none, last, best or all
    say : is given a line on the weights before they are copied

    Raises
    ------
    ValueError
        In one line, where something is missing that belongs into the bundle, or where weights are not as recorded.
    """
    result = Result(results)
    listed = networks.snapshots(result, weights)
    carried = networks.to_carry(listed) if weights != "none" else {}
    if carried:
        size = networks.size_of(carried.values()) / 1e6
        say(f"weights ({weights}): {len(listed)} snapshots, {len(carried)} files, {size:.1f} MB")
    with tempfile.TemporaryDirectory(prefix="bundle-") as temporary:
        folder = Path(temporary)
        titles, sources = _exhibits(result, folder)
        _tables(result, folder)
        _report(result, folder)
        _networks(result, folder, listed, weights, f"{result.config['name']}.zip")
        package = _dictionary(result, folder, titles, sources)
        _text(folder / dictionary.NAME, json.dumps(package, indent=1, ensure_ascii=False) + "\n")
        data = _sums({name: result.root / name for name in _data(result)})
        about = provenance(result, commit, snakemake) | {"inputs": data}
        _text(folder / "provenance.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        _text(folder / "data.sha256", _lines(data))
        _text(folder / "weights.sha256", _lines(_last_snapshots(result, carried)))
        redact.redact(folder, result)
        digests = {name: one.digests[name] for one in listed for name in one.files if name in carried}
        described = {name: ro_crate.Part(path.stat().st_size, digests[name]) for name, path in carried.items()}
        described |= {name: ro_crate.Part.of(folder / name) for name in _names(folder)}
        _text(folder / ro_crate.NAME, ro_crate.describe(folder, described, about, titles, OWN))
        sums = {name: one.sha256 for name, one in described.items()}
        sums[ro_crate.NAME] = sha256(folder / ro_crate.NAME)
        _text(folder / ro_crate.MANIFEST, _lines(sums))
        with atomic_write(output) as part:
            _zip({name: folder / name for name in _names(folder)} | carried, digests, part)


# --------------------------------------------------------------------------------------------- what is in it


def _report(result: Result, folder: Path) -> None:
    """The pages, their sources and the files that they are rendered from, the config in full, and the workflow's own
    files.

    A page with scripts that are not this version's is rendered again by Pandoc.
    """
    names = pages(result.config["asked"], result.config["page"])
    for name in (f"{page}.{kind}" for page in names for kind in ("html", "qmd")):
        _copy(result.folder / "report" / name, folder / name)
    for name in document.FILES:
        _copy(ROOT / "report" / name, folder / name)
    for name in ABOUT:
        _copy(ROOT / name, folder / name)
    _copy(ROOT / "Snakefile", folder / active.SNAKEFILE)
    if "folders" in result.config:  # of where it ran; a bundle has its own
        write_json(folder / "config.json", {key: value for key, value in result.config.items() if key != "folders"})
    else:
        _copy(result.folder / "config.json", folder / "config.json")
    keys = {key: result.config[key] for key in spec.Config.model_fields if key in result.config}
    keys = {key: value for key, value in keys.items() if key not in (*spec.PASSING, "pathvars")}
    _text(folder / "config.yaml", yaml.safe_dump(keys, sort_keys=False, allow_unicode=True))
    for page in names:
        if active.problem(f"{page}.html", (folder / f"{page}.html").read_bytes()):
            render.by_pandoc(folder, page)


def _tables(result: Result, folder: Path) -> None:
    """All tables, the two that the report's source links to, and the cards of the data sets."""
    for path in sorted((result.folder / "tables").glob("*.csv")):
        _copy(path, folder / "tables" / path.name)
    _copy(result.folder / "cells.csv", folder / "cells.csv")
    _copy(result.folder / "tables/runs.csv", folder / "runs.csv")
    for card in result.cards:
        _copy(result.path(card), folder / "data" / Path(card).name)


def _networks(result: Result, folder: Path, listed: Sequence[networks.Snapshot], weights: str, bundle: str) -> None:
    """The index of the trained networks and their cards; where weights go along, what loads these."""
    networks.write_index(result, listed, weights != "none", folder / networks.INDEX)
    _text(folder / networks.PAGE, networks.page(result, listed, weights != "none", bundle))
    means = networks.accuracy(result)
    for cell_id, own in networks.by_cell(listed).items():
        _text(folder / networks.card_name(cell_id), cards.card(result, cell_id, own, means.get(cell_id), bundle))
    if weights != "none":
        networks.write_records(result, listed, folder)


def _dictionary(
    result: Result, folder: Path, titles: dict[str, str], sources: dict[str, dict[str, list[str]]]
) -> dict[str, Any]:
    """The data package of all tables, and of the numbers of all exhibits."""
    resources = []
    for name in (name for name in _names(folder) if name.endswith(".csv")):
        header = schema.columns(folder / name)
        if name in titles:
            resources.append(dictionary.figure(name, titles[name], header, sources[name]))
        else:
            table = f"bundle/{Path(name).stem}" if name == networks.INDEX else Path(name).stem
            resources.append(dictionary.resource(schema.TABLES[table], name, header))
    return dictionary.package(result.config["name"], resources)


class Exhibits(NamedTuple):
    """The titles of the exhibits by the names of their files, and the sources of their CSV files by these."""

    titles: dict[str, str]
    sources: dict[str, dict[str, list[str]]]


def _exhibits(result: Result, folder: Path) -> Exhibits:
    """Write every figure as SVG, PNG and CSV, and every table as CSV and LaTeX.

    The files have the names that the report's source has for them.
    """
    titles: dict[str, str] = {}
    sources: dict[str, dict[str, list[str]]] = {}
    for name, chapter in markdown.slugs(["data", *result.config["asked"]]).items():
        source = result.folder / "figures" / name
        for exhibit in read_json(source / "exhibits.json")["exhibits"]:
            stem = f"figures/{chapter}/{markdown.slug(exhibit['name'])}"
            _copy(source / exhibit["csv"], folder / f"{stem}.csv")
            if exhibit["kind"] == "table":
                label = f"tbl-{chapter}-{markdown.slug(exhibit['name'])}"
                text = latex.longtable(folder / f"{stem}.csv", exhibit["columns"], exhibit["caption"], label)
                _text(folder / f"{stem}.tex", text)
            else:
                _figure(source / exhibit["file"], result.folder / "pictures", exhibit, folder / stem)
            titles |= {f"{stem}{suffix}": exhibit["title"] for suffix in (".csv", ".tex", ".svg", ".png")}
            sources[f"{stem}.csv"] = exhibit["source"]
        if (source / "claims.json").exists():
            _copy(source / "claims.json", folder / "figures" / chapter / "claims.json")
    return Exhibits(titles, sources)


def _figure(path: Path, pngs: Path, exhibit: Mapping[str, Any], stem: Path) -> None:
    """A figure as SVG and PNG: the page's file, and beside an SVG its PNG of the folder `pngs`, beside a PNG an SVG."""
    _copy(path, stem.with_name(stem.name + path.suffix))
    if path.suffix == ".svg":
        _copy(pngs / path.parent.name / f"{path.stem}.png", stem.with_name(f"{stem.name}.png"))
    else:
        _text(stem.with_name(f"{stem.name}.svg"), _svg_of_png(path.read_bytes(), exhibit["alt"]))


def _svg_of_png(png: bytes, alt: str) -> str:
    """A PNG (two pixels for each of the page's) as SVG text: the image embedded in a frame of its size."""
    width, height = (int.from_bytes(png[at : at + 4], "big") / 2 for at in (16, 20))  # https://www.w3.org/TR/png-3/
    size = f'width="{width:g}" height="{height:g}"'
    data = base64.b64encode(png).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:g} {height:g}">\n'
        f'<title>{escape(alt)}</title>\n<image {size} href="data:image/png;base64,{data}"/>\n</svg>\n'
    )


# -------------------------------------------------------------------------------------------- where it is from


def provenance(result: Result, commit: str, snakemake: str) -> dict[str, Any]:
    """Where the results come from: workflow, versions, devices, data sets; and how the replicates ended."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    _, head, _ = (result.folder / "report/report.qmd").read_text(encoding="utf-8").split("---\n", 2)
    runs = [read_json(path / "run.json") for path in _blocks(result) if (path / "run.json").exists()]
    records = [record for run in runs for record in run["replicates"]]
    machines = [record["machine"] for record in records]
    kinds = sorted({kind for one in machines for kind in one["versions"]})
    versions = {kind: sorted({one["versions"][kind] for one in machines if kind in one["versions"]}) for kind in kinds}
    cards = [read_json(result.path(name)) for name in result.cards]
    replicates = [(cell_id, seed) for cell_id, cell in result.cells.items() for seed in cell["seeds"]]
    return {
        "name": result.config["name"],
        "title": result.config["title"],
        "description": result.config["text"] or f"What the config {result.config['name']} asked for.",
        "date": str(yaml.safe_load(head)["date"]),
        "workflow": {"title": citation["title"], "version": str(citation["version"]), "commit": commit},
        "versions": versions | {"snakemake": snakemake},
        "renderer": render.generator(result.folder / "report/report.html").removeprefix("rendered by "),
        "time": _time(records),
        "code": sorted({record["recipe"].get("code") or "" for record in records} - {""}),
        "devices": sorted({f"{one['device']}: {one['device_name']}" for one in machines if one["device"]}),
        "data": [{key: card[key] for key in CARD_KEYS} for card in cards],
        "replicates": dict(sorted(Counter(result.status(*replicate) for replicate in replicates).items())),
    }


def _time(replicates: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """When the first replicate began and the last one ended, in UTC, as far as the records say."""
    began = [(record["started"], record.get("wall_seconds") or 0) for record in replicates if record.get("started")]
    if not began:
        return {}
    ends = [datetime.fromisoformat(start) + timedelta(seconds=round(took)) for start, took in began]
    return {"start": min(began)[0], "end": max(ends).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _blocks(result: Result) -> list[Path]:
    """The folders of all blocks."""
    return [result.path(block) for cell in result.cells.values() for block in cell["blocks"]]


def _data(result: Result) -> list[str]:
    """The prepared data sets and weights, by their names below the folder that the workflow ran in."""
    datasets = {str(Path(card).with_suffix(".safetensors")) for card in result.cards}
    starts = (cell["cell"].start.weights_id for cell in result.cells.values())
    return sorted(datasets | {f"data/weights/{weights_id}.safetensors" for weights_id in starts if weights_id})


def _last_snapshots(result: Result, carried: Mapping[str, Path]) -> dict[str, str]:
    """{name: SHA-256} of the files of the last snapshot of each replicate that is done or diverged.

    carried: those that are compared with their records when they are copied; the others are here.
    """
    found: dict[str, str] = {}
    for one in networks.snapshots(result, "last"):
        result.check(one.cell_id, one.seed, [path for name, path in one.files.items() if name not in carried])
        found |= one.digests
    return found


# ----------------------------------------------------------------------------------------------------- files


def _lines(digests: Mapping[str, str]) -> str:
    """The lines that `sha256sum -c` reads, of {name: SHA-256}."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def _sums(files: Mapping[str, Path]) -> dict[str, str]:
    """{name: SHA-256} of {name: path}, sorted."""
    try:
        return {name: sha256(files[name]) for name in sorted(files)}
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename}: is missing; make it again with snakemake --cores all") from None


def _names(folder: Path) -> list[str]:
    """The files below a folder, by their names relative to it, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _copy(source: Path, target: Path) -> None:
    document.bring(source, target, "; make it again with snakemake bundle")


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _zip(files: Mapping[str, Path], digests: Mapping[str, str], path: Path) -> None:
    """Write files as a zip by their names; digests: the SHA-256 that some must have, which are weights, and stay as
    they are, since compressing them saves little."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever this runs
            entry.compress_type = zipfile.ZIP_STORED if name in digests else zipfile.ZIP_DEFLATED
            entry.file_size = files[name].stat().st_size
            sha = hashlib.sha256()
            with open(files[name], "rb") as file, archive.open(entry, "w") as member:
                while piece := file.read(AT_ONCE):
                    sha.update(piece)
                    member.write(piece)
            if digests.get(name, sha.hexdigest()) != sha.hexdigest():
                raise ValueError(f"{files[name]} was altered: its SHA-256 is not the recorded one; {AGAIN}")
