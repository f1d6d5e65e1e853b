//! `ntp-monitor notify`: lists notifiers and tests one.

use std::io::Write;

use clap::Subcommand;

use super::config::{EXIT_CONFIG, in_words};
use crate::app::run::Inputs;
use crate::config::{Config, Notifier};
use crate::notify;

/// What to do with notifiers.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum NotifyCommand {
    /// List the notifiers of the configuration
    #[command(after_help = "Example:\n  ntp-monitor --config servers.toml notify list")]
    List,
    /// Send a test notification and print the result
    #[command(
        after_help = "Sends the message once and immediately, whether or not the service runs. For PagerDuty it opens \
        and closes an incident, for a heartbeat it sends one heartbeat.\n\nExit status: 0 if the receiver accepted the \
        message, 1 if not, 78 invalid configuration.\n\n\
        Example:\n  ntp-monitor --config servers.toml notify test ops-chat"
    )]
    Test {
        /// The name of the notifier
        name: String,
    },
}

/// Runs the command and returns the exit status.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub async fn run(
    command: &NotifyCommand,
    inputs: &Inputs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> std::io::Result<u8> {
    let config = match inputs.load() {
        Ok(loaded) => loaded.into_config(),
        Err(faults) => {
            writeln!(err, "ntp-monitor: {}", in_words(&faults, inputs.file.as_deref()))?;
            return Ok(EXIT_CONFIG);
        }
    };
    match command {
        NotifyCommand::List => list(&config, out),
        NotifyCommand::Test { name } => match config.notifiers.iter().find(|notifier| notifier.name == *name) {
            Some(notifier) => test(notifier, &config.monitor.vantage, out).await,
            None => unknown(name, &config, err),
        },
    }
}

fn list(config: &Config, out: &mut impl Write) -> std::io::Result<u8> {
    if config.notifiers.is_empty() {
        writeln!(out, "no notifiers: add a [[notifier]] to the configuration, see docs/NOTIFIERS.md")?;
    }
    let width = config.notifiers.iter().map(|notifier| notifier.name.chars().count()).max().unwrap_or(0);
    for notifier in &config.notifiers {
        writeln!(out, "{:width$}  {}", notifier.name, notifier.channel.kind().label())?;
    }
    Ok(0)
}

async fn test(notifier: &Notifier, vantage: &str, out: &mut impl Write) -> std::io::Result<u8> {
    let (name, kind) = (&notifier.name, notifier.channel.kind().label());
    let trial = notify::trial(notifier, vantage).await;
    let took = trial.took.as_secs_f64();
    match trial.result {
        Ok(said) => writeln!(out, "{name} ({kind}): delivered in {took:.2} s; the receiver said: {said}").map(|()| 0),
        Err(why) => writeln!(out, "{name} ({kind}): NOT delivered after {took:.2} s: {why}").map(|()| 1),
    }
}

fn unknown(name: &str, config: &Config, err: &mut impl Write) -> std::io::Result<u8> {
    let names: Vec<&str> = config.notifiers.iter().map(|notifier| notifier.name.as_str()).collect();
    let known = if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
    writeln!(err, "ntp-monitor: no notifier is called {name:?}; {known}")?;
    Ok(1)
}
