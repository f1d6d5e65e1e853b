//! One mail over one SMTP connection. The server accepts or refuses each receiver separately, so a refused receiver
//! does not keep the others from getting the mail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::{Failure, Retry, smtp_stream};
use crate::outbound;

/// After the whole mail was sent, the answer may take this many times the time-out, because servers examine a mail before
/// they accept it (RFC 5321 §4.5.3.2.6 suggests ten minutes).
const PATIENCE: u32 = 6;
/// Time limit for QUIT; the mail has already been delivered.
const FAREWELL: Duration = Duration::from_millis(500);
/// The server closes the connection (RFC 5321 §3.8).
const CLOSING: u16 = 421;
const NO_ANSWER: &str = "the mail server did not answer in time";

/// A mail server, and how to connect to it.
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// The configured name in the greeting; `None` for the name of this host.
    pub hello: Option<String>,
    pub login: Option<Credentials>,
    pub timeout: Duration,
}

/// How the connection is protected.
pub(super) enum Security {
    /// Begins in plain text and must become encrypted before anything is sent.
    Starttls(TlsParameters),
    /// Encrypted from the first byte.
    Tls(Arc<ClientConfig>),
    None,
}

/// The server's decision about each receiver of a mail.
#[derive(Debug, Default)]
pub(super) struct Receipt {
    pub said: String,
    pub taken: Vec<Address>,
    /// Receivers that the server refuses for good, with the reason.
    pub rejected: BTreeMap<String, String>,
    /// Receivers that the server refuses temporarily, with the reason.
    pub later: BTreeMap<String, String>,
    /// When to retry after the first refusal, if it concerned the whole mail.
    retry: Option<Retry>,
}

impl Server {
    /// Sends one mail to the receivers that the server accepts. If it refuses all of them, nothing is sent, which is
    /// `Ok` too.
    pub(super) async fn send(&self, from: &Address, to: &[Address], mail: &[u8]) -> Result<Receipt, Failure> {
        let deadline = Instant::now() + self.timeout;
        let late = |_| Failure::new(Retry::Backoff, NO_ANSWER);
        let mut receipt = Receipt::default();
        let greeted = timeout_at(deadline, self.greet(from, to, mail, &mut receipt)).await;
        let Some(mut connection) = greeted.map_err(late)?? else { return Ok(receipt) };
        let deadline = Instant::now() + self.timeout * PATIENCE;
        let answer = timeout_at(deadline, connection.message(mail)).await;
        let answer = answer.map_err(|_| Failure::new(Retry::Unanswered, NO_ANSWER))?;
        let response = answer.map_err(|error| match failure(&error) {
            failure if failure.retry == Retry::Backoff && error.status().is_none() => {
                let why = format!("the whole mail was sent, and then: {}", failure.why);
                Failure { retry: Retry::Unanswered, why, ..failure }
            }
            failure => failure,
        })?;
        let said: Vec<&str> = response.message().collect();
        receipt.said = outbound::short(&format!("{} {}", response.code(), said.join(" ")));
        let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
        Ok(receipt)
    }

    /// The conversation until the server waits for the mail; `None` if it refuses every receiver.
    async fn greet(
        &self,
        from: &Address,
        to: &[Address],
        mail: &[u8],
        receipt: &mut Receipt,
    ) -> Result<Option<AsyncSmtpConnection>, Failure> {
        let mut connection = self.connect().await?;
        let parameters = parameters(&connection, from, to, mail)?;
        command(&mut connection, Mail::new(Some(from.clone()), parameters)).await?;
        for address in to {
            match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
                Ok(_) => receipt.taken.push(address.clone()),
                Err(error) if error.status().is_some_and(|status| u16::from(status) != CLOSING) => {
                    receipt.refuse(address, failure(&error));
                }
                Err(error) => return Err(failure(&error)),
            }
        }
        if receipt.taken.is_empty() {
            connection.abort().await;
            return Ok(None);
        }
        command(&mut connection, Data).await?;
        Ok(Some(connection))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let hello = match &self.hello {
            Some(name) => ClientId::Domain(name.clone()),
            None => super::hello::name(&self.host, self.port).await,
        };
        let tls = match &self.security {
            Security::Tls(config) => Some(config),
            Security::Starttls(_) | Security::None => None,
        };
        let stream = smtp_stream::connect(&self.host, self.port, tls).await.map_err(|error| unreachable(&error))?;
        let connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
        let mut connection = connection.map_err(|error| failure(&error))?;
        if let Security::Starttls(parameters) = &self.security {
            connection.starttls(parameters.clone(), &hello).await.map_err(|error| failure(&error))?;
        }
        if let Some(login) = &self.login {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, login).await.map_err(|error| failure(&error))?;
        }
        Ok(connection)
    }
}

impl Receipt {
    fn refuse(&mut self, address: &Address, failure: Failure) {
        let refused = if failure.retry == Retry::Backoff { &mut self.later } else { &mut self.rejected };
        refused.insert(address.to_string(), failure.why);
        self.retry.get_or_insert(failure.retry);
    }

    /// The receipt with every answer of the server changed by `change`.
    pub(super) fn with_answers(mut self, change: impl Fn(&str) -> String) -> Self {
        let answers = self.rejected.values_mut().chain(self.later.values_mut()).chain([&mut self.said]);
        answers.for_each(|answer| *answer = change(answer));
        self
    }

    /// The failure when every receiver is refused; temporary if one of the refusals is.
    pub(super) fn refusal(&self) -> Failure {
        let retry = self.retry.filter(|_| self.later.is_empty()).unwrap_or(Retry::Backoff);
        let all: BTreeMap<_, _> =
            self.rejected.iter().chain(&self.later).map(|(a, b)| (a.clone(), b.clone())).collect();
        Failure::new(retry, format!("the mail server rejects every receiver: {}", super::progress::listed(&all)))
    }
}

/// The parameters of the mail, if the server supports what the mail needs.
fn parameters(
    connection: &AsyncSmtpConnection,
    from: &Address,
    to: &[Address],
    mail: &[u8],
) -> Result<Vec<MailParameter>, Failure> {
    let supports = |feature, name: &str| {
        let lacks = || Failure::new(Retry::Paused, format!("the mail server does not support {name}"));
        if connection.server_info().supports_feature(feature) { Ok(()) } else { Err(lacks()) }
    };
    let mut parameters = Vec::new();
    if to.iter().chain([from]).any(|address| !address.to_string().is_ascii()) {
        supports(Extension::SmtpUtfEight, "addresses beyond ASCII (SMTPUTF8)")?;
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !mail.is_ascii() {
        supports(Extension::EightBitMime, "8BITMIME")?;
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

async fn command(connection: &mut AsyncSmtpConnection, command: impl std::fmt::Display) -> Result<(), Failure> {
    connection.command(command).await.map(drop).map_err(|error| failure(&error))
}

/// Classifies an error of the connection. A TLS error needs action by a person.
fn unreachable(error: &std::io::Error) -> Failure {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let why = outbound::innermost(error);
    if is_tls { Failure::new(Retry::Paused, why) } else { Failure::on_the_way(why) }
}

/// Classifies an SMTP error. The reason is the server's reply, which may repeat what it was sent.
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
