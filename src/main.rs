//! The program. Arguments and exit codes only; everything else is the library's.

use std::process::ExitCode;

use ntp_monitor::cli::commands::Cli;

fn main() -> ExitCode {
    match Cli::read(std::env::args_os()) {
        Ok(cli) => cli.run(),
        Err(status) => status,
    }
}
