#!/usr/bin/env bash
# Runs each fuzz target (or those that are named) for so many seconds: run.sh SECONDS [TARGET ...]
# Prints what each did; ends with 1 when one of them found something, after all have run.
set -euo pipefail
cd "$(dirname "$0")"
seconds=$1
shift
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(sed -n '/^\[\[bin\]\]/{n;s/^name = "\(.*\)"/\1/p}' Cargo.toml)

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
node seeds.mjs
# cargo-fuzz needs flags that a stable compiler only takes like this; the code itself is stable Rust.
export RUSTC_BOOTSTRAP=1
cargo fuzz build

found=0
for target in "${targets[@]}"; do
  dictionary=http bytes=4096
  case $target in
    json | array) dictionary=json ;;
    # These bound their input themselves, and cut it everywhere.
    head | answers | chunked | multipart) bytes=640 ;;
    # Pairs of bytes: longer is not deeper.
    frames | host) bytes=800 ;;
  esac
  mkdir -p "corpus/$target" artifacts
  log=artifacts/$target.log
  if cargo fuzz run "$target" "corpus/$target" -- -dict="dict/$dictionary.dict" -max_len=$bytes -max_total_time="$seconds" -timeout=60 -print_final_stats=1 >"$log" 2>&1; then
    printf '%-12s %s\n' "$target" "$(grep -oE '#[0-9]+[[:space:]]+DONE.*' "$log" | tail -1)"
  else
    found=1
    printf '%-12s FOUND SOMETHING, see fuzz/%s:\n' "$target" "$log"
    grep -E -A3 'panicked at|ERROR: |Test unit written' "$log" | head -20
    printf 'again: RUSTC_BOOTSTRAP=1 cargo fuzz run %s FILE\n' "$target"
  fi
done
exit $found
