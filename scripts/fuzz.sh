#!/bin/sh
# Fuzzes one target: scripts/fuzz.sh [TARGET [SECONDS]]
#
# Without a target it takes that of the day among the targets of the core, for 20 s, and skips it with a
# sentence where cargo-fuzz is not installed (`cargo install cargo-fuzz`). What it finds is in fuzz/artifacts; put the
# input into fuzz/seeds/TARGET with the mend, so that the test `corpora` replays it.
set -eu
cd "$(dirname "$0")/.."

target=${1:-}
seconds=${2:-20}

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo 'fuzz: skipped, because cargo-fuzz is not installed (cargo install cargo-fuzz)'
    [ -z "$target" ]
    exit
fi
if [ -z "$target" ]; then
    set -- crates/core/fuzz/fuzz_targets/*.rs
    shift $(($(date +%s) / 86400 % $#))
    target=$(basename "$1" .rs)
fi

dir=fuzz
if [ -e "crates/core/fuzz/fuzz_targets/$target.rs" ]; then dir=crates/core/fuzz; fi
if [ ! -e "$dir/fuzz_targets/$target.rs" ]; then
    echo "fuzz: there is no target '$target'" >&2
    exit 2
fi
corpus=$dir/corpus/$target
mkdir -p "$corpus"
echo "fuzz: $target for $seconds s"
# Safe code needs no sanitizer to fail: it panics, aborts, or runs out of time or memory. New inputs go to the first
# directory.
exec cargo fuzz run --fuzz-dir "$dir" --sanitizer none "$target" "$corpus" "$dir/seeds/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
