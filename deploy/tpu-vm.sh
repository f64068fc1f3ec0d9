#!/usr/bin/env bash
# Trains on a TPU, one host or a pod, from its first host.
#
#   bash deploy/tpu-vm.sh NAME ZONE --preset=cvae_mnist \
#     --workdir=gs://BUCKET/runs/cvae_mnist --data_dir=gs://BUCKET/tfds
#
# NAME is a TPU VM that exists. This script was not run on a TPU. TensorFlow
# drives all hosts of a pod from one. The workdir must be in a bucket, because
# the hosts share no disk. Run the same command again after an interruption: it
# continues from the last checkpoint.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: tpu-vm.sh NAME ZONE FLAGS OF tfgen train ..." >&2
  exit 2
fi
name=$1 zone=$2
shift 2
here=$(cd "$(dirname "$0")/.." && pwd)
on() {  # WORKERS COMMAND
  gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker="$1" \
    --command="$2"
}
git -C "$here" archive --format=tar.gz --output=/tmp/tfgen.tar.gz HEAD
gcloud compute tpus tpu-vm scp /tmp/tfgen.tar.gz "$name": --zone="$zone" \
  --worker=all
# tfgen requires the package tensorflow, whose place tensorflow-tpu takes. 2.20
# is the last release with TPU wheels.
on all 'mkdir -p tfgen && tar -xzf tfgen.tar.gz -C tfgen &&
  python3 -m venv tfgen/env &&
  tfgen/env/bin/pip install --quiet ./tfgen &&
  tfgen/env/bin/pip uninstall --quiet --yes tensorflow &&
  tfgen/env/bin/pip install --quiet "tensorflow-tpu==2.20.*"'
hosts=$(gcloud compute tpus tpu-vm describe "$name" --zone="$zone" \
  --format='value(networkEndpoints.len())')
pod=""
if [ "$hosts" -gt 1 ]; then
  pod="TPU_NAME=$name TPU_LOAD_LIBRARY=0"  # the servers of the hosts hold it
fi
on 0 "$pod tfgen/env/bin/tfgen train --strategy=tpu $(printf '%q ' "$@")"
