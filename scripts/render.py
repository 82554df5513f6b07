"""Write a page of the report of one config: report.html or another, with its source beside it; or all as .pdf or .docx.

    python scripts/render.py --cells results/tour/cells.csv --tables results/tour/tables \
        --figures results/tour/figures --cards data/*.json --config results/tour/config.json \
        --templates report --output results/tour/report/report.html

Quarto renders pages where `quarto` is on PATH, otherwise Pandoc with the filter in the templates' folder. A PDF is
made by Pandoc and Typst, a .docx by Pandoc.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from weight_atlas.reporting.pages import paper, render


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report; an error ends in one line and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=Path, required=True, help="cells.csv: what the config asks for")
    parser.add_argument("--tables", type=Path, required=True, help="the folder of the tables (runs.csv and others)")
    parser.add_argument(
        "--figures", type=Path, required=True, help="the folder of the exhibits, one folder per chapter"
    )
    parser.add_argument("--cards", type=Path, nargs="*", required=True, help="the data sets' cards")
    parser.add_argument("--config", type=Path, required=True, help="the resolved config")
    parser.add_argument("--code", help="SHA-256 of the training code of today, where results of others are adopted")
    parser.add_argument("--templates", type=Path, required=True, help="the folder with report.qmd.j2")
    parser.add_argument("--output", type=Path, required=True, help="where report.html, .pdf or .docx goes")
    options = vars(parser.parse_args(arguments))
    write = render.report if options["output"].suffix == ".html" else paper.paper
    try:
        write(**options)
    except ValueError as error:
        sys.exit(f"render.py: {error}")
    print(f"{options['output']}: {render.generator(options['output'])}")


if __name__ == "__main__":
    main()
