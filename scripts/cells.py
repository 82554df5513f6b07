"""Write the table of all cells of a config, and the config in full.

python scripts/cells.py --config JSON --cells results/tour/cells.csv --resolved results/tour/config.json
"""

import argparse
import json
import sys
from pathlib import Path

from weight_atlas import schema, store
from weight_atlas.plan import commands


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    parser.add_argument("--command", default="snakemake --cores all", help="what a user types for this config")
    parser.add_argument("--retry", default="snakemake --cores all --config retry_failed=true", help="to retry")
    parser.add_argument("--cells", required=True, type=Path)
    parser.add_argument("--resolved", required=True, type=Path)
    args = parser.parse_args()
    plan = commands.plan_or_exit(args.config)
    rows = plan.rows()
    columns = schema.header("cells", list(dict.fromkeys(key for row in rows for key in row)))
    schema.write(args.cells, "cells", ([row.get(name, "") for name in columns] for row in rows), header=columns)
    store.write_json(args.resolved, plan.resolved | {"command": args.command, "retry": args.retry})
    return 0


if __name__ == "__main__":
    sys.exit(main())
