"""Compare two folders of results, A and B: of two machines, versions or configs, or an unpacked bundle.

    python scripts/compare.py results/tour OTHER/results/tour

The cells of each are beside it, in ../cells; an unpacked bundle is compared by the hashes that it lists.
"""

import signal

if __name__ == "__main__":  # before more is imported: Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from weight_atlas.export import compare_page


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and its tables, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path, help="results/<name>, or an unpacked bundle")
    parser.add_argument("b", type=Path, help="the other one")
    parser.add_argument("--output", type=Path, help="the folder to write to (by default A/compare)")
    options = parser.parse_args(arguments)
    try:
        print(compare_page.write(options.a, options.b, options.output or options.a / "compare"))
    except ValueError as error:
        sys.exit(f"compare.py: {error}")


if __name__ == "__main__":
    main()
