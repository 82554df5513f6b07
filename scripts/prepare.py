"""Prepare a data set (tensor file and card) or a file of weights, or download. See `prepare.py dataset --help`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from weight_atlas import store
from weight_atlas.datasets import fetch, files, seen
from weight_atlas.plan import recipe


def parser() -> argparse.ArgumentParser:
    """The parser of the command line, with the commands `dataset`, `weights` and `fetch`."""
    result = argparse.ArgumentParser(description=__doc__)
    commands = result.add_subparsers(dest="command", required=True)
    dataset = commands.add_parser("dataset", help="read images into one tensor file, and write its card")
    dataset.add_argument("--dataset-id", required=True, help="the name that the card carries")
    dataset.add_argument("--card", required=True, help="the JSON card to write")
    dataset.add_argument("--seen", type=Path, help="the file that remembers the sizes and times of the images")
    weights = commands.add_parser("weights", help="check a file of weights and convert it to safetensors")
    download = commands.add_parser("fetch", help="download what a data set is made from, where it is missing")
    for command in (dataset, weights, download):
        command.add_argument("--spec", required=True, type=json.loads, metavar="JSON", help="what to prepare")
        command.add_argument("--data-root", default=None, help="the folder that sources are looked for in")
    for command in (dataset, weights):
        command.add_argument("--output", required=True, help="the safetensors file to write")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 1 after one line on stderr that says what to do."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "fetch":
            fetch(options.spec, options.data_root)
        elif options.command == "dataset":
            from weight_atlas.datasets.prepare import prepare_dataset

            mark = seen.mark(files(options.spec, options.data_root))
            facts = prepare_dataset(options.spec, options.dataset_id, options.data_root, options.output)
            made_from = recipe.dataset(options.spec, facts["fingerprint"])
            store.write_json(options.card, facts | {"recipe": made_from})
            if options.seen:
                seen.remember(options.seen, mark, facts["fingerprint"])
            for warning in facts["warnings"]:
                print(f"warning: {options.dataset_id}: {warning}")
        else:
            from weight_atlas.datasets.weights import prepare_weights

            made_from = recipe.weights(options.spec)
            prepare_weights(options.spec, options.data_root, options.output, made_from)
    except ValueError as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
