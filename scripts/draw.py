"""Draw the exhibits of a chapter (a study, or the data) from result tables: figures, their CSVs, and exhibits.json.

    draw.py study --study dynamics --cells results/tour/cells.csv --tables results/tour/tables \
        --measures results/tour/measures --config results/tour/config.json --document report/documents/dynamics \
        --cards data/*.json --output results/tour/figures/dynamics
    draw.py data --cards data/digits.json --data data/digits.safetensors --output results/tour/figures/data
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weight_atlas import faults, store
from weight_atlas.plan import chapters, stated
from weight_atlas.reporting import sections, telling
from weight_atlas.reporting.claims import pictures, verdicts
from weight_atlas.reporting.claims.evidence import EVIDENCE
from weight_atlas.reporting.exhibits import data
from weight_atlas.reporting.grammar import exhibit

DECIDED = (verdicts.Verdict.REPRODUCED, verdicts.Verdict.CONTRADICTED, verdicts.Verdict.ARTEFACT)


def draw_study(options: argparse.Namespace) -> None:
    """Write the exhibits of the study that the options name, and claims.json with the verdicts on what its document
    claims; or only PNGs of those figures that are SVGs."""
    results = {key: getattr(options, key) for key in ("cells", "config", "tables", "measures")}
    try:
        tables = telling.open_study(options.study, results, options.document, options.cards, options.references)
        ledger = verdicts.ledger(options.document / "claims.yaml") if options.document else []
        ledger += verdicts.own(options.config, options.study)
        if options.document:
            chapter = sections.completed(chapters.read(options.document), tables)
        else:
            chapter = sections.chapter(tables)
    except ValueError as error:
        sys.exit(f"draw.py: {error}")
    told = telling.tell(chapter, tables)
    if options.form == "png":
        exhibit.write_png(options.output, told.exhibits, tables.faults)
        return
    claims = verdicts.judge(ledger, EVIDENCE, tables, stated.read(options.stated))
    draw_claims(claims, Path(options.output), tables.faults)
    about = chapters.about(options.document) if options.document else None
    said: dict[str, Any] = {"questions": told.questions, "closing": told.closing, "facts": told.facts}
    said |= {"document": about.model_dump() if about else None}
    exhibit.write(options.output, told.exhibits, {"chapter": options.study} | said, tables.faults)


def draw_claims(claims: list[dict[str, Any]], folder: Path, found: list[faults.Fault]) -> None:
    """Write claims.json, and a small figure for each claim that was decided by its numbers, in its scope or outside."""
    for claim in claims:
        claim["figure"] = None
        with faults.spared(found, f"the figure of claim {claim['id']}"):
            made = pictures.picture(claim) if claim["seen"] in DECIDED else None
            if made is not None and made.figure is not None:
                with store.atomic_write(folder / f"{made.name}.svg") as path:
                    path.write_bytes(exhibit.picture(made, made.figure))
                claim["figure"] = {"file": f"{made.name}.svg", "alt": made.alt}
    store.write_json(folder / "claims.json", claims)


def draw_data(options: argparse.Namespace) -> None:
    """Write the exhibits of the data sets that the options name."""
    try:
        cards = data.cards(options.cards, store.read_json(options.config).get("titles", {}) if options.config else {})
        found: list[faults.Fault] = []
        exhibits = data.exhibits(cards, options.data, found)
    except ValueError as error:
        sys.exit(f"draw.py: {error}")
    exhibit.write(options.output, exhibits, {"chapter": "data", "facts": data.facts(cards)}, found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and draw; input that does not fit ends in one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chapters = parser.add_subparsers(required=True, metavar="study|data")
    study_parser = chapters.add_parser("study", help="the exhibits of one study")
    study_parser.add_argument("--study", required=True, help="the study's name in cells.csv")
    study_parser.add_argument("--cells", required=True, help="cells.csv")
    study_parser.add_argument("--tables", required=True, help="directory of the merged tables")
    study_parser.add_argument("--measures", required=True, help="directory with <group>/features.safetensors")
    study_parser.add_argument("--config", required=True, help="config.json, for what its experiments ask")
    study_parser.add_argument("--document", type=Path, help="the folder of the document that it reports, if it does")
    study_parser.add_argument("--stated", type=Path, help="since when its own claims are known, results/NAME/stated/..")
    study_parser.add_argument("--references", nargs="*", default=[], help="files of published curves beside its own")
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
