"""Print the state of a config: replicates, what is running now, time left, disk.

python scripts/status.py --config JSON
"""

import argparse
import json
import sys

from weight_atlas.plan import checks, progress, study


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    args = parser.parse_args()
    try:
        plan = study.Plan(args.config)
    except checks.ConfigError as problem:
        sys.exit(f"config: {problem}")
    print(progress.table(plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
