#!/usr/bin/env bash
# Remakes the pictures of docs/lecture.md, from training to drawing; makes
# runs/lecture/. Needs Python 3.11 or later and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
make_env figures
begin=$SECONDS
python scripts/experiments/lecture.py --workdir=runs/lecture --output="${1:-runs/lecture}"
echo "$((SECONDS - begin)) seconds"
