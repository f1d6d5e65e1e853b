#!/bin/sh
# Fuzzes one target with libFuzzer: scripts/fuzz.sh [TARGET [SECONDS]]
#
# Without a target it runs one target of the core, chosen by the date, for 20 s, as CI does. It needs cargo and a C++
# compiler, not cargo-fuzz and not nightly Rust. PROFILE=release takes longer to build and tries about ten times as many
# inputs. Failing inputs are in fuzz/artifacts or crates/core/fuzz/artifacts. Commit the input to seeds/TARGET beside it
# together with the fix, so that the test `corpora` replays it.
set -eu
cd "$(dirname "$0")/.."

target=${1:-}
seconds=${2:-20}
profile=${PROFILE:-dev}

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
if ! command -v "${CXX:-c++}" >/dev/null; then
    echo "fuzz: libFuzzer needs a C++ compiler (apt-get install g++), or CXX=NAME" >&2
    exit 1
fi

# Use the tested versions; cargo adds libFuzzer to them. The targets are separate workspaces.
cp Cargo.lock "$dir/Cargo.lock"
# The flags of cargo-fuzz. Safe code needs no sanitizer to fail: it panics, aborts, or runs out of time or memory.
counters='-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
tables='-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares'
# With --target, build scripts and macros are not instrumented.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module $counters $tables" \
    "${CARGO:-cargo}" build --manifest-path "$dir/Cargo.toml" --target-dir target/fuzz --target "$host" \
    --profile "$profile" --bin "$target"
built=$profile
if [ "$profile" = dev ]; then built=debug; fi

corpus=$dir/corpus/$target
mkdir -p "$corpus" "$dir/artifacts/$target"
echo "fuzz: $target for $seconds s"
# New inputs go to the first directory.
exec "target/fuzz/$host/$built/$target" "$corpus" "$dir/seeds/$target" -artifact_prefix="$dir/artifacts/$target/" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
