#!/usr/bin/env bash
# Faults on purpose, one after another: trainings killed and told to stop,
# checkpoints damaged, disks full, two trainings at once, requests of any kind,
# and trainings and exports in a bucket that fails or disappears.
# Writes what was seen into results/reliability.json; status 1 if anything was
# lost. As root, it mounts small file systems for the full disks.
#
#   bash scripts/soak.sh MINUTES [FILE [SEED [EXPERIMENT ...]]]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# = 0 ]; then
  echo "usage: bash scripts/soak.sh MINUTES [FILE [SEED [EXPERIMENT ...]]]" >&2
  exit 2
fi
. scripts/env.sh
make_env serving,server,figures,test
exec python tests/soak.py "$1" "${2:-results/reliability.json}" "${3:-0}" "${@:4}"
