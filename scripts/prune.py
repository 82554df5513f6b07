"""Print what is in results/ and data/ that no config asks for any more; with `prune: remove`, remove it.

python scripts/prune.py --config JSON --command "snakemake prune --cores all --config prune=remove"
"""

import argparse
import json
import sys

from weight_atlas.plan import checks, study, unwanted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    parser.add_argument("--command", required=True, help="what a user types to remove it")
    args = parser.parse_args()
    try:
        plan = study.Plan(args.config)
        print(unwanted.table(plan, plan.config.prune == "remove", args.command))
    except checks.ConfigError as problem:
        sys.exit(f"config: {problem}")
    except (ValueError, OSError) as error:
        sys.exit(f"prune: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
