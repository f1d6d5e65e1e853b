//! Mail by SMTP, as text and as HTML. STARTTLS is required where it is configured, never just hoped for. The Message-ID
//! follows from the notification's key, so a repeat after a kill is recognised as one.

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{Error, extension::ClientId};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sha2::{Digest, Sha256};

use super::{Failure, Notifier, Retry, Sending, words};
use crate::config::{Email as Settings, MailTls, Notifier as Config};
use crate::outbound;
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::Notification;
use ntp_monitor_core::text::html::Text;

pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

impl Email {
    pub(super) fn new(config: &Config, settings: &Settings) -> Result<Self, String> {
        let tls = match settings.tls {
            MailTls::Starttls => Tls::Required(parameters(config, settings)?),
            MailTls::Tls => Tls::Wrapper(parameters(config, settings)?),
            MailTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .hello_name(hello())
            .timeout(Some(config.timeout));
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let (from, to) = (settings.from.clone(), settings.to.clone());
        Ok(Self { transport: builder.build(), from, to, timeout: config.timeout })
    }

    /// A mail without its body.
    fn headed(&self, key: &str, subject: &str) -> MessageBuilder {
        let digest: String = Sha256::digest(key.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let builder = Message::builder()
            .from(self.from.clone())
            .subject(words::one_line(subject))
            .message_id(Some(format!("<{digest}@{}>", self.from.email.domain())))
            // RFC 3834 §5: so that nobody's absence note answers.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        self.to.iter().fold(builder, |builder, to| builder.to(to.clone()))
    }

    async fn send(&self, message: Result<Message, lettre::error::Error>) -> Result<String, Failure> {
        let message =
            message.map_err(|why| Failure::new(Retry::Refused, format!("the mail cannot be built: {why}")))?;
        // The library's own deadline is one of each step.
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Err(_) => Err(Failure::new(Retry::Backoff, "the mail was not taken in time")),
            Ok(Err(error)) => Err(failure(&error)),
            Ok(Ok(response)) => {
                let said: Vec<&str> = response.message().collect();
                Ok(outbound::short(&format!("{} {}", response.code(), said.join(" "))))
            }
        }
    }
}

impl Notifier for Email {
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        let subject = format!("{} ({})", words::title(notification), notification.vantage);
        let body = MultiPart::alternative_plain_html(plain(notification), html(notification));
        Box::pin(self.send(self.headed(&notification.key, &subject).multipart(body)))
    }

    fn send_report<'a>(&'a self, report: &'a Report) -> Sending<'a> {
        let pictures = report.pictures.iter().map(|picture| {
            let png = ContentType::parse("image/png").expect("a valid media type");
            Attachment::new_inline(picture.id.clone()).body(picture.png.clone(), png)
        });
        let html = MultiPart::related().singlepart(SinglePart::html(report.html.clone()));
        let html = pictures.fold(html, MultiPart::singlepart);
        let text = format!("{}\n\n{}", report.summary, report.text);
        let body = MultiPart::alternative().singlepart(SinglePart::plain(text)).multipart(html);
        Box::pin(self.send(self.headed(&report.key, &report.title).multipart(body)))
    }
}

fn parameters(config: &Config, settings: &Settings) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::None);
    for certificate in outbound::trust::certificates(config.ca_pem.as_deref())? {
        let certificate = Certificate::from_der(certificate.to_vec()).map_err(|why| why.to_string())?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|why| outbound::innermost(&why))
}

/// What this host calls itself to a mail server.
fn hello() -> ClientId {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let sound =
        |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    name.filter(sound).map_or_else(ClientId::default, ClientId::Domain)
}

/// What an error of SMTP means. The reply says it best; it holds no password.
fn failure(error: &Error) -> Failure {
    let status = error.status().map(u16::from);
    let retry = match status {
        // RFC 4954 §6: authentication.
        Some(530 | 534 | 535 | 538) => Retry::Paused,
        Some(500..) => Retry::Refused,
        Some(_) => Retry::Backoff,
        None if error.is_tls() || error.is_client() => Retry::Paused,
        None => return Failure::on_the_way(outbound::innermost(error)),
    };
    let why = outbound::innermost(error);
    Failure::new(retry, status.map_or_else(|| why.clone(), |status| format!("{status} {why}")))
}

fn plain(notification: &Notification) -> String {
    format!("{}\n\n{}", words::title(notification), words::text(notification))
}

fn html(notification: &Notification) -> String {
    let title = words::title(notification);
    let description: String =
        words::multi_line(&notification.description).lines().map(|line| format!("{}<br>", Text(line))).collect();
    let list: String = words::lines(notification).iter().map(|line| format!("<li>{}</li>", Text(line))).collect();
    let facts: String = words::facts(notification).iter().map(|(name, value)| fact(name, value)).collect();
    format!(
        "<!doctype html><html><body style=\"font-family:sans-serif;color:#222\">\
         <h2 style=\"border-left:8px solid {};padding-left:12px\">{}</h2><p>{description}</p><ul>{list}</ul>\
         <table cellpadding=\"4\">{facts}</table></body></html>",
        words::colour(notification),
        Text(&title)
    )
}

fn fact(name: &str, value: &str) -> String {
    let value = Text(value);
    let is_link = ["https://", "http://"].iter().any(|scheme| value.0.starts_with(scheme));
    let shown = if is_link { format!("<a href=\"{value}\">{value}</a>") } else { value.to_string() };
    format!("<tr><td style=\"color:#666\">{name}</td><td>{shown}</td></tr>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Channel, Hidden};
    use crate::notify::trial::sample;

    fn email() -> Email {
        let settings = Settings {
            host: "mail.example.net".into(),
            port: 587,
            tls: MailTls::Starttls,
            from: "NTP <ntp@example.net>".parse().unwrap(),
            to: vec!["ops@example.net".parse().unwrap()],
            login: Some(("ntp".into(), Hidden::from("hush"))),
        };
        let channel = Channel::Email(settings.clone());
        let config =
            Config { name: "m".into(), timeout: Duration::from_secs(1), per_minute: 30, ca_pem: None, channel };
        Email::new(&config, &settings).unwrap()
    }

    fn written(key: &str, subject: &str) -> String {
        let message = email().headed(key, subject).body(String::new()).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn the_message_id_follows_from_the_key() {
        let id = |key: &str| {
            let mail = written(key, "s");
            mail.lines().find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned)).unwrap()
        };
        assert_eq!(id("one"), id("one"));
        assert_ne!(id("one"), id("two"));
        assert!(id("one").ends_with("@example.net>"));
    }

    #[test]
    fn a_subject_cannot_bring_headers_with_it() {
        let mail = written("k", "time\r\nBcc: everybody@example.net");
        assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    }

    #[test]
    fn a_mail_says_when_and_by_what_it_was_sent_and_its_lines_are_as_long_as_smtp_takes_them() {
        let mut news = sample();
        news.summary = format!("{} {}", "ä".repeat(300), "x".repeat(3000));
        news.description = "<".repeat(20_000);
        let body = MultiPart::alternative_plain_html(plain(&news), html(&news));
        let mail = email().headed("k", &words::title(&news)).multipart(body).unwrap();
        let mail = String::from_utf8(mail.formatted()).unwrap();
        for header in ["Date: ", "Auto-Submitted: auto-generated", "MIME-Version: 1.0", "From: ", "To: "] {
            assert_eq!(mail.lines().filter(|line| line.starts_with(header)).count(), 1, "{header} in {mail}");
        }
        assert!(mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 998), "RFC 5321 §4.5.3.1.6");
    }

    #[test]
    fn what_a_server_says_is_text_in_the_html() {
        let mut news = sample();
        news.summary = "<script>".into();
        news.runbook_url = Some("javascript:alert(1)".into());
        let html = html(&news);
        assert!(!html.contains("<script>") && !html.contains("href=\"javascript"), "{html}");
    }
}
