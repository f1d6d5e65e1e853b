//! The body of a webhook from a template.

use jiff::Timestamp;
use serde_json::Value;

use super::notification::Notification;
use crate::template::{Options, Template};

/// The work limit of a body: a few milliseconds, enough for some hundred alerts.
const OPTIONS: Options =
    Options { longest_source: 16_384, work: 2_000_000, is_strict: true, null: "none", decimals: None, is_html: false };
/// Maximum size of a body, in bytes; receivers accept less.
const LONGEST: usize = 256 * 1024;

/// A template that can be rendered.
#[derive(Debug)]
pub struct BodyTemplate(Template);

impl BodyTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// The first error, with its line.
    pub fn new(source: &str) -> Result<Self, String> {
        Template::parse(source, OPTIONS).map(Self).map_err(|why| why.to_string())
    }

    /// Parses a template and renders it once, with a notification in which every field is set.
    ///
    /// # Errors
    /// The first error.
    pub fn check(source: &str) -> Result<(), String> {
        Self::new(source)?.render(&Notification::sample(Timestamp::UNIX_EPOCH)).map(drop)
    }

    /// Renders the body for a notification.
    ///
    /// # Errors
    /// When the template takes too much work, becomes too large, or uses an undefined name.
    pub fn render(&self, notification: &Notification) -> Result<String, String> {
        let Ok(Value::Object(values)) = serde_json::to_value(notification) else {
            return Err("the notification is not JSON".to_owned());
        };
        let mut body = String::new();
        self.0.render(&values, LONGEST, &mut body).map_err(|why| why.to_string())?;
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_sees_the_notification_and_can_write_json() {
        let template = BodyTemplate::new("{\"text\": {{ summary|tojson }}, \"n\": {{ alerts|length }}}").unwrap();
        let mut news = Notification::sample(Timestamp::UNIX_EPOCH);
        news.summary = "say \"now\"".into();
        let body: Value = serde_json::from_str(&template.render(&news).unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({ "text": "say \"now\"", "n": 1 }));
    }

    #[test]
    fn the_documented_template_writes_the_names_of_the_servers() {
        let documented = include_str!("../../../../docs/NOTIFIERS.md");
        let (_, rest) = documented.split_once("body_template = '''").unwrap();
        let template = BodyTemplate::new(rest.split_once("'''").unwrap().0).unwrap();
        let body: Value =
            serde_json::from_str(&template.render(&Notification::sample(Timestamp::UNIX_EPOCH)).unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({ "text": "test: Test", "servers": ["test"] }));
    }

    #[test]
    fn undefined_names_are_faults_when_the_file_is_read() {
        assert!(BodyTemplate::check("{{ sumary }}").unwrap_err().contains("\"sumary\" is not defined"));
        assert!(BodyTemplate::check("{{ alerts[0].sever }}").unwrap_err().contains("\"sever\" is not defined"));
        assert!(BodyTemplate::check("{{ alerts|map(attribute='sever')|list }}").unwrap_err().contains("sever"));
        assert!(BodyTemplate::check("{{ summary").is_err());
    }

    #[test]
    fn a_large_notification_fits_in_the_allowance() {
        let mut large = Notification::sample(Timestamp::UNIX_EPOCH);
        large.alerts = vec![large.alerts[0].clone(); 1000];
        let template = "{% for a in alerts %}{{ a.server }} {{ a.value|round(1) }} {{ a.labels|tojson }} {{ loop.index }}\
                        {% if a.ended_at %} ended {{ a.ended_at }}{% endif %}\n{% endfor %}{{ alerts|tojson }}";
        let body = BodyTemplate::new(template).unwrap().render(&large).unwrap();
        assert!(body.starts_with("test 0.0 {\"test\":\"true\"} 1\ntest"), "{}", &body[..60]);
    }

    #[test]
    fn a_body_that_becomes_too_large_is_refused() {
        let long = format!("{{% for c in [{}] %}}{{{{ alerts }}}}{{% endfor %}}", "1,".repeat(200));
        let nested = format!("{{% for d in [{}] %}}{long}{{% endfor %}}", "1,".repeat(200));
        assert!(BodyTemplate::check(&nested).unwrap_err().contains("larger than 262144 bytes"));
    }
}
