//! The message of a service that was started without a configuration file: where its page is, and the one-time link
//! that makes the reader its administrator.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Surroundings;
use super::beacon;
use crate::config::Config;
use crate::web::auth::setup::{SetupLink, VALID_FOR, has_administrator};
use crate::web::listen::Address;

/// The text that is printed once the service listens. It contains the code of the link, so it is not written to any
/// log.
pub(super) struct FirstStart {
    code: String,
    file: PathBuf,
    tls: bool,
}

impl FirstStart {
    /// Creates a link and makes the service accept it, unless the configuration has a token of an administrator. `file`
    /// is the file that the service writes to.
    pub(super) fn of(file: &Path, config: &Config, around: &mut Surroundings) -> Option<Self> {
        if has_administrator(&config.http) {
            return None;
        }
        let (link, code) = SetupLink::new(Instant::now());
        around.setup = Arc::new(link);
        Some(Self { code, file: file.to_owned(), tls: config.http.tls.is_some() })
    }

    /// Prints the message at once.
    pub(super) fn print(&self, listening: &[Address], out: &mut impl Write) -> io::Result<()> {
        let Some(page) = listening.iter().find_map(|address| beacon::page(address, self.tls)) else { return Ok(()) };
        let (code, file, minutes) = (&self.code, self.file.display(), VALID_FOR.as_secs() / 60);
        let text = format!(
            "\nOpen this link to add your servers. It works once, within {minutes} minutes, and makes you the \
             administrator:\n\n  {page}/#/?setup={code}\n\nServers that you add are written to {file}\n\n"
        );
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_is_one_line_with_an_address_of_this_host() {
        let first = FirstStart { code: "c0de".into(), file: "/h/servers.toml".into(), tls: false };
        let printed = |address: Address| {
            let mut out = Vec::new();
            first.print(&[address], &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = printed(Address::Tcp("0.0.0.0:8080".parse().unwrap()));
        assert!(text.contains("\n  http://127.0.0.1:8080/#/?setup=c0de\n"), "{text}");
        assert!(text.contains("within 15 minutes") && text.contains("/h/servers.toml"), "{text}");
        assert_eq!(printed(Address::Unix("/run/a".into())), "");
    }
}
