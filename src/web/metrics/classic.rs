//! The older Prometheus text format, for clients that do not accept OpenMetrics: `promtool check metrics`, curl.
//!
//! The samples are the same in both formats. Families have the names of their samples (`x_total`, `x_info`), `info`
//! becomes `gauge`, and units are removed. The end mark stays; it is a comment here.

/// Converts the output of [`super::expose`].
#[must_use]
pub fn from_openmetrics(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            let help = help.take().unwrap_or_default();
            classic.push_str(&format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# UNIT ") {
            classic.push_str(line);
            classic.push('\n');
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named_as_their_samples_are() {
        let openmetrics = "# HELP a Polls.\n# TYPE a counter\na_total{x=\"# TYPE b\"} 3\n# HELP b_seconds S.\n# TYPE b_seconds gauge\n\
                           # UNIT b_seconds seconds\nb_seconds 1.0\n# HELP c C.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        let classic = "# HELP a_total Polls.\n# TYPE a_total counter\na_total{x=\"# TYPE b\"} 3\n# HELP b_seconds S.\n\
                       # TYPE b_seconds gauge\nb_seconds 1.0\n# HELP c_info C.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(from_openmetrics(openmetrics), classic);
    }
}
