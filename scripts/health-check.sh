#!/bin/sh
# Checks the health of a running ntp-monitor, for cron and monitoring systems.
#
#   health-check.sh [--url URL] [--timeout SECONDS] [--quiet]
#
# Exit status as for monitoring plugins: 0 ok, 1 degraded, 2 failing or down, 3 unknown. Prints one line with the reason.
# The URL may come from NTP_MONITOR_URL, a token from NTP_MONITOR_TOKEN. Needs curl, or else wget.
set -eu

url=${NTP_MONITOR_URL:-http://127.0.0.1:8080}
timeout=10
quiet=no

finish() {
    [ "$quiet" = yes ] || printf 'NTP-MONITOR %s - %s\n' "$2" "$3"
    exit "$1"
}

while [ $# -gt 0 ]; do
    case $1 in
    --url | --timeout)
        [ $# -ge 2 ] || finish 3 UNKNOWN "$1 needs a value"
        if [ "$1" = --url ]; then url=$2; else timeout=$2; fi
        shift
        ;;
    --quiet) quiet=yes ;;
    --help | -h)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) finish 3 UNKNOWN "there is no option '$1'" ;;
    esac
    shift
done

case $timeout in '' | *[!0-9]* | 0) finish 3 UNKNOWN "--timeout needs a number of seconds" ;; esac

# The token is passed by a file descriptor, because all users can read command lines.
header() {
    if [ -n "${NTP_MONITOR_TOKEN:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$NTP_MONITOR_TOKEN"; fi
}

if command -v curl >/dev/null 2>&1; then
    answer=$(header | curl --silent --show-error --max-time "$timeout" --config - "${url%/}/health" 2>&1) ||
        # 1 to 3: the URL is invalid.
        case $? in [123]) finish 3 UNKNOWN "$answer" ;; *) finish 2 CRITICAL "$answer" ;; esac
elif command -v wget >/dev/null 2>&1 && [ -z "${NTP_MONITOR_TOKEN:-}" ]; then
    # wget of busybox does not print the body of an error response, which here means that the service is failing.
    all=
    if wget --help 2>&1 | grep -q content-on-error; then all=--content-on-error; fi
    # shellcheck disable=SC2086 # an option or nothing
    answer=$(wget -q -t 1 -T "$timeout" $all -O - "${url%/}/health") ||
        [ -n "$answer" ] || finish 2 CRITICAL "no answer from $url, or it is failing"
else
    finish 3 UNKNOWN "curl is not installed; wget is enough where no token is needed"
fi

# The report is JSON; the first match of each key belongs to the overall state or to the worst reason.
first() { printf '%s' "$answer" | tr '\n' ' ' | grep -o "\"$1\"[[:space:]]*:[[:space:]]*\"[^\"]*\"" | head -n 1 |
    sed 's/.*:[[:space:]]*"\(.*\)"/\1/'; }

status=$(first status)
reason=$(first reason)
case $status in
ok) finish 0 OK "version $(first version)" ;;
degraded) finish 1 WARNING "${reason:-degraded}" ;;
failing) finish 2 CRITICAL "${reason:-failing}" ;;
*) finish 3 UNKNOWN "no health report at $url; does it want a token (NTP_MONITOR_TOKEN)?" ;;
esac
