# A training, for deploy/train-job.yaml or any machine with Docker:
#
#   docker build -f deploy/train.Dockerfile -t REGISTRY/tfgen-train:1 .
#   docker run --init REGISTRY/tfgen-train:1 \
#     tfgen train --preset=cvae_digits --workdir=gs://BUCKET/runs/cvae_digits
#
# Not built here. On GPUs: install "tensorflow[and-cuda]" before tfgen.
FROM python:3.12-slim

# The tested versions of all packages.
COPY . /tfgen
RUN pip install --no-cache-dir --constraint /tfgen/constraints.txt /tfgen

# Not as root. The user has no home: prepared data and caches are elsewhere.
USER 65534:65534
ENV TFDS_DATA_DIR=/tmp/tfds XDG_CACHE_HOME=/tmp/cache TF_CPP_MIN_LOG_LEVEL=2
CMD ["tfgen", "list"]
