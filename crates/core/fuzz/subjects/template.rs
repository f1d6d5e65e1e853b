//! No template panics, overflows the stack, takes long or exceeds its length, as the text of a rule and as a body.

use std::sync::LazyLock;

use jiff::Timestamp;
use ntp_monitor_core::alert::body::BodyTemplate;
use ntp_monitor_core::alert::notification::Notification;
use ntp_monitor_core::alert::template::Template;

#[allow(dead_code)] // The replay test needs no fragments.
pub const FRAGMENTS: &[&str] = &[
    "{{ ",
    " }}",
    "{% if ",
    "{% elif ",
    "{% else %}",
    "{% endif %}",
    "{% for x in alerts %}",
    "{% endfor %}",
    "{# ",
    " #}",
    "{%- ",
    " -%}",
    "alerts",
    "alert",
    "offset_ms",
    "tags.site",
    "summary",
    "value",
    "loop.index",
    " is defined",
    " not ",
    " and ",
    " or ",
    " in ",
    "|tojson",
    "|join(d=',')",
    "|map(attribute='name')",
    "|replace('a','aa')",
    "|default('x')",
    "|round(2)",
    "|first",
    "|last",
    "|length",
    "|list",
    "|upper",
    "|int",
    "[0]",
    "[-1]",
    "[1:]",
    "~",
    "+",
    "*",
    "/",
    "%",
    "**",
    "//",
    "==",
    "<",
    "(",
    ")",
    "'",
    "\"",
    "1e308",
    "9223372036854775808",
    "none",
    "true",
    "\n",
    "é",
    "\\u0000",
];

static NOTIFICATION: LazyLock<Notification> = LazyLock::new(|| Notification::sample(Timestamp::UNIX_EPOCH));
const LONGEST: usize = 500;
const LONGEST_BODY: usize = 256 * 1024;

pub fn check(source: &[u8]) {
    let Ok(source) = std::str::from_utf8(source) else { return };
    if let Err(why) = Template::parse(source, LONGEST) {
        assert!(!why.to_string().is_empty());
    }
    match BodyTemplate::new(source).map(|body| body.render(&NOTIFICATION)) {
        Ok(Ok(body)) => assert!(body.len() <= LONGEST_BODY),
        Ok(Err(why)) | Err(why) => assert!(!why.is_empty()),
    }
}
