# What the shell command of each rule begins with, so that a workflow that imports the rules keeps its own shell.prefix.
# It is strict. `logged FILE COMMAND` keeps what a command says in a file, whose last lines go to the console where it
# fails, but not where a user stops it.
set -euo pipefail
trap "exit 130" INT
logged() { "${@:2}" > "$1" 2>&1 || { tail -n 20 "$1" >&2; return 1; }; }
# Jobs use the Python that runs Snakemake, whether or not its environment is activated, unless they have one of their own.
if [[ -n ${WEIGHT_ATLAS_PYTHON:-} ]]; then export PATH="$WEIGHT_ATLAS_PYTHON:$PATH"; fi
# A process that has imported torch is forked for a job of one thread, where Snakemake began one (weight_atlas/warm.py).
if [[ -S ${WEIGHT_ATLAS_WARM:-} && ${OMP_NUM_THREADS:-} == 1 ]]; then
  cold=$(type -P python)
  client="${BASH_SOURCE[0]%/*}/weight_atlas/warm_client.py"
  python() { "$cold" -IS "$client" "$cold" "$WEIGHT_ATLAS_WARM" "$@"; }
fi
