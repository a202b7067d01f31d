#!/usr/bin/env bash
# Runs inside Colab's own image, from the repository's folder: every twin as a reader runs it. The package is not
# installed beforehand; the set-up cell of the first notebook does that, and must leave Colab's torch as it is.
set -euo pipefail
torch() { python -c 'import torch; print(torch.__version__)'; }
before=$(torch)
pip install --quiet nbclient nbformat
python book/_tools/run_twin.py book/*.ipynb
after=$(torch)
if [ "$before" != "$after" ]; then
    echo "the set-up cell changed torch from $before to $after" >&2
    exit 1
fi
echo "torch is still $after"
