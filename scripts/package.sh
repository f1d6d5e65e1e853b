#!/bin/sh
# Creates the files of a release from a built program in target/package (or PACKAGE_DIR).
#
#   scripts/package.sh deb [PROFILE]     the Debian package
#   scripts/package.sh dist [PROFILE]    an archive for setup.sh, its software bill of materials, and checksums; of the
#                                        program that was built for TARGET, if that is set
#
# PROFILE is a cargo profile; without it, release.
set -eu

say() { printf 'package: %s\n' "$*" >&2; }

cd "$(dirname "$0")/.."
what=${1:-}
profile=${2:-release}
case $profile in
# Compression takes most of the time, and packages for tests are discarded.
dev) target=${CARGO_TARGET_DIR:-target}/debug fast=--fast level=1 ;;
*) target=${CARGO_TARGET_DIR:-target}/$profile fast='' level=9 ;;
esac
program=$target/ntp-monitor
system=$(uname -m)-linux
if [ "$what" = dist ] && [ -n "${TARGET:-}" ]; then
    program=${CARGO_TARGET_DIR:-target}/$TARGET/${target##*/}/ntp-monitor
    system=${TARGET%%-*}-linux
    case $TARGET in *-musl*) system=$system-static ;; esac
fi
out=${PACKAGE_DIR:-target/package}
# Named in Cargo.toml.
generated=target/package/generated
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Makes two builds of one commit identical.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# The program itself generates manual pages and completions.
generate() {
    [ -x "$program" ] || {
        say "there is no $program; build it first"
        exit 1
    }
    rm -rf "$generated"
    mkdir -p "$generated"
    "$program" man --dir "$generated/man"
    for shell in bash zsh fish; do "$program" completions "$shell" >"$generated/ntp-monitor.$shell"; done
}

make_deb() {
    # Two runs at the same time would remove each other's generated files.
    mkdir -p target/package
    exec 9>"$generated.lock"
    flock 9
    generate
    cargo deb --version >/dev/null 2>&1 || {
        say "cargo-deb is missing: scripts/install-dependencies.sh package"
        exit 1
    }
    # shellcheck disable=SC2086 # an option or nothing; and what came in DEB_OPTIONS
    cargo deb --quiet --no-build --profile "$profile" $fast --output "$out/" ${DEB_OPTIONS:-}
}

make_dist() {
    name=ntp-monitor-$version-$system
    tree=$out/$name
    rm -rf "$tree"
    mkdir -p "$tree/bin" "$tree/scripts"
    install -m 755 "$program" "$tree/bin/ntp-monitor"
    strip --strip-debug "$tree/bin/ntp-monitor"
    install -m 755 setup.sh "$tree/"
    install -m 755 scripts/health-check.sh "$tree/scripts/"
    cp -R systemd config docs prometheus influxdb LICENSE README.md CHANGELOG.md "$tree/"
    mkdir "$tree/grafana"
    cp -R grafana/dashboards grafana/provisioning "$tree/grafana/"
    scripts/sbom.py >"$out/$name.cdx.json"
    tar --create --file - --directory "$out" --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip "-$level" -n >"$out/$name.tar.gz"
    rm -r "$tree"
    (cd "$out" && sha256sum "$name.tar.gz" "$name.cdx.json" >"$name.sha256")
    say "$out/$name.tar.gz"
}

mkdir -p "$out"
case $what in
deb) make_deb ;;
dist) make_dist ;;
*)
    say "deb or dist?"
    exit 2
    ;;
esac
