#!/bin/sh
# Retention per bucket, and the task between them. The image of InfluxDB 2 runs it once, after its own setup; elsewhere
# run it by hand, logged in (influx config):
#
#   INFLUX_BUCKET=ntp influxdb/setup.sh
#
# RAW_FOR (default 30d) and LONG_FOR (default 1825d) say how long single polls and five-minute figures are kept.
set -eu

bucket=${INFLUX_BUCKET:-${DOCKER_INFLUXDB_INIT_BUCKET:-ntp}}
org=${INFLUX_ORG:-${DOCKER_INFLUXDB_INIT_ORG:-}}
task=${DOWNSAMPLE:-$(dirname "$0")/downsample.flux}
say() { printf 'ntp-monitor: %s\n' "$*" >&2; }
influx_in() { influx "$@" ${org:+--org "$org"}; }

id_of() { influx_in bucket list --hide-headers --name "$1" 2>/dev/null | awk 'NR == 1 { print $1 }'; }

# keep BUCKET TIME: makes the bucket, or changes how long it keeps.
keep() {
    id=$(id_of "$1")
    if [ -n "$id" ]; then
        influx bucket update --id "$id" --retention "$2" >/dev/null
    else
        influx_in bucket create --name "$1" --retention "$2" >/dev/null
    fi
    say "$1 keeps $2"
}

keep "$bucket" "${RAW_FOR:-30d}"
keep "${bucket}_long" "${LONG_FOR:-1825d}"

if influx_in task list --hide-headers | grep -q 'ntp-monitor: five-minute figures'; then
    say 'the task is there already'
else
    ours=$(mktemp)
    trap 'rm -f "$ours"' EXIT
    sed -e "s/^source = .*/source = \"$bucket\"/" -e "s/^target = .*/target = \"${bucket}_long\"/" "$task" >"$ours"
    influx_in task create --file "$ours" >/dev/null
    say 'the task is made'
fi
