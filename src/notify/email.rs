//! Mail over SMTP, as plain text and HTML. If STARTTLS is configured it is required, not opportunistic. The Message-ID
//! is derived from the content of the notification, so receivers recognise a repeat after a crash, and `References` put
//! the mails about an alert into one thread.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use data_encoding::BASE64;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::{Address, Message};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::progress::{Progress, listed};
use super::smtp::{Receipt, Security, Server};
use super::{Failure, Notifier, Retry, Sending, words};
use crate::config::{Email as Settings, MailTls, Notifier as Config};
use crate::outbound::{self, Hidden, Masks};
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::{Instance, Notification, Status};
use ntp_monitor_core::template::Page;

static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("email.html")));

/// The maximum number of alerts that a mail refers to.
const THREADS: usize = 20;

pub(super) struct Email {
    server: Server,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// The password as it is and as it is sent, masked in answers that repeat it.
    masks: Masks,
}

/// The password, and how AUTH LOGIN and AUTH PLAIN (RFC 4616) send it.
fn sent(user: &str, password: &Hidden) -> Vec<Hidden> {
    let password = password.expose();
    let encoded = [password.to_owned(), format!("\0{user}\0{password}")].map(|text| BASE64.encode(text.as_bytes()));
    std::iter::once(password).chain(encoded.iter().map(String::as_str)).map(Hidden::from).collect()
}

impl Email {
    pub(super) fn new(config: &Config, settings: &Settings) -> Result<Self, String> {
        let security = match settings.tls {
            MailTls::Starttls => Security::Starttls(parameters(config, settings)?),
            MailTls::Tls => Security::Tls(Arc::new(outbound::trust::client(config.ca_pem.as_deref())?)),
            MailTls::None => Security::None,
        };
        let login = settings.login.as_ref();
        let server = Server {
            host: settings.host.clone(),
            port: settings.port,
            security,
            hello: settings.hello.clone(),
            login: login.map(|(user, password)| Credentials::new(user.clone(), password.expose().to_owned())),
            timeout: config.timeout,
        };
        let masks = Masks::of(&login.map(|(user, password)| sent(user, password)).unwrap_or_default());
        Ok(Self { server, from: settings.from.clone(), to: settings.to.clone(), masks })
    }

    /// The headers of a mail.
    fn headed(&self, id: String, subject: &str) -> MessageBuilder {
        let builder = Message::builder()
            .from(self.from.clone())
            .subject(words::one_line(subject))
            .message_id(Some(id))
            // RFC 3834 §5: prevents automatic replies.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        self.to.iter().fold(builder, |builder, to| builder.to(to.clone()))
    }

    /// A message ID that is the same for the same parts.
    fn id(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        if let [only] = parts {
            hash.update(only);
        } else {
            parts.iter().for_each(|part| hash.update([&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat()));
        }
        let digest: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("<{digest}@{}>", self.from.email.domain())
    }

    /// The headers of a mail about alerts. The mail that says that alerts fire has the ID of the first of them, and every
    /// later mail about one of them refers to it.
    fn threaded(&self, notification: &Notification) -> MessageBuilder {
        let thread = |it: &Instance| {
            let server = it.server.as_deref().unwrap_or_default();
            self.id(&[&notification.vantage, &notification.alert, server, &it.started_at.to_string()])
        };
        let threads: Vec<String> = notification.alerts.iter().take(THREADS).map(thread).collect();
        let is_first = notification.status == Status::Firing && !notification.reminder;
        let (id, references) = match threads.split_first() {
            Some((first, others)) if is_first => (first.clone(), others),
            _ => (self.id(&[&notification.key]), threads.as_slice()),
        };
        let subject = format!("{} ({})", words::title(notification), notification.vantage);
        let mut builder = self.headed(id, &subject);
        if let Some(parent) = references.first().filter(|_| !is_first) {
            builder = builder.in_reply_to(parent.clone());
        }
        if references.is_empty() { builder } else { builder.references(references.join(" ")) }
    }

    /// Sends the mail to the receivers that have not accepted it yet.
    async fn send(
        &self,
        message: Result<Message, lettre::error::Error>,
        progress: &mut Progress,
    ) -> Result<String, Failure> {
        let message = message.map_err(|why| Failure::new(Retry::Refused, format!("cannot build the mail: {why}")))?;
        let open: Vec<Address> =
            self.to.iter().map(|to| to.email.clone()).filter(|to| progress.is_open(to.as_ref())).collect();
        let (behind, to): (Vec<_>, Vec<_>) = open.into_iter().partition(|to| progress.behind.contains(&to.to_string()));
        let behind: BTreeSet<String> = behind.iter().map(Address::to_string).collect();
        if to.is_empty() {
            return settle(Receipt::default(), behind, progress);
        }
        let sent = self.server.send(&self.from.email, &to, &message.formatted()).await;
        let mask = |text: &str| self.masks.apply(text);
        let receipt = sent.map_err(|failure| Failure { why: mask(&failure.why), ..failure })?.with_answers(mask);
        if receipt.taken.is_empty() && progress.taken.is_empty() {
            return Err(receipt.refusal());
        }
        settle(receipt, behind, progress)
    }
}

/// Records which receivers accepted the mail. Fails as long as a receiver may accept it later.
fn settle(receipt: Receipt, behind: BTreeSet<String>, progress: &mut Progress) -> Result<String, Failure> {
    receipt.taken.iter().for_each(|address| progress.take(address.as_ref()));
    progress.reject(receipt.rejected);
    let mut why = receipt.later;
    let waits = |address: &String| (address.clone(), "an earlier mail is still rejected".to_owned());
    why.extend(behind.iter().map(waits));
    progress.missing = why.keys().cloned().collect();
    if why.is_empty() {
        return Ok(receipt.said);
    }
    why.extend(progress.rejected.clone());
    let failure = Failure::new(Retry::Backoff, format!("not all receivers got the mail: {}", listed(&why)));
    Err(Failure { is_partial: true, ..failure })
}

impl Notifier for Email {
    fn deliver<'a>(&'a self, notification: &'a Notification, progress: &'a mut Progress) -> Sending<'a> {
        let body = MultiPart::alternative_plain_html(plain(notification), html(notification));
        Box::pin(self.send(self.threaded(notification).multipart(body), progress))
    }

    fn send_report<'a>(&'a self, report: &'a Report, progress: &'a mut Progress) -> Sending<'a> {
        let pictures = report.pictures.iter().map(|picture| {
            let png = ContentType::parse("image/png").expect("a valid media type");
            Attachment::new_inline(picture.id.clone()).body(picture.png.clone(), png)
        });
        let html = MultiPart::related().singlepart(SinglePart::html(report.html.clone()));
        let html = pictures.fold(html, MultiPart::singlepart);
        let text = format!("{}\n\n{}", report.summary, report.text);
        let body = MultiPart::alternative().singlepart(SinglePart::plain(text)).multipart(html);
        let message = self.headed(self.id(&[&report.key]), &report.title).multipart(body);
        Box::pin(self.send(message, progress))
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

fn plain(notification: &Notification) -> String {
    format!("{}\n\n{}", words::title(notification), words::text(notification))
}

fn html(notification: &Notification) -> String {
    let is_link = |value: &str| ["https://", "http://"].iter().any(|scheme| value.starts_with(scheme));
    let fact = |(name, value): (&str, String)| json!({ "name": name, "is_link": is_link(&value), "value": value });
    PAGE.render(&json!({
        "colour": words::colour(notification),
        "title": words::title(notification),
        "description": words::multi_line(&notification.description).lines().collect::<Value>(),
        "lines": words::lines(notification),
        "facts": words::facts(notification).into_iter().map(fact).collect::<Value>(),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Channel, Hidden};

    fn email() -> Email {
        let settings = Settings {
            host: "mail.example.net".into(),
            port: 587,
            tls: MailTls::Starttls,
            from: "NTP <ntp@example.net>".parse().unwrap(),
            to: vec!["ops@example.net".parse().unwrap()],
            hello: None,
            login: Some(("ntp".into(), Hidden::from("hush"))),
        };
        let channel = Channel::Email(settings.clone());
        let config = Config {
            name: "m".into(),
            timeout: Duration::from_secs(1),
            per_minute: 30,
            ca_pem: None,
            proxy: None,
            channel,
        };
        Email::new(&config, &settings).unwrap()
    }

    fn written(key: &str, subject: &str) -> String {
        let message = email().headed(email().id(&[key]), subject).body(String::new()).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn message_id_is_derived_from_the_key() {
        let id = |key: &str| {
            let mail = written(key, "s");
            mail.lines().find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned)).unwrap()
        };
        assert_eq!(id("one"), id("one"));
        assert_ne!(id("one"), id("two"));
        assert!(id("one").ends_with("@example.net>"));
    }

    #[test]
    fn password_is_masked_as_it_is_and_as_it_is_sent() {
        let masks = Masks::of(&sent("user", &Hidden::from("hush")));
        for repeated in ["hush", "aHVzaA==", "AHVzZXIAaHVzaA=="] {
            assert_eq!(masks.apply(&format!("535 rejected {repeated}")), "535 rejected ********");
        }
    }

    /// The values of two headers of the mail about a notification.
    fn thread(news: &Notification) -> (String, String) {
        let message = email().threaded(news).body(String::new()).unwrap();
        let headers = message.headers();
        let value = |name| headers.get_raw(name).unwrap_or_default().trim().to_owned();
        (value("Message-ID"), value("References"))
    }

    #[test]
    fn resolved_and_reminder_refer_to_the_firing_mail() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        let other = Instance { server: Some("other".into()), ..news.alerts[0].clone() };
        news.alerts.push(other.clone());
        let (fired, related) = thread(&news);
        assert_eq!(thread(&news).0, fired, "a repeat has the same ID");
        news.reminder = true;
        news.key = "reminder".into();
        assert!(thread(&news).1.starts_with(&fired) && thread(&news).0 != fired);
        news.status = Status::Resolved;
        assert!(thread(&news).1.starts_with(&fired));
        news.alerts = vec![other];
        assert_eq!(thread(&news).1, related, "the second alert of the group is in the same thread");
        news.alerts[0].started_at = jiff::Timestamp::MAX;
        assert_ne!(thread(&news).1, related, "the next time is another thread");
    }

    #[test]
    fn subject_cannot_inject_headers() {
        let mail = written("k", "time\r\nBcc: everybody@example.net");
        assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    }

    #[test]
    fn mail_has_its_headers_and_lines_within_smtp_limits() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.summary = format!("{} {}", "ä".repeat(300), "x".repeat(3000));
        news.description = "<".repeat(20_000);
        let body = MultiPart::alternative_plain_html(plain(&news), html(&news));
        let mail = email().threaded(&news).multipart(body).unwrap();
        let mail = String::from_utf8(mail.formatted()).unwrap();
        for header in ["Date: ", "Auto-Submitted: auto-generated", "MIME-Version: 1.0", "From: ", "To: "] {
            assert_eq!(mail.lines().filter(|line| line.starts_with(header)).count(), 1, "{header} in {mail}");
        }
        assert!(mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 998), "RFC 5321 §4.5.3.1.6");
    }

    #[test]
    fn server_text_is_escaped_in_the_html() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.summary = "<script>".into();
        news.runbook_url = Some("javascript:alert(1)".into());
        let html = html(&news);
        assert!(!html.contains("<script>") && !html.contains("href=\"javascript"), "{html}");
    }
}
