#!/usr/bin/env bash
# Runs commands beside each other: beside.sh COMMAND COMMAND ...
# Prints what each has said when it has ended; ends with 1 when one of them failed, after all have run.
set -uo pipefail
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

beside() {
  local at=$1 command=$2 code=0
  bash -c "$command" >"$logs/$at" 2>&1 || code=$?
  # One write: two that end at a time do not mix.
  printf '== %s: ended with %s\n%s\n' "$command" "$code" "$(<"$logs/$at")"
  return $code
}

running=()
for at in $(seq $#); do
  beside "$at" "${!at}" &
  running+=($!)
done
failed=0
for one in "${running[@]}"; do wait "$one" || failed=1; done
exit $failed
