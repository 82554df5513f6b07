"""Bundle a folder of results into one archive to pass on, or check such an archive.

    python scripts/bundle.py --results results/tour --output results/tour/tour.zip [--weights last]
    python scripts/bundle.py --check results/tour/tour.zip

The first needs what `snakemake bundle` makes before it: the report, and its figures as PNG.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from weight_atlas.export import check, commit
from weight_atlas.vocabulary import Weights

say = partial(print, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write or check a bundle; an error ends in one line and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--results", type=Path, help="results/<name>, of a finished run")
    action.add_argument("--check", type=Path, metavar="FILE.zip", help="say whether a bundle is whole")
    parser.add_argument("--output", type=Path, help="the archive to write")
    parser.add_argument("--commit", help="the version of the workflow (by default what git says)")
    parser.add_argument("--snakemake", default="unknown", help="the version of Snakemake that ran it")
    parser.add_argument(
        "--weights", choices=get_args(Weights), default="none", help="which snapshots of the networks go along"
    )
    options = parser.parse_args(arguments)
    if options.check:
        sys.exit(verify(options.check))
    if options.output is None:
        parser.error("--results needs --output")

    from weight_atlas.export import bundle

    version = options.commit or commit.describe(bundle.ROOT)
    try:
        bundle.write(options.results, options.output, version, options.snakemake, options.weights, say)
    except ValueError as error:
        sys.exit(f"bundle.py: {error}")
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {size:.1f} MB; python scripts/bundle.py --check {options.output} verifies it")


def verify(path: Path) -> str | None:
    """Print that the bundle is whole, or return what is wrong with it as one line."""
    try:
        problem = check.first_problem(path)
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); give an existing bundle"
    if problem:
        return f"{path}: {problem}; get it again from its source"
    print(f"{path}: ok")
    return None


if __name__ == "__main__":
    main()
