#!/usr/bin/env bash
# From a clone to the explorer: installs, and serves the trained models that
# come with tfgen, on this machine alone.
#
#   bash scripts/explore.sh [flags of scripts/serve.py]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
make_env server
exec python scripts/serve.py --model_dir=pretrained "$@"
