#!/usr/bin/env bash
# Runs each fuzz target (or those that are named) for so many seconds, one on each core: run.sh SECONDS [TARGET ...]
# Prints what each did; ends with 1 when one of them found something, after all have run.
set -euo pipefail
cd "$(dirname "$0")"
export seconds=$1
shift
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(sed -n '/^\[\[bin\]\]/{n;s/^name = "\(.*\)"/\1/p}' Cargo.toml)

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
node seeds.mjs
# cargo-fuzz needs flags that a stable compiler only takes like this; the code itself is stable Rust.
export RUSTC_BOOTSTRAP=1
cargo fuzz build

run() {
  local target=$1 dictionary=http bytes=4096
  case $target in
    json | array) dictionary=json ;;
    # These bound their input themselves, and cut it everywhere.
    head | answers | chunked | multipart) bytes=640 ;;
    # Pairs of bytes: longer is not deeper.
    frames | host) bytes=800 ;;
  esac
  mkdir -p "corpus/$target" artifacts
  local log=artifacts/$target.log
  if cargo fuzz run "$target" "corpus/$target" -- -dict="dict/$dictionary.dict" -max_len=$bytes -max_total_time="$seconds" -timeout=60 -print_final_stats=1 >"$log" 2>&1; then
    printf '%-12s %s\n' "$target" "$(grep -oE '#[0-9]+[[:space:]]+DONE.*' "$log" | tail -1)"
  else
    printf '%-12s FOUND SOMETHING, see fuzz/%s:\n%s\nagain: RUSTC_BOOTSTRAP=1 cargo fuzz run %s FILE\n' \
      "$target" "$log" "$(grep -E -A3 'panicked at|ERROR: |Test unit written' "$log" | head -20)" "$target"
    return 1
  fi
}
export -f run
# 123: one of them has found something.
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run {}' || exit 1
