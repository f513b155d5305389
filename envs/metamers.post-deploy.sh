#!/usr/bin/env bash
# Installs the lock, and this library, into the conda environment that is active.
set -euo pipefail

# The pins below must be these: the line is part of what Snakemake knows the environment by, so
# that another lock makes another environment. tests/repository/test_environments.py says how to renew it.
pins_sha256=a2b0429bdfa8e95b067039b46269141208f1a08cacbce2ef032a93056c42eb1d

root=${METAMERS_ROOT:-$PWD}
lock=$root/requirements.lock
if [ ! -f "$lock" ]; then
    echo "there is no $lock: run this in the repository's root, or set METAMERS_ROOT to it" >&2
    exit 1
fi
if [ "$(grep -v '^#' "$lock" | sha256sum | cut -d ' ' -f 1)" != "$pins_sha256" ]; then
    echo "$lock is not the lock that envs/metamers.post-deploy.sh was written for" >&2
    exit 1
fi

first=$(mktemp)
trap 'rm -f "$first"' EXIT
grep -E '^torch(vision)?==' "$lock" > "$first"
python -m pip install --no-input --no-deps -r "$first"
python -m pip install --no-input --no-deps -r "$lock"
python -m pip install --no-input --no-deps --no-build-isolation -e "$root"
