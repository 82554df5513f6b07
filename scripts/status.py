"""Print the state of a config: replicates, what is running now, time left, disk; and write its page, status.html.

python scripts/status.py --config JSON
"""

import signal

if __name__ == "__main__":  # before more is imported: Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import sys

from weight_atlas.plan import commands, status_page
from weight_atlas.plan.progress import Progress, table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    args = parser.parse_args()
    plan = commands.plan_or_exit(args.config)
    try:
        progress = Progress(plan)
        status_page.write(progress, progress.works)
        print(table(progress))
        print(f"page      {status_page.path(plan)}")
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
