#!/bin/sh
# Installs the tools for building, testing and linting, except Rust (and Node for the page), on Debian and derivatives.
#
#   scripts/install-dependencies.sh [build] [test] [lint] [fuzz] [package]        without arguments: all of them
#
# Quick if nothing is missing. As root it installs with apt-get; otherwise it prints the command to run and exits with 1.
# It starts and enables no service, removes no package, and does not change the clock or the time service of this machine.
set -eu

# Administrators' programs (chronyd) may not be on the PATH of other users.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
CARGO_DENY=0.20.2
CARGO_MACHETE=0.9.2
CARGO_DEB=3.8.0
POLICY=/usr/sbin/policy-rc.d
SAVED=$POLICY.ntp-monitor-saved
# Units of the packages below, which would start at the next boot.
UNITS='chrony prometheus victoria-metrics'

say() { printf 'dependencies: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# need CHECK ARGUMENT PACKAGE: installs the package unless the check succeeds.
missing=
need() {
    "$1" "$2" || missing="$missing $3"
}
# Whether a font with this kind in its name is installed.
has_font() { find /usr/share/fonts /usr/local/share/fonts -iname "*$1*.[to]tf" 2>/dev/null | grep -q .; }
c_headers() { has cc && echo "#include <$1>" | cc -E - >/dev/null 2>&1; }

python_can_venv() { has "$1" && "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }
faketime() { ls /usr/lib/*/faketime/"$1" >/dev/null 2>&1; }
seccomp_module() { "$1" -c 'import seccomp' 2>/dev/null; }

need_package() {
    need has dpkg-deb dpkg
    need has dpkg-shlibdeps dpkg-dev
    need has python3 python3
}

need_group() {
    case $1 in
    build)
        need has cc gcc
        need c_headers stdlib.h libc6-dev
        ;;
    test)
        # Time servers and databases that the integration tests start themselves, on loopback.
        need has chronyd chrony
        need has victoria-metrics victoria-metrics
        need has prometheus prometheus
        need has sqlite3 sqlite3
        need has curl curl
        need has jq jq
        # Certificates and signatures made by another program.
        need has openssl openssl
        # Programs from PyPI that results are compared with are installed into a virtual environment.
        need python_can_venv python3 python3-venv
        # The systemd unit is checked, and the program runs under its restrictions, even without a running systemd.
        need has systemd-analyze systemd
        need has bwrap bubblewrap
        need seccomp_module /usr/bin/python3 python3-seccomp
        # The service also runs under a booted systemd.
        need has systemd-nspawn systemd-container
        # A clock that jumps for one process only, and a network without buffers.
        need faketime libfaketime.so.1 libfaketime
        need has tc iproute2
        # Packages are built, checked, and installed into a fresh Debian.
        need has debootstrap debootstrap
        need has lintian lintian
        need_package
        # PNG charts of reports need a font for their text.
        need has_font sans fonts-dejavu-core
        # The page is tested in a real browser.
        if [ -f web/package.json ]; then need has chromium chromium; fi
        ;;
    lint)
        need has shellcheck shellcheck
        ;;
    fuzz)
        need has c++ g++
        ;;
    package)
        need_package
        ;;
    *)
        say "there is no group '$1'; the groups are build, test, lint, fuzz and package"
        exit 2
        ;;
    esac
}

lacks_cargo_deb() { ! cargo deb --version >/dev/null 2>&1; }
lacks_cargo_machete() { ! cargo machete --version >/dev/null 2>&1; }
lacks_cargo_deny() { ! cargo deny --version >/dev/null 2>&1; }

# Until restore_policy, no package starts a service (see invoke-rc.d(8)). An existing policy, as in containers, is
# restored.
deny_services() {
    trap restore_policy EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # A saved policy is the original: an earlier run was killed before it could restore it.
    if [ -e "$POLICY" ] && [ ! -e "$SAVED" ]; then mv "$POLICY" "$SAVED"; fi
    printf '#!/bin/sh\n# Put here by ntp-monitor while it installs packages; may be deleted.\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

restore_policy() {
    trap - EXIT
    rm -f "$POLICY"
    if [ -e "$SAVED" ]; then mv "$SAVED" "$POLICY"; fi
}

# The units of the packages just installed, one a line.
new_units() {
    for unit in $UNITS; do
        case " $missing " in *" $unit "*) echo "$unit" ;; esac
    done
}

apt() { apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@"; }
apt_install() { apt install --yes --no-install-recommends --no-remove "$@" >/dev/null; }

# Debian allows only one installed time service: apt-get would remove another one to install chrony.
chrony_replaces_a_package() { apt-get --simulate install chrony 2>/dev/null | grep -q '^Remv '; }

# Extracts chrony's programs from its package without installing it. Its libraries are installed.
unpack_chrony() {
    say "another time service is installed and stays: of chrony only /usr/local/sbin/chronyd and" \
        "/usr/local/bin/chronyc are installed, and not started"
    dir=$(mktemp -d)
    unpack_chrony_in "$dir" && status=0 || status=$?
    rm -rf "$dir"
    return "$status"
}

unpack_chrony_in() {
    (cd "$1" && apt -o APT::Sandbox::User=root download chrony >/dev/null) &&
        dpkg-deb -x "$1"/chrony_*.deb "$1" &&
        libraries=$(dpkg-deb -f "$1"/chrony_*.deb Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//' | grep '^lib') &&
        printf '%s\n' "$libraries" | xargs apt-get -qq --yes --no-install-recommends --no-remove install >/dev/null &&
        install -D -m 755 "$1/usr/bin/chronyc" /usr/local/bin/chronyc &&
        install -D -m 755 "$1/usr/sbin/chronyd" /usr/local/sbin/chronyd
}

install_package() {
    if [ "$1" = chrony ] && chrony_replaces_a_package; then unpack_chrony; else apt_install "$1"; fi
}

install_packages() {
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    deny_services
    apt update || say "apt-get update failed; trying with the package lists that are here"
    # All except chrony at once; if that fails, one by one, so that the others are installed even if one cannot be.
    # shellcheck disable=SC2086,SC2046 # lists of words
    apt_install $(printf '%s\n' $missing | grep -vx chrony) || say "not all at once; trying them one by one"
    failed=
    for package in $missing; do
        install_package "$package" || failed="$failed $package"
    done
    for unit in $(new_units); do
        if has update-rc.d; then update-rc.d "$unit" disable >/dev/null 2>&1 || true; fi
    done
    restore_policy
    if [ -n "$failed" ]; then
        say "apt-get could not install$failed"
        exit 1
    fi
}

install_cargo_deny() {
    say "building cargo-deny $CARGO_DENY, once"
    cargo install --quiet --locked "cargo-deny@$CARGO_DENY"
}

install_cargo_machete() {
    say "building cargo-machete $CARGO_MACHETE, once"
    cargo install --quiet --locked --debug "cargo-machete@$CARGO_MACHETE"
}

# This tool builds packages and is not part of them, so a short compile time matters more than its speed.
install_cargo_deb() {
    say "building cargo-deb $CARGO_DEB, once"
    cargo install --quiet --locked --debug "cargo-deb@$CARGO_DEB"
}

# A fresh Debian in which packages are installed; tests use a copy-on-write view of it. If it cannot be created, tests
# use this machine's root instead, so that is not a failure.
FRESH=${NTP_MONITOR_FRESH_DEBIAN:-/var/cache/ntp-monitor-tests/debian}
lacks_fresh_debian() { [ "$(id -u)" -eq 0 ] && has debootstrap && [ ! -e "$FRESH/lib/systemd/systemd" ]; }

make_fresh_debian() {
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    say "making a fresh Debian ($release) in $FRESH, once"
    rm -rf "$FRESH.part"
    mkdir -p "$(dirname "$FRESH")"
    if timeout 600 debootstrap --variant=minbase --include=libssl3,systemd-sysv "$release" "$FRESH.part" >"$FRESH.log" 2>&1; then
        rm -rf "$FRESH.part/var/cache/apt/archives" "$FRESH.part/var/lib/apt/lists"
        rm -rf "$FRESH"
        mv "$FRESH.part" "$FRESH"
    else
        say "that did not work, see $FRESH.log; packages are tested on a view of this machine instead"
        rm -rf "$FRESH.part"
    fi
}

cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- build test lint fuzz package
deny=no
machete=no
deb=no
fresh=no
nats=no
for group in "$@"; do
    need_group "$group"
    if [ "$group" = lint ] && lacks_cargo_deny; then deny=yes; fi
    if [ "$group" = lint ] && lacks_cargo_machete; then machete=yes; fi
    case $group in test | package) if lacks_cargo_deb; then deb=yes; fi ;; esac
    if [ "$group" = test ]; then fresh=yes nats=yes; fi
done

if [ -n "$missing" ]; then
    if ! has apt-get; then
        say "missing here, under the names that Debian gives them:$missing"
        exit 1
    elif [ "$(id -u)" -ne 0 ]; then
        say "missing:$missing"
        say "run once: sudo $0 $*"
        exit 1
    fi
    install_packages
fi
if [ $deny = yes ]; then install_cargo_deny; fi
if [ $machete = yes ]; then install_cargo_machete; fi
if [ $deb = yes ]; then install_cargo_deb; fi
if [ $fresh = yes ] && lacks_fresh_debian; then make_fresh_debian; fi
# Without it, the tests of fleets are skipped with a message.
if [ $nats = yes ]; then scripts/fetch-nats-server.sh oldest || say "nats-server cannot be fetched; tests of fleets are skipped"; fi
