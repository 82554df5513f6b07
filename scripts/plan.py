"""Print what a config would train, how long it would take and how much disk it needs; with --smoke, try it.

python scripts/plan.py --config JSON
python scripts/plan.py --schema > config/schema.json
"""

import signal

if __name__ == "__main__":  # before more is imported: Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import sys

from weight_atlas import gpu_slots
from weight_atlas.plan import commands, data_lines, outcome, outdated, spec, stages

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # that of pydantic's schemas; some readers must be told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--config", type=json.loads, help="the config as JSON")
    action.add_argument("--schema", action="store_true", help="print the JSON schema of a config instead")
    parser.add_argument("--smoke", action="store_true", help="train each network on each data set for one step")
    parser.add_argument("--gpu", type=int, help="how many trainings run on GPUs at a time, in all")
    args = parser.parse_args()
    if args.schema:
        print(json.dumps({"$schema": DIALECT} | spec.Config.model_json_schema(), indent=1))
        return 0
    plan = commands.plan_or_exit(args.config, look=True, absent=not args.smoke)
    try:
        again = outdated.outdated(plan)
        print(outcome.table(plan, again, gpu_slots.memory() if plan.config.device != "cpu" else None, args.gpu))
        print("\n".join(["", *data_lines.found(plan), *stages.lines(plan), *data_lines.warnings(plan, again)]))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    if args.smoke:
        from weight_atlas.training import smoke

        return 1 if smoke.run(plan) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
