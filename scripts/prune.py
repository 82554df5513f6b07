"""Print what is in results/ and data/ that no config asks for any more; with `prune: remove`, remove it.

python scripts/prune.py --config JSON --command "snakemake prune --cores all --config prune=remove"
"""

import argparse
import json
import sys
from functools import partial

from weight_atlas.plan import commands, unwanted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    parser.add_argument("--command", required=True, help="what a user types to remove it")
    args = parser.parse_args()
    plan = commands.plan_or_exit(args.config)
    try:
        failed = unwanted.table(plan, plan.config.prune == "remove", args.command, partial(print, end="", flush=True))
    except (ValueError, OSError) as error:
        sys.exit(f"prune: {error}")
    except KeyboardInterrupt:
        sys.exit("\nprune: stopped; of the last line something may be left, the same command goes on")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
