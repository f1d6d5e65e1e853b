//! The program: only arguments and exit codes. Everything else is in the library.

use std::process::ExitCode;

use ntp_monitor::cli::commands::Cli;
use ntp_monitor::privilege;

fn main() -> ExitCode {
    if let Some(status) = privilege::keep(std::env::args_os()) {
        return status;
    }
    match Cli::read(std::env::args_os()) {
        Ok(cli) => cli.run(),
        Err(status) => status,
    }
}
