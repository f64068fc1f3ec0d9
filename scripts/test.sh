#!/usr/bin/env bash
# Makes the environment if it is missing, lints, and runs the tests.
#
#   bash scripts/test.sh          every claim, for a few models
#   bash scripts/test.sh --all    every claim, for every model
#   bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
make_env serving,server,figures,notebooks,test
ruff check .
ruff format --check .
lint-imports
mypy
# The explorer is tested in a real browser. Where one can be installed without
# asking it is; elsewhere these tests are skipped, and say so.
if ! command -v chromium > /dev/null && [ "$(id -u)" = 0 ] \
    && command -v apt-get > /dev/null; then
  (timeout 300 apt-get update && timeout 600 apt-get install --yes \
    --no-install-recommends chromium) > /dev/null 2>&1 || true
fi
# TensorFlow does not need a second core for models this small.
tests() { python -m pytest --numprocesses=2 --dist=loadscope "$@"; }
if [ $# -gt 0 ] && [ "$*" != --all ]; then
  tests "$@"
  exit
fi
# TensorFlow never frees what XLA has compiled: a process that ran all tests
# would take 4 GB at its end.
TFGEN_TEST_RAISED=$(mktemp -d)
export TFGEN_TEST_RAISED
# The models are so small that XLA's optimizations cost more than they gain.
if [ $# = 0 ]; then
  export XLA_FLAGS=${XLA_FLAGS:---xla_backend_optimization_level=0}
fi
trap 'rm -rf "$TFGEN_TEST_RAISED"' EXIT
status=0
for part in 1/3 2/3 3/3; do
  tests --part=$part "$@" || status=$?
done
exit $status
