//! The program. Arguments and exit codes only; everything else is the library's.

use std::process::ExitCode;

use clap::Parser;
use ntp_monitor::cli::commands::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
