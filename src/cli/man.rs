//! The manual pages: one on stdout, or one for each command in a directory.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor man | man -l -
  ntp-monitor man --dir /usr/local/share/man/man1";

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Write the page of every command into this directory, which is created if necessary.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Writes the page of `program` to `out`, or every page into the directory that `args` names.
///
/// # Errors
/// When it cannot be written.
pub fn run(args: &ManArgs, program: clap::Command, out: &mut impl Write) -> io::Result<u8> {
    match &args.dir {
        None => clap_mangen::Man::new(program).render(out)?,
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            clap_mangen::generate_to(program, dir)?;
        }
    }
    Ok(0)
}
