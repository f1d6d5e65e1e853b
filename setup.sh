#!/bin/sh
# Installs ntp-monitor as a service, from a checkout (which it builds) or from a release archive: see `setup.sh --help`. It
# never overwrites a configuration, can be run again, and restores the old version if a new version does not become ready.
set -eu
# Programs, pages and units must be readable by all users, whatever the umask of the administrator is.
umask 022

PROGRAM=ntp-monitor
PREDECESSOR=/opt/ntp-monitor

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

usage() {
    cat <<'END'
Usage: setup.sh [OPTION]...

Installs ntp-monitor: program, manual pages, completions, user, configuration and systemd unit; then enables and starts
the service and waits until it is ready. Run it again to repair or to upgrade.

  --upgrade          like a plain run, but fails if nothing is installed yet
  --uninstall        stops the service and removes the program; keeps configuration and data
  --purge            with --uninstall: also removes configuration, data, logs and user
  --prefix DIR       installs the program below DIR (default: /usr/local)
  --destdir DIR      installs below DIR, as packagers do: no user, no service, nothing outside of DIR
  --binary FILE      installs this program instead of building one
  --no-start         neither enables nor starts the service
  --dry-run          prints what would be done, without doing it
  --help             prints this help

Examples:
  sudo ./setup.sh
  ./setup.sh --dry-run
  sudo ./setup.sh --uninstall --purge
END
}

# Arguments

prefix=/usr/local
destdir=
action=install
purge=no
dry=no
start=yes
binary=

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix | --destdir | --binary)
            [ $# -ge 2 ] || { say "$1 needs a value"; exit 2; }
            case $1 in
            --prefix) prefix=$2 ;;
            --destdir) destdir=${2%/} ;;
            --binary) binary=$2 ;;
            esac
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --destdir=*) destdir=${1#*=} destdir=${destdir%/} ;;
        --binary=*) binary=${1#*=} ;;
        --upgrade) action=upgrade ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        --no-start) start=no ;;
        --dry-run) dry=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        *)
            say "there is no option '$1'; --help lists them"
            exit 2
            ;;
        esac
        shift
    done
    case $prefix in
    # The unit contains it, and other characters would need quotes there.
    *[!A-Za-z0-9/._+-]*) wrong_prefix "may consist of letters, digits and / . _ + - only" ;;
    /home/* | /root/* | /run/user/* | /tmp/* | /var/tmp/*)
        wrong_prefix "cannot be $prefix: the service does not see directories of users, nor temporary ones"
        ;;
    /*) ;;
    *) wrong_prefix "must begin with /" ;;
    esac
    # The shell would look up a bare name on the PATH.
    case $binary in '' | /*) ;; *) binary=./$binary ;; esac
    if [ "$purge" = yes ] && [ "$action" != uninstall ]; then
        say "--purge goes with --uninstall only"
        exit 2
    fi
}

wrong_prefix() {
    say "--prefix $*"
    exit 2
}

# Destinations. systemd reads units below /usr and /usr/local; for any other prefix they go to /etc.
places() {
    prefix=${prefix%/}
    bin=$destdir$prefix/bin/$PROGRAM
    share=$destdir$prefix/share
    case $prefix in
    /usr | /usr/local) units=$prefix/lib/systemd/system sysusers=$prefix/lib/sysusers.d tmpfiles=$prefix/lib/tmpfiles.d ;;
    *) units=/etc/systemd/system sysusers=/etc/sysusers.d tmpfiles=/etc/tmpfiles.d ;;
    esac
    etc=$destdir/etc/ntp-monitor
    state=$destdir/var/lib/ntp-monitor
    logs=$destdir/var/log/ntp-monitor
    manifest=$share/ntp-monitor/manifest
    # The version that --upgrade restores after a failure.
    before=$share/ntp-monitor/before
}

# Runs a command, or prints it with --dry-run.
run() {
    if [ "$dry" = yes ]; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

# A file in a directory of the service may be a link that the service made. So root changes nothing there itself, but
# uses the rights of the directory's owner. Packagers have no service.

# as_owner DIR COMMAND…: runs the command with the rights of the user who can redirect DIR.
as_owner() {
    owner=$(owner_of "$1")
    shift
    if [ -n "$destdir" ] || [ "$dry" = yes ] || [ "$owner" = "$(id -u)" ]; then
        run "$@"
    else
        setpriv --reuid "$owner" --regid "$(id -g "$owner" 2>/dev/null || echo "$owner")" --clear-groups -- "$@"
    fi
}

# The number of the first user other than root who owns a path, its link target, or a directory above it.
owner_of() {
    place=$1
    while :; do
        for user in $(stat -c %u -- "$place" 2>/dev/null) $(stat -L -c %u -- "$place" 2>/dev/null); do
            [ "$user" = 0 ] || { echo "$user" && return; }
        done
        case $place in / | .) break ;; esac
        place=$(dirname "$place")
    done
    echo 0
}

is_systemd() { [ -z "$destdir" ] && [ -d /run/systemd/system ]; }
is_installed() { [ -e "$manifest" ]; }

# Checks

check_surroundings() {
    [ "$(uname -s)" = Linux ] || die "this is $(uname -s); the service needs Linux"
    if [ -z "$destdir" ] && [ "$(id -u)" -ne 0 ] && [ "$dry" = no ]; then
        die "run it as root (sudo $0), or into a directory of your own with --destdir"
    fi
    if [ "$action" = upgrade ] && ! is_installed; then
        die "nothing is installed below $destdir$prefix; run it without --upgrade"
    fi
    # Files that setup.sh installed before the package may be removed, but not files of the package.
    if is_package_installed && ! { [ "$action$purge" = uninstallno ] && [ "$prefix" != /usr ] && is_installed; }; then
        die "the Debian package $PROGRAM is installed; remove it first (apt-get remove $PROGRAM), or upgrade that"
    fi
}

is_package_installed() { case $(package_state) in '' | not-installed | config-files) return 1 ;; esac }

# The state of the package for dpkg: nothing, "installed", or "config-files" after its removal.
package_state() {
    [ -z "$destdir" ] && command -v dpkg-query >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2016 # the variable is dpkg's
    dpkg-query --show --showformat='${db:Status-Status}' "$PROGRAM" 2>/dev/null || true
}

# systemd uses the unit in the first of these directories.
check_other_units() {
    [ -z "$destdir" ] || return 0
    for dir in /etc/systemd/system /usr/local/lib/systemd/system; do
        [ "$dir" != "$units" ] || break
        other=$dir/$PROGRAM.service
        if [ -f "$other" ] && ! grep -q -e "$prefix/bin/$PROGRAM " -e "$PREDECESSOR" "$other"; then
            die "$other starts another program, and would hide the unit of this one; where setup.sh made it," \
                "setup.sh --uninstall with its --prefix removes it"
        fi
    done
}

# check_writable DIR: the nearest existing directory is writable.
check_writable() {
    dir=$1
    while ! [ -e "$dir" ]; do dir=$(dirname "$dir"); done
    [ "$dry" = yes ] || [ -w "$dir" ] ||
        die "$dir cannot be written; where /usr is read-only, --prefix names another place"
}

# The program to install: the one given by --binary, the one of a release archive, or a new build.
find_binary() {
    if [ -n "$binary" ]; then
        [ -f "$binary" ] || die "there is no file $binary"
    elif [ -x "$here/bin/$PROGRAM" ]; then
        binary=$here/bin/$PROGRAM
    elif [ -f "$here/Cargo.toml" ]; then
        build
    else
        die "neither a release archive (bin/$PROGRAM) nor a checkout (Cargo.toml) is here; see --binary"
    fi
    if [ "$dry" = no ] || [ -x "$binary" ]; then
        version=$("$binary" --version 2>&1) || die "$binary does not run on this machine: $version"
        say "installing $version"
    fi
}

build() {
    command -v cargo >/dev/null 2>&1 ||
        die "cargo is not on the PATH of this user: install Rust, or build as yourself (make build PROFILE=release) and" \
            "name the result with --binary target/release/$PROGRAM"
    say "building; this takes some minutes the first time"
    (cd "$here" && run make --no-print-directory build PROFILE=release)
    binary=$here/target/release/$PROGRAM
}

# Files

# put MODE SOURCE TARGET: installs a file atomically, even if the old one is a running program.
put() {
    run mkdir -p "$(dirname "$3")"
    note "$3"
    run install -m "$1" "$2" "$3.new"
    run mv -f "$3.new" "$3"
}

note() { [ "$dry" = yes ] || printf '%s\n' "${1#"$destdir"}" >>"$manifest.new"; }

put_program() {
    run mkdir -p "$share/ntp-monitor"
    [ "$dry" = yes ] || : >"$manifest.new"
    put 755 "$binary" "$bin"
    put 755 "$here/scripts/health-check.sh" "$share/ntp-monitor/health-check.sh"
    put 644 "$here/config/servers.example.toml" "$share/doc/ntp-monitor/servers.example.toml"
    for example in "$here"/systemd/examples/*; do
        put 644 "$example" "$share/doc/ntp-monitor/systemd/$(basename "$example")"
    done
    put_pages
    put_units
    if [ "$dry" = yes ]; then return; fi
    # Files of an earlier version that this version does not have.
    if is_installed; then
        grep -vxFf "$manifest.new" "$manifest" | while IFS= read -r file; do rm -f "$destdir$file"; done
    fi
    mv -f "$manifest.new" "$manifest"
}

# The program itself generates manual pages and completions.
put_pages() {
    if [ "$dry" = yes ]; then
        echo "would write: manual pages and completions below $share"
        return
    fi
    pages=$(mktemp -d)
    "$binary" man --dir "$pages"
    for page in "$pages"/*.1; do put 644 "$page" "$share/man/man1/$(basename "$page")"; done
    "$binary" completions bash >"$pages/bash"
    "$binary" completions zsh >"$pages/zsh"
    "$binary" completions fish >"$pages/fish"
    put 644 "$pages/bash" "$share/bash-completion/completions/$PROGRAM"
    put 644 "$pages/zsh" "$share/zsh/site-functions/_$PROGRAM"
    put 644 "$pages/fish" "$share/fish/vendor_completions.d/$PROGRAM.fish"
    rm -r "$pages"
}

put_units() {
    unit=$(mktemp)
    sed "s|/usr/bin/$PROGRAM|$prefix/bin/$PROGRAM|" "$here/systemd/$PROGRAM.service" >"$unit"
    put 644 "$unit" "$destdir$units/$PROGRAM.service"
    rm "$unit"
    put 644 "$here/systemd/$PROGRAM.socket" "$destdir$units/$PROGRAM.socket"
    put 644 "$here/systemd/$PROGRAM.sysusers" "$destdir$sysusers/$PROGRAM.conf"
    put 644 "$here/systemd/$PROGRAM.tmpfiles" "$destdir$tmpfiles/$PROGRAM.conf"
}

# The user and the directories

make_user() {
    [ -z "$destdir" ] || return 0
    # A group remains after its user was removed when it has other members.
    if ! getent group "$PROGRAM" >/dev/null; then run groupadd --system "$PROGRAM"; fi
    if ! getent passwd "$PROGRAM" >/dev/null; then
        run useradd --system --gid "$PROGRAM" --no-create-home --home-dir /var/lib/ntp-monitor \
            --shell /usr/sbin/nologin --comment "NTP monitor" "$PROGRAM"
    fi
}

# Only root can replace these directories.
make_directories() {
    for dir in "$etc" "$state" "$logs"; do
        [ -d "$dir" ] || run mkdir -p "$dir"
        run chmod 750 "$dir"
    done
    [ -z "$destdir" ] || return 0
    # Its owner may have been changed on purpose: see systemd/examples/edit-configuration.conf.
    run chgrp "$PROGRAM" "$etc"
    run chown "$PROGRAM:$PROGRAM" "$state" "$logs"
}

# The configuration

configure() {
    if [ -e "$etc/servers.toml" ]; then
        say "$etc/servers.toml stays as it is"
    elif [ -f "$destdir$PREDECESSOR/.env" ]; then
        migrate
    else
        say "a first configuration is $etc/servers.toml: put your own servers there"
        put_configuration servers.toml <"$here/config/servers.example.toml"
    fi
    [ -n "$destdir" ] || share_configuration
}

# put_configuration NAME: writes its input atomically.
put_configuration() {
    if [ "$dry" = yes ]; then
        echo "would write: $etc/$1"
        return
    fi
    # shellcheck disable=SC2016 # the variables are those of the other shell
    as_owner "$etc" sh -c 'umask 027; rm -f "$1.new"; set -C; cat >"$1.new" && chmod 640 "$1.new" && mv -f "$1.new" "$1"' \
        sh "$etc/$1"
}

# Makes the configuration readable for the service. Skips directories of other users, and files with several names,
# which may be files of root elsewhere.
share_configuration() {
    run find "$etc" -xdev '(' -type d ! -user root -o ! -type d -links +1 ')' -prune -o -exec chgrp -h "$PROGRAM" {} +
}

# env_value KEY: reads a value like the predecessor: the last line wins, and one pair of quotes is removed.
env_value() {
    sed -n "s/^[[:space:]]*\(export[[:space:]][[:space:]]*\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" \
        "$destdir$PREDECESSOR/.env" | tail -n 1 |
        sed -e 's/[[:space:]]*$//' -e 's/^"\(.*\)"$/\1/' -e "s/^'\(.*\)'\$/\1/"
}

# Prints a TOML string. None of these values can contain control characters.
quoted() { printf '"%s"' "$(printf '%s' "$1" | tr -d '[:cntrl:]' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g')"; }

migrate() {
    say "$destdir$PREDECESSOR/.env becomes $etc/servers.toml"
    if [ "$dry" = yes ]; then return; fi
    token=$(env_value INFLUX_TOKEN)
    if [ -n "$token" ]; then printf '%s\n' "$token" | put_configuration influxdb-token; fi
    text=$(migrated)
    printf '%s\n' "$text" | put_configuration servers.toml
}

migrated() {
    echo "# Made from $PREDECESSOR/.env by setup.sh. Every key there is: ntp-monitor config example"
    interval=$(env_value POLLING_INTERVAL)
    # The predecessor accepted decimals; whole seconds are sufficient.
    seconds=${interval%%.*}
    case $seconds in
    '') ;;
    *[!0-9]*) say "POLLING_INTERVAL=$interval is no number of seconds: the default holds" ;;
    *)
        if [ "$seconds" -lt 16 ]; then
            say "POLLING_INTERVAL=$seconds is not polite to other people's servers: 16s it is; see own = true"
            seconds=16
        fi
        printf '\n[defaults]\npoll_interval = "%ss"\n' "$seconds"
        ;;
    esac
    case $(env_value LOG_LEVEL | tr '[:upper:]' '[:lower:]') in
    debug) printf '\n[log]\nlevel = "debug"\n' ;;
    warn | warning) printf '\n[log]\nlevel = "warning"\n' ;;
    error | critical) printf '\n[log]\nlevel = "error"\n' ;;
    esac
    migrated_influxdb
    env_value NTP_SERVER | tr ',' '\n' | while IFS= read -r server || [ -n "$server" ]; do
        server=$(printf '%s' "$server" | tr -d '[:space:]')
        if [ -n "$server" ]; then printf '\n[[server]]\naddress = %s\n' "$(quoted "$server")"; fi
    done
}

migrated_influxdb() {
    url=$(env_value INFLUX_URL)
    [ -n "$url" ] || return 0
    printf '\n[influxdb]\nurl = %s\n' "$(quoted "$url")"
    for key in org bucket; do
        value=$(env_value "INFLUX_$(printf '%s' "$key" | tr '[:lower:]' '[:upper:]')")
        if [ -n "$value" ]; then printf '%s = %s\n' "$key" "$(quoted "$value")"; fi
    done
    if [ -n "$(env_value INFLUX_TOKEN)" ]; then printf 'token_file = "/etc/ntp-monitor/influxdb-token"\n'; fi
    printf '\n[csv]\n'
}

# The environment of the unit, so that the configuration is checked as the service will see it.
service_environment() {
    [ -r /etc/default/ntp-monitor ] || return 0
    while read -r line || [ -n "$line" ]; do
        name=${line%%=*} value=${line#*=} value=${value#[\"\']} value=${value%[\"\']}
        # systemd ignores other lines, such as "export NAME=value". A shell ends at a bad or read-only name.
        case $line in *=*) ;; *) continue ;; esac
        case $name in '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
        if (export "$name=$value") 2>/dev/null; then export "$name=$value"; fi
    done </etc/default/ntp-monitor
}

# If the new version rejects the configuration, the running version must continue.
check_configuration() {
    [ -z "$destdir" ] && [ "$dry" = no ] && [ -e "$etc/servers.toml" ] || return 0
    if ! faults=$(service_environment && "$binary" --config "$etc/servers.toml" config check 2>&1); then
        printf '%s\n' "$faults" >&2
        die "this version does not take the configuration (above); what runs was not restarted"
    fi
}

# The service

# The path of the store in the configuration, and the path of its copy.
find_store() {
    store=$state/$PROGRAM.db
    if [ -z "$destdir" ] && [ -r "$etc/servers.toml" ]; then
        named=$(service_environment && "$binary" --config "$etc/servers.toml" config show 2>/dev/null |
            sed -n '/^\[store\]/,/^\[/s/^path = "\(.*\)" *#.*/\1/p')
        # systemd starts services in the root directory.
        case $named in '') ;; /*) store=$named ;; *) store=/$named ;; esac
    fi
    kept_store=$store.before-upgrade
    store_dir=$(dirname "$store")
    check_store_owner
}

# Anyone who can write the configuration chooses the path of the store, which must not lead root to files of others.
check_store_owner() {
    [ -z "$destdir" ] && [ -e "$store" ] || return 0
    for file in "$etc" "$etc/servers.toml"; do
        writer=$(stat -L -c %u -- "$file" 2>/dev/null || echo 0)
        if [ "$writer" != 0 ] && [ "$writer" != "$(owner_of "$store_dir")" ]; then
            die "$file belongs to user $writer, and $store_dir, which it names, does not: give both to one user"
        fi
    done
}

# A unit of the same name in /etc hides ours; most likely it is the predecessor's.
step_aside() {
    old=$destdir/etc/systemd/system/$PROGRAM.service
    if [ -f "$old" ] && ! [ "$units" = /etc/systemd/system ] && grep -q "$PREDECESSOR" "$old"; then
        say "the predecessor's unit is kept as $old.predecessor"
        if is_systemd; then run systemctl disable --now "$PROGRAM.service" || true; fi
        run mv "$old" "$old.predecessor"
    fi
}

keep_old() {
    run rm -rf "$before"
    if ! is_installed; then return 0; fi
    run mkdir -p "$before"
    for file in "$bin" "$destdir$units/$PROGRAM.service"; do
        if [ -e "$file" ]; then run cp -p "$file" "$before/"; fi
    done
    # The old program cannot read a store that the new one has migrated. The program switches to the rights of the
    # owner.
    if [ -z "$destdir" ] && [ -e "$store" ]; then
        run "$binary" backup "$kept_store" --store "$store" --force ||
            die "the store cannot be copied, so there would be no way back; free some room and try again"
    fi
}

start_service() {
    if [ "$start" = no ] || [ -n "$destdir" ]; then return 0; fi
    if ! is_systemd; then
        say "systemd does not run here; start it yourself, as its user: runuser -u $PROGRAM -- $prefix/bin/$PROGRAM" \
            "--config /etc/ntp-monitor/servers.toml"
        return 0
    fi
    # A removed package leaves the unit masked.
    if [ "$(package_state)" = config-files ]; then run systemctl unmask "$PROGRAM.service"; fi
    run systemctl daemon-reload
    # Earlier failures must not prevent systemd from starting this version.
    run systemctl reset-failed "$PROGRAM.service" 2>/dev/null || true
    run systemctl enable "$PROGRAM.service" || return 1
    # Returns when the service is ready or has failed.
    run systemctl restart "$PROGRAM.service"
}

roll_back() {
    say "the new version does not become ready: journalctl -u $PROGRAM"
    systemctl stop "$PROGRAM.service" || true
    [ -e "$before/$PROGRAM" ] || die "there is no earlier version to go back to; the new one is installed and stopped"
    if [ -e "$kept_store" ]; then
        "$bin" restore "$kept_store" --store "$store" ||
            die "the store could not be put back; it is $kept_store"
        as_owner "$store_dir" rm -f "$kept_store"
    fi
    mv -f "$before/$PROGRAM" "$bin"
    mv -f "$before/$PROGRAM.service" "$destdir$units/$PROGRAM.service"
    systemctl daemon-reload
    systemctl restart "$PROGRAM.service" || die "the earlier version is back, and does not start either"
    die "the earlier version is back and runs"
}

# Actions

install_all() {
    find_binary
    check_other_units
    for dir in "$(dirname "$bin")" "$share" "$destdir$units" "$etc"; do check_writable "$dir"; done
    check_configuration
    find_store
    keep_old
    make_user
    make_directories
    step_aside
    put_program
    configure
    check_configuration
    if ! start_service; then roll_back; fi
    run rm -rf "$before"
    if [ -z "$destdir" ] && [ -e "$kept_store" ]; then as_owner "$store_dir" rm -f "$kept_store"; fi
    if [ "$dry" = yes ]; then
        say "nothing was changed (--dry-run)"
    else
        say "done; $prefix/bin/$PROGRAM doctor --config /etc/ntp-monitor/servers.toml looks whether all is well"
    fi
}

uninstall() {
    if is_systemd && ! is_package_installed; then
        run systemctl disable --now "$PROGRAM.service" "$PROGRAM.socket" 2>/dev/null || true
    fi
    # The second one is from an interrupted run.
    if is_installed || [ -e "$manifest.new" ]; then
        cat "$manifest" "$manifest.new" 2>/dev/null | while IFS= read -r file; do
            run rm -f "$destdir$file" "$destdir$file.new"
        done
        run rm -rf "$share/ntp-monitor"
        run rm -rf "$share/doc/ntp-monitor"
    else
        say "nothing is installed below $destdir$prefix"
    fi
    if is_systemd; then
        run systemctl daemon-reload
        if is_package_installed; then run systemctl try-restart "$PROGRAM.service"; fi
    fi
    if [ "$purge" = yes ]; then
        run rm -rf "$etc" "$state" "$logs"
        if [ -z "$destdir" ] && getent passwd "$PROGRAM" >/dev/null; then run userdel "$PROGRAM"; fi
    else
        say "kept: $etc, $state and $logs; --purge removes them"
    fi
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
version=
arguments "$@"
places
check_surroundings
case $action in
install | upgrade) install_all ;;
uninstall) uninstall ;;
esac
