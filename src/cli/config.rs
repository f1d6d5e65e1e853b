//! `ntp-monitor config`: check, show, schema, example. Only text and exit codes; [`crate::config`] does the rest.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Environment, Faults, Loaded, example, load, reference, schema};

/// The exit code for a configuration that cannot be used: `EX_CONFIG` of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;

/// What to do with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and report all faults
    #[command(after_help = "Exit status: 0 if it is valid, 78 otherwise.\n\n\
        Examples:\n  ntp-monitor --config servers.toml config check\n  \
        ntp-monitor --config servers.toml config check --without-secrets   # as systemctl reload does")]
    Check {
        /// Skip files that this process cannot read: systemd gives credentials to the service only
        #[arg(long)]
        without_secrets: bool,
    },
    /// Print the effective configuration, each value with its source; secrets are masked
    #[command(after_help = "Examples:\n  ntp-monitor --config servers.toml config show\n  \
        NTP_SERVER=time.example.net ntp-monitor config show --json")]
    Show {
        /// As JSON: {"values": …, "sources": …}
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema (2020-12) of the configuration, for editors
    #[command(after_help = "Example:\n  ntp-monitor config schema > ntp-monitor.schema.json")]
    Schema,
    /// Print every key with its type, default and meaning, as Markdown
    #[command(after_help = "Example:\n  ntp-monitor config reference > CONFIGURATION.md")]
    Reference,
    /// Print a complete, commented example
    #[command(after_help = "Example:\n  ntp-monitor config example > servers.toml")]
    Example,
}

/// The hint below the faults of a configuration if no file was named.
pub(super) const NO_FILE: &str = "No configuration file was named: use --config FILE; `ntp-monitor config example > \
                                  servers.toml` writes an example.";

/// The faults, with a hint if they are caused by a missing file.
pub(super) fn in_words(faults: &Faults, file: Option<&Path>) -> String {
    if file.is_some() { faults.to_string() } else { format!("{faults}\n{NO_FILE}") }
}

/// The sources of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigInputs<'a> {
    pub file: Option<&'a Path>,
    pub environment: &'a Environment,
    /// Overrides given as `section.key=value`.
    pub flags: &'a [String],
}

/// Runs one command. Data goes to `out`, faults and warnings to `err`.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn run(
    command: &ConfigCommand,
    inputs: ConfigInputs<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> std::io::Result<ExitCode> {
    match command {
        ConfigCommand::Schema => out.write_all(schema().as_bytes())?,
        ConfigCommand::Reference => out.write_all(reference().as_bytes())?,
        ConfigCommand::Example => out.write_all(example().as_bytes())?,
        ConfigCommand::Check { without_secrets } => return check(*without_secrets, inputs, out, err),
        ConfigCommand::Show { json } => match loaded(inputs, err)? {
            Some(loaded) if *json => writeln!(out, "{:#}", loaded.to_json())?,
            Some(loaded) => out.write_all(loaded.to_toml().as_bytes())?,
            None => return Ok(ExitCode::from(EXIT_CONFIG)),
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn check(
    without_secrets: bool,
    inputs: ConfigInputs<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> std::io::Result<ExitCode> {
    match load(inputs.file, inputs.environment, inputs.flags) {
        Ok(loaded) => {
            warn(&loaded, err)?;
            writeln!(out, "{}", summary(&loaded))?;
        }
        Err(faults) if without_secrets && faults.0.iter().all(|fault| fault.is_unread_file) => {
            writeln!(out, "ok, except for files that only the service can read: {}", faults.0.len())?;
        }
        Err(mut faults) => {
            faults.0.retain(|fault| !(without_secrets && fault.is_unread_file));
            explain(&faults, inputs, err)?;
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn loaded(inputs: ConfigInputs<'_>, err: &mut impl Write) -> std::io::Result<Option<Loaded>> {
    match load(inputs.file, inputs.environment, inputs.flags) {
        Ok(loaded) => warn(&loaded, err).map(|()| Some(loaded)),
        Err(faults) => explain(&faults, inputs, err).map(|()| None),
    }
}

fn warn(loaded: &Loaded, err: &mut impl Write) -> std::io::Result<()> {
    loaded.warnings.iter().try_for_each(|warning| writeln!(err, "warning: {warning}"))
}

fn explain(faults: &Faults, inputs: ConfigInputs<'_>, err: &mut impl Write) -> std::io::Result<()> {
    let count = faults.0.len();
    writeln!(err, "{faults}\n{count} fault{} found", if count == 1 { "" } else { "s" })?;
    if inputs.file.is_none() {
        writeln!(err, "{NO_FILE}")?;
    }
    Ok(())
}

/// `ok: 3 servers, outputs: store, csv, influxdb; http on 127.0.0.1:8080`.
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let count = config.servers.len();
    let outputs = [("store", true), ("csv", config.csv.is_some()), ("influxdb", config.influxdb.is_some())];
    let outputs: Vec<&str> = outputs.into_iter().filter_map(|(name, on)| on.then_some(name)).collect();
    let plural = if count == 1 { "" } else { "s" };
    format!("ok: {count} server{plural}, outputs: {}; http on {}", outputs.join(", "), config.http.listen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Args {
        #[command(subcommand)]
        _command: ConfigCommand,
    }

    const CHECK: ConfigCommand = ConfigCommand::Check { without_secrets: false };

    fn output(command: &ConfigCommand, environment: &Environment) -> (ExitCode, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let inputs = ConfigInputs { file: None, environment, flags: &[] };
        let code = run(command, inputs, &mut out, &mut err).unwrap();
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn environment(settings: &[(&str, &str)]) -> Environment {
        settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_arguments_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn valid_configuration_is_ok_with_a_summary() {
        let (code, out, err) = output(&CHECK, &environment(&[("NTP_SERVER", "a.example, b.example")]));
        assert_eq!(code, ExitCode::SUCCESS);
        assert_eq!(out, "ok: 2 servers, outputs: store, csv; http on 127.0.0.1:8080\n");
        assert_eq!(err, "");
    }

    #[test]
    fn check_names_every_fault_and_exits_with_78() {
        let bad = environment(&[("LOG_LEVEL", "loud"), ("POLLING_INTERVAL", "often")]);
        let (code, out, err) = output(&CHECK, &bad);
        assert_eq!(code, ExitCode::from(EXIT_CONFIG));
        assert_eq!(out, "");
        for part in
            ["environment LOG_LEVEL: log.level", "environment POLLING_INTERVAL: defaults.poll_interval", "2 faults"]
        {
            assert!(err.contains(part), "{part}: {err}");
        }
    }

    #[test]
    fn check_ignores_only_files_that_the_service_alone_can_read() {
        let command = ConfigCommand::Check { without_secrets: true };
        let base =
            [("NTP_SERVER", "a.example"), ("INFLUX_URL", "http://h:8086"), ("INFLUX_ORG", "o"), ("INFLUX_BUCKET", "b")];
        let unread = [("NTP_MONITOR__INFLUXDB__TOKEN_FILE", "no-such-credential")];
        let all = environment(&[&base[..], &unread].concat());
        assert_eq!(output(&CHECK, &all).0, ExitCode::from(EXIT_CONFIG));
        let (code, out, err) = output(&command, &all);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        assert_eq!(out, "ok, except for files that only the service can read: 1\n");

        let also_wrong = environment(&[&base[..], &unread, &[("LOG_LEVEL", "loud")]].concat());
        let (code, _, err) = output(&command, &also_wrong);
        assert_eq!(code, ExitCode::from(EXIT_CONFIG));
        assert!(err.contains("LOG_LEVEL") && err.contains("1 fault found") && !err.contains("credential"), "{err}");
    }

    #[test]
    fn show_masks_the_token_and_names_each_source() {
        let all = environment(&[
            ("NTP_SERVER", "a.example"),
            ("INFLUX_URL", "http://h:8086"),
            ("INFLUX_TOKEN", "hunter2"),
            ("INFLUX_ORG", "o"),
            ("INFLUX_BUCKET", "b"),
        ]);
        for json in [false, true] {
            let (code, out, _) = output(&ConfigCommand::Show { json }, &all);
            assert_eq!(code, ExitCode::SUCCESS);
            assert!(
                out.contains("********") && out.contains("environment INFLUX_TOKEN") && out.contains("default"),
                "{out}"
            );
            assert!(!out.contains("hunter2"), "{out}");
        }
    }
}
