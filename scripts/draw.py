"""Draw the exhibits of a chapter (a study, or the data) from result tables: figures, their CSVs, and exhibits.json.

    draw.py study --study dynamics --cells results/tour/cells.csv --tables results/tour/tables \
        --measures results/tour/measures --claims report/claims.yaml --documents report/documents.yaml \
        --cards data/*.json --output results/tour/figures/dynamics
    draw.py data --cards data/digits.json --data data/digits.safetensors --output results/tour/figures/data
"""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import yaml

from weight_atlas import faults, store
from weight_atlas.reporting.chapters import data, study
from weight_atlas.reporting.claims import claims
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.tables import Tables


def chapter_module(name: str) -> ModuleType:
    """The module weight_atlas.reporting.chapters.<name> where it exists and reports a study (has PARTS),
    weight_atlas.reporting.chapters.study otherwise."""
    file = name.replace("-", "_")
    if not file.isidentifier() or importlib.util.find_spec(f"weight_atlas.reporting.chapters.{file}") is None:
        return study
    module = importlib.import_module(f"weight_atlas.reporting.chapters.{file}")
    return module if hasattr(module, "PARTS") else study


def draw_study(options: argparse.Namespace) -> None:
    """Write the exhibits of the study that the options name, and claims.json where there is a ledger of claims; or only
    PNGs of those figures that are SVGs."""
    try:
        tables = Tables(options.study, options.cells, options.tables, options.measures)
        ledger = claims.ledger(options.claims, options.chapter or options.study) if options.claims else []
    except ValueError as error:
        sys.exit(f"draw.py: {error}")
    tables.cards = {card["dataset_id"]: card for card in map(store.read_json, options.cards)}
    if options.documents:
        tables.document = yaml.safe_load(Path(options.documents).read_text(encoding="utf-8")).get(
            options.chapter or options.study, {}
        )
    module = chapter_module(options.chapter or options.study)
    exhibits = module.exhibits(tables)
    if options.form == "png":
        exhibit.write_png(options.output, exhibits, tables.faults)
        return
    title = getattr(module, "TITLE", options.study[:1].upper() + options.study[1:])
    judged = claims.judge(ledger, getattr(module, "CLAIMS", {}), tables)
    store.write_json(Path(options.output) / "claims.json", judged)
    found: dict[str, object] = {"left_out": tables.left_out}
    with faults.spared(tables.faults, "the chapter's sentences"):
        found = module.facts(tables)
    exhibit.write(options.output, options.study, title, exhibits, found, tables.faults)


def draw_data(options: argparse.Namespace) -> None:
    """Write the exhibits of the data sets that the options name."""
    try:
        cards = data.cards(options.cards, store.read_json(options.config).get("titles", {}) if options.config else {})
        found: list[faults.Fault] = []
        exhibits = data.exhibits(cards, options.data, found)
    except ValueError as error:
        sys.exit(f"draw.py: {error}")
    exhibit.write(options.output, "data", data.TITLE, exhibits, data.facts(cards), found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and draw; input that does not fit ends in one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chapters = parser.add_subparsers(required=True, metavar="study|data")
    study_parser = chapters.add_parser("study", help="the exhibits of one study")
    study_parser.add_argument("--study", required=True, help="the study's name in cells.csv")
    study_parser.add_argument("--chapter", help="the chapter that reports it (default: that of the study's name)")
    study_parser.add_argument("--cells", required=True, help="cells.csv")
    study_parser.add_argument("--tables", required=True, help="directory of the merged tables")
    study_parser.add_argument("--measures", required=True, help="directory with <group>/features.safetensors")
    study_parser.add_argument("--claims", help="the ledger of the documents' claims, for those of the study")
    study_parser.add_argument("--documents", help="what the documents report, for what the study's reports")
    study_parser.add_argument("--cards", nargs="*", default=[], help="data/<dataset_id>.json, for the scopes of claims")
    study_parser.add_argument(
        "--form", choices=["page", "png"], default="page", help="for the page, or only PNGs of the SVGs"
    )
    study_parser.add_argument("--output", required=True, help="directory to write to")
    study_parser.set_defaults(run=draw_study)
    data_parser = chapters.add_parser("data", help="images and counts of the data sets")
    data_parser.add_argument("--cards", required=True, nargs="*", help="data/<dataset_id>.json")
    data_parser.add_argument(
        "--data", required=True, nargs="*", help="data/<dataset_id>.safetensors, in the same order"
    )
    data_parser.add_argument("--config", help="config.json, for the titles of the data sets")
    data_parser.add_argument("--output", required=True, help="directory to write to")
    data_parser.set_defaults(run=draw_data)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
