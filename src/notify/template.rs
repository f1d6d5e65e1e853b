//! The body of a webhook from a template (minijinja). A template that loops runs out of fuel; nothing can be included.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};

use super::{Failure, Retry, trial};
use crate::outbound;
use ntp_monitor_core::alert::notification::Notification;

/// About one unit for each instruction: a thousand times what a usual template needs, and a few milliseconds.
const FUEL: u64 = 100_000;
/// No receiver wants more.
const MAX_BYTES: usize = 256 * 1024;
const NAME: &str = "body_template";

/// A compiled template.
#[derive(Debug)]
pub struct BodyTemplate {
    environment: Environment<'static>,
}

impl BodyTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn new(source: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // A name that is not there is a mistake, and not an empty text.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|why| outbound::short(&why.to_string()))?;
        Ok(Self { environment })
    }

    /// Compiles a template and fills it in once, with a notification that has everything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(source: &str) -> Result<(), String> {
        let template = Self::new(source)?;
        template.render(&trial::sample()).map(drop).map_err(|failure| failure.why)
    }

    /// The body for a notification.
    ///
    /// # Errors
    /// When the template runs too long, becomes too large, or asks for what is not there.
    pub fn render(&self, notification: &Notification) -> Result<String, Failure> {
        let refused = |why: String| Failure::new(Retry::Refused, format!("the template cannot be filled in: {why}"));
        let template = self.environment.get_template(NAME).map_err(|why| refused(outbound::short(&why.to_string())))?;
        let body = template.render(Serde(notification)).map_err(|why| refused(outbound::short(&why.to_string())))?;
        if body.len() > MAX_BYTES {
            return Err(refused(format!("it becomes larger than {MAX_BYTES} bytes")));
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_sees_the_notification_and_can_write_json() {
        let template = BodyTemplate::new("{\"text\": {{ summary|tojson }}, \"n\": {{ alerts|length }}}").unwrap();
        let mut news = trial::sample();
        news.summary = "say \"now\"".into();
        let body: serde_json::Value = serde_json::from_str(&template.render(&news).unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({ "text": "say \"now\"", "n": 1 }));
    }

    #[test]
    fn a_template_that_loops_ends_soon_and_says_why() {
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a * b }}{% endfor %}{% endfor %}";
        let why = BodyTemplate::check(endless).unwrap_err();
        assert!(why.contains("fuel"), "{why}");
    }

    #[test]
    fn a_name_that_is_not_there_is_a_fault_when_the_configuration_is_read() {
        assert!(BodyTemplate::check("{{ sumary }}").unwrap_err().contains("undefined"));
        assert!(BodyTemplate::check("{{ summary").is_err());
    }

    #[test]
    fn a_body_that_grows_without_bound_is_refused() {
        assert!(BodyTemplate::check("{{ 'x' * 300000 }}").unwrap_err().contains("larger than"));
    }
}
