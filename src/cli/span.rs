//! The arguments of all commands that read the store: store, span and servers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::args::parse_positive;
use super::config::EXIT_CONFIG;
use crate::app::run::Inputs;
use crate::config::Config;
use crate::history::span::{Span, parse_instant};

/// Which store, which span.
#[derive(Debug, Clone, Args)]
pub struct SpanArgs {
    /// Path of the store [default: from the configuration]. The service may be running.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// How far back from the end (7d, 12h) [default: 24h; `report`: 7d; `export`: everything].
    #[arg(long, value_name = "TIME", value_parser = parse_positive, conflicts_with = "from")]
    pub since: Option<Duration>,
    /// Start of the span: RFC 3339, or a date, or a date and time in UTC.
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub from: Option<i64>,
    /// End of the span, in the same formats [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub to: Option<i64>,
    /// Only this server; may be repeated.
    #[arg(long = "server", value_name = "NAME")]
    pub servers: Vec<String>,
}

/// The hint when neither a configuration nor a store is given.
pub(super) const NAME_ONE: &str = "Name the configuration with --config, or the store with --store.";

/// How far back a command looks by default.
const USUAL: Duration = Duration::from_secs(86_400);

impl SpanArgs {
    /// The span that the arguments describe, `usual` long by default.
    ///
    /// # Errors
    /// When it ends before it begins.
    pub(super) fn span(&self, usual: Option<Duration>) -> Result<Span, String> {
        let to_ns = self.to.unwrap_or_else(|| crate::clock::now().wall_ns.saturating_add(1));
        let span = match self.from {
            Some(from_ns) => Span { from_ns, to_ns },
            None => Span::ending(to_ns, self.since.or(usual).unwrap_or(USUAL)),
        };
        if span.from_ns < span.to_ns { Ok(span) } else { Err(format!("the span {span} is empty")) }
    }
}

/// The path of the store, and the configuration if one could be loaded.
#[derive(Debug)]
pub struct Place {
    pub store: PathBuf,
    /// `None` if the store was given and no configuration could be loaded.
    pub config: Option<Config>,
}

impl Place {
    /// Takes the store from the arguments, otherwise from the configuration.
    ///
    /// # Errors
    /// Returns the exit status if there is neither, after calling `complain` with the reason.
    pub fn find(store: Option<&PathBuf>, inputs: &Inputs, complain: impl Fn(&str)) -> Result<Self, ExitCode> {
        match (store, inputs.load()) {
            (Some(store), loaded) => Ok(Self { store: store.clone(), config: loaded.ok().map(|loaded| loaded.config) }),
            (None, Ok(loaded)) => Ok(Self { store: loaded.config.store.path.clone(), config: Some(loaded.config) }),
            (None, Err(faults)) => {
                complain(&format!("{faults}\n{NAME_ONE}"));
                Err(ExitCode::from(EXIT_CONFIG))
            }
        }
    }
}
