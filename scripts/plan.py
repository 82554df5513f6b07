"""Print what a config would train, how long it would take and how much disk it needs; with --smoke, try it.

python scripts/plan.py --config JSON
"""

import argparse
import json
import sys

from atlas.plan import outcome, resolve, study


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    parser.add_argument("--smoke", action="store_true", help="train each pair of network and data for one step")
    args = parser.parse_args()
    try:
        plan = study.Plan(args.config)
    except resolve.Problem as problem:
        sys.exit(f"config: {problem}")
    print(outcome.table(plan))
    if args.smoke:
        from atlas.learn import smoke

        return smoke.run(plan)
    return 0


if __name__ == "__main__":
    sys.exit(main())
