#!/usr/bin/env bash
# Makes the environment if it is missing, lints, and runs the whole test suite.
#
#   bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
make_env serving,server,figures,test
ruff check .
ruff format --check .
lint-imports
# TensorFlow does not need a second core for models this small.
exec python -m pytest --numprocesses=2 --dist=loadscope "$@"
