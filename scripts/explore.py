"""Write the explorer of one config: a page on which a reader chooses what of the summary tables is drawn.

    python scripts/explore.py --cells results/tour/cells.csv --tables results/tour/tables \
        --config results/tour/config.json --templates report --output results/tour/explorer.html
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from weight_atlas.reporting.pages import explorer


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page; an error ends in one line and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=Path, required=True, help="cells.csv: what the config asks for")
    parser.add_argument("--tables", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--config", type=Path, required=True, help="the resolved config")
    parser.add_argument("--templates", type=Path, required=True, help="the folder with explorer.html.j2")
    parser.add_argument("--output", type=Path, required=True, help="where explorer.html goes")
    options = parser.parse_args(arguments)
    try:
        explorer.write(**vars(options))
    except ValueError as error:
        sys.exit(f"explore.py: {error}")


if __name__ == "__main__":
    main()
