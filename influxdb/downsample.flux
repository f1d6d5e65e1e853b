// Keeps the figures of ntp-monitor for years: one point in five minutes under the same names, in a bucket of its own, so
// that every dashboard works on it. Runs each hour; a point that is written again lands on itself.
//
//   influx task create --org ORG --file influxdb/downsample.flux
//
// The names of the buckets are the two below. Measured values become their mean, states and counts their last value.

option task = {name: "ntp-monitor: five-minute figures", every: 1h, offset: 2m}

source = "ntp"
target = "ntp_long"

// An hour more than the task's own, for lines that arrived late.
from(bucket: source)
    |> range(start: -2h)
    |> filter(fn: (r) => r._measurement == "ntp_sample")
    |> filter(
        fn: (r) =>
            r._field == "offset_s" or r._field == "delay_s" or r._field == "root_distance_s" or r._field == "root_delay_s"
                or
                r._field == "root_dispersion_s" or r._field == "success",
    )
    |> toFloat()
    |> aggregateWindow(every: 5m, fn: mean, createEmpty: false)
    |> to(bucket: target)

from(bucket: source)
    |> range(start: -2h)
    |> filter(fn: (r) => r._measurement == "ntp_sample" and (r._field == "stratum" or r._field == "leap" or r._field == "outcome"))
    |> aggregateWindow(every: 5m, fn: last, createEmpty: false)
    |> to(bucket: target)

from(bucket: source)
    |> range(start: -2h)
    |> filter(
        fn: (r) =>
            r._measurement == "ntp_stats" or r._measurement == "ntp_verdict" or r._measurement == "ntp_local"
                or
                r._measurement == "ntp_health",
    )
    |> aggregateWindow(every: 5m, fn: last, createEmpty: false)
    |> to(bucket: target)
