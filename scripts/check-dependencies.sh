#!/bin/sh
# Checks every crate in Cargo.lock by the rules in deny.toml: licences, sources, bans and, if the advisory database can
# be fetched, known faults. Also checks that each dependency is used.
set -eu
cd "$(dirname "$0")/.."

# Seconds to wait for the advisory database, which is on a git host, not in the crate registry.
FETCH_TIMEOUT=60

cargo deny --locked check --hide-inclusion-graph licenses bans sources
cargo machete

reason=$(mktemp)
trap 'rm -f "$reason"' EXIT
if timeout "$FETCH_TIMEOUT" cargo deny --locked fetch db >/dev/null 2>"$reason"; then
    cargo deny --locked check --disable-fetch --hide-inclusion-graph advisories
else
    echo "advisories NOT CHECKED: the advisory database could not be fetched: $(grep . "$reason" | tail -n 1)"
fi
