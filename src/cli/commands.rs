//! The command line as a whole: the arguments, and which function runs.

use std::ffi::OsString;
use std::io::{Stderr, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use super::config::{ConfigCommand, ConfigInputs, EXIT_CONFIG, NO_FILE};
use super::measure::Tools;
use super::output::{Destination, Unreachable, refuse_own};
use super::span::{NAME_ONE, Place};
use super::table::Terminal;
use super::upkeep::UpkeepError;
use super::{
    check, clock, config, demo, doctor, export, fleet, health, make_report, man, notify, plot, query, replay, sheet,
    stats, upkeep, watch,
};
use crate::app::memory;
use crate::app::own_file::{self, OwnFile};
use crate::app::permissions::{self, Tightened};
use crate::app::run::{self, Inputs};
use crate::config::{Config, Faults, Loaded, process_environment};
use crate::doctor::Examination;
use crate::log;
use crate::privilege::{self, Plan, Refusal};
use crate::probe::Engines;
use crate::probe::resolve::system::SystemResolver;

const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// A command line that cannot be understood.
const EXIT_USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor demo                            a playground on this host, no network needed
  ntp-monitor clock                           say whether the clock of this host is right
  ntp-monitor query time.example.net          measure a server now
  ntp-monitor                                 run the service; add servers on its page
  ntp-monitor --config servers.toml           run the service
  NTP_SERVER=a.example,b.example ntp-monitor  the same, configured by environment variables

Offsets are positive when the server is ahead of this host.
Exit status: 0 success, 1 failure, 2 wrong usage, 78 invalid configuration. `check` exits as a monitoring plugin.";

const COMPLETIONS: &str = "\
Examples:
  ntp-monitor completions bash > ~/.local/share/bash-completion/completions/ntp-monitor
  ntp-monitor completions zsh > /usr/local/share/zsh/site-functions/_ntp-monitor
  ntp-monitor completions fish > ~/.config/fish/completions/ntp-monitor.fish";

/// Watches NTP servers and the clock of this host, and says who is wrong, by how much, and since when.
#[derive(Debug, Parser)]
#[command(name = "ntp-monitor", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// Configuration: TOML, or YAML or JSON by extension.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one key of the configuration, for instance `--set log.level=debug`.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// What to do; without it, run the service.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service. This is the default.
    #[command(after_help = "Example:\n  ntp-monitor --config servers.toml run")]
    Run,
    /// Run the service against scripted servers on this host.
    Demo(demo::DemoArgs),
    /// Measure servers now, side by side.
    Query(query::QueryArgs),
    /// Check servers as a monitoring plugin.
    Check(check::CheckArgs),
    /// Say whether the clock of this host is right.
    Clock(clock::ClockArgs),
    /// Recompute statistics and verdicts from recorded samples, at their recorded times.
    Replay(replay::ReplayArgs),
    /// Print statistics, verdicts and events of a span from the store.
    Stats(stats::StatsArgs),
    /// Write the samples of the store as CSV, JSON lines or InfluxDB line protocol.
    Export(export::ExportArgs),
    /// Draw a chart of a span from the store, as SVG or PNG.
    Plot(plot::PlotArgs),
    /// Make a report of a span: one HTML page with tables, charts and evidence.
    Report(make_report::ReportArgs),
    /// Check or show the configuration, or print its reference.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check everything that the service depends on, and say what to fix.
    Doctor(doctor::DoctorArgs),
    /// Report the health of the running service, as a monitoring plugin or a container health check.
    Health(health::HealthArgs),
    /// Copy the store while the service runs.
    Backup(upkeep::BackupArgs),
    /// Restore the store from a copy.
    Restore(upkeep::RestoreArgs),
    /// Check, vacuum or prune the store.
    #[command(subcommand)]
    Store(upkeep::StoreCommand),
    /// List notifiers, or test one.
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Prepare what a fleet needs in addition to the service, such as the configuration of NATS.
    #[command(subcommand)]
    Fleet(fleet::FleetCommand),
    /// Print completions for a shell.
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands.
    Man(man::ManArgs),
}

impl Cli {
    /// Reads a command line, the name of the program first.
    ///
    /// # Errors
    /// The exit status, when it asks for help (which has been printed) or is invalid (which has been reported).
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let line: Vec<OsString> = line.into_iter().collect();
        Self::try_parse_from(&line).map_err(|error| {
            // If these cannot be printed, there is no output left to report it on.
            if error.exit_code() != 0 && is_check(&line) {
                let _ = writeln!(std::io::stdout(), "{}", check::usage_line(&error));
                return ExitCode::from(check::EXIT_UNKNOWN);
            }
            let _ = error.print();
            if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) }
        })
    }

    /// Runs the command and returns the exit status. If an error may be caused by the rights of another user, it names
    /// that user.
    pub fn run(self) -> ExitCode {
        let status = self.execute();
        if let (true, Some(became)) = (status != ExitCode::SUCCESS, privilege::became()) {
            complain(&became.to_string());
        }
        status
    }

    fn execute(self) -> ExitCode {
        let given = Inputs { file: self.config, environment: process_environment(), flags: self.overrides };
        let command = self.command.unwrap_or(Command::Run);
        // `health` finds a running service no matter how it was started.
        let inputs = match command {
            Command::Health(_) => given,
            _ => own_file::completed(own_file::with_user_directory(given)),
        };
        match command {
            Command::Run => service(inputs),
            Command::Demo(args) => {
                let plan = args.dir.as_deref().map_or(Ok(Plan::none()), Plan::for_work_on);
                settled(plan, || block_on(demo::run(args)))
            }
            Command::Query(args) => measured(&args),
            Command::Check(args) => {
                plugin(block_on(async { check::run(&args, &tools(args.measure.engine), &mut std::io::stdout()).await }))
            }
            Command::Clock(args) => finish(block_on(async {
                let tools = tools(crate::config::EngineChoice::Kernel);
                clock::run(&args, &inputs, &tools, &mut std::io::stdout()).await
            })),
            Command::Replay(args) => replayed(&args, &inputs),
            Command::Stats(args) => with_store(&inputs, args.span.store.as_ref(), None, |place, _, err| {
                stats::run(&args, place, Terminal::detect(), &mut std::io::stdout(), err)
            }),
            Command::Export(args) => {
                with_store(&inputs, args.span.store.as_ref(), args.output.as_deref(), |place, to, err| {
                    export::run(&args, place, to, Terminal::detect(), err)
                })
            }
            Command::Plot(args) => {
                with_store(&inputs, args.span.store.as_ref(), Some(&args.output), |place, to, err| {
                    plot::run(&args, place, to, Terminal::detect(), err)
                })
            }
            Command::Report(args) => {
                with_store(&inputs, args.span.store.as_ref(), Some(&args.output), |place, to, err| {
                    make_report::run(&args, place, to, Terminal::detect(), err)
                })
            }
            Command::Config(command) => {
                let file = inputs.file.as_deref();
                let inputs = ConfigInputs { file, environment: &inputs.environment, flags: &inputs.flags };
                let done = config::run(&command, inputs, &mut std::io::stdout(), &mut std::io::stderr());
                done.unwrap_or_else(|why| unprinted(&why, ExitCode::FAILURE))
            }
            Command::Notify(command) => finish(block_on(async {
                notify::run(&command, &inputs, &mut std::io::stdout(), &mut std::io::stderr()).await
            })),
            Command::Completions { shell } => completions(shell),
            Command::Fleet(command) => match fleet::run(&command, &mut std::io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    complain(&why);
                    ExitCode::FAILURE
                }
            },
            Command::Doctor(args) => doctor(&args, inputs),
            Command::Health(args) => {
                plugin(block_on(async { health::run(&args, &inputs, &mut std::io::stdout()).await }))
            }
            Command::Backup(args) => upkeep_ended(upkeep::backup(&args, || configuration(&inputs), voice())),
            Command::Restore(args) => upkeep_ended(upkeep::restore(&args, || configuration(&inputs), voice())),
            Command::Store(command) => upkeep_ended(upkeep::store(&command, || configuration(&inputs), voice())),
            Command::Man(args) => {
                let plan = args.dir.as_deref().map_or(Ok(Plan::none()), Plan::for_work_on);
                settled(plan, || finish(man::run(&args, Self::command(), &mut std::io::stdout())))
            }
        }
    }
}

/// Whether an invalid command line is meant for `check`, whose exit statuses are those of plugins.
fn is_check(line: &[OsString]) -> bool {
    let lenient = Cli::command().ignore_errors(true).try_get_matches_from(line);
    lenient.is_ok_and(|matches| matches.subcommand_name() == Some("check"))
}

fn measured(args: &query::QueryArgs) -> ExitCode {
    if let Some(interval) = args.misplaced_interval() {
        complain(&format!("{interval} is an interval and no server: write --watch={interval}"));
        return ExitCode::from(EXIT_USAGE);
    }
    finish(block_on(async {
        let (tools, terminal, out) = (tools(args.measure.engine), Terminal::detect(), &mut std::io::stdout());
        match args.watch {
            _ if args.sheet => sheet::run(args, &tools, terminal, out).await,
            Some(every) => watch::run(args, every, &tools, terminal, out).await,
            None => query::run(args, &tools, terminal, out).await,
        }
    }))
}

fn replayed(args: &replay::ReplayArgs, inputs: &Inputs) -> ExitCode {
    match replay::Recipe::new(args, inputs) {
        Ok(recipe) => {
            let plan = recipe.store.as_deref().map_or(Ok(Plan::none()), Plan::for_work_on);
            let (out, err) = (&mut std::io::stdout().lock(), &mut std::io::stderr());
            settled(plan, || finish(replay::run(args, recipe, Terminal::detect(), out, err)))
        }
        Err(faults) => {
            complain(&faults);
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    // The generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ntp-monitor", &mut script);
    finish(std::io::stdout().write_all(&script).map(|()| 0))
}

fn service(inputs: Inputs) -> ExitCode {
    let warning = match memory::prepare() {
        Ok(warning) => warning,
        Err(why) => {
            complain(&why);
            return ExitCode::FAILURE;
        }
    };
    let own = OwnFile::of(&inputs.environment);
    let missing = own_file::missing(&inputs);
    let inputs = match &missing {
        Some(own) => Inputs { file: Some(own.path.clone()), ..inputs },
        None => inputs,
    };
    let own = own.filter(|own| inputs.file.as_ref() == Some(&own.path));
    let read = own.as_ref().map_or_else(|| inputs.load(), |own| own_file::load(own, &inputs));
    let mut loaded = match read {
        Ok(loaded) => loaded,
        Err(faults) => {
            complain(&config::in_words(&faults, inputs.file.as_deref()));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if inputs.file.is_none() && loaded.config.servers.is_empty() && loaded.config.fleet.is_none() {
        complain(&format!(
            "no server is configured, and there is no home directory for a configuration file\n{NO_FILE}"
        ));
        return ExitCode::from(EXIT_CONFIG);
    }
    loaded.warnings.extend(warning);
    // Before the log file is opened, and before there is a second thread.
    settled(crate::app::places::plan(&loaded.config), || {
        permissions::limit_new_files();
        if let Some(Err(why)) = own.as_ref().map(OwnFile::create) {
            complain(&format!("{why}\n{NO_FILE}"));
            return ExitCode::FAILURE;
        }
        let tightened = permissions::tighten(&loaded.config);
        let first = own.map(|own| own.path).or_else(|| own_file::at_first_start(&inputs, &loaded.config));
        serve(&inputs, loaded, first.as_deref(), &tightened)
    })
}

fn serve(inputs: &Inputs, loaded: Loaded, first: Option<&Path>, tightened: &Tightened) -> ExitCode {
    let (logger, guard) = match log::init(&loaded.config.log) {
        Ok(logging) => logging,
        Err(why) => {
            complain(&why.to_string());
            return ExitCode::FAILURE;
        }
    };
    log::log_panics(&logger);
    tightened.report(&logger);
    block_on(async {
        match run::run(inputs, loaded, first, &logger, &guard.control()).await {
            Ok(code) => code,
            Err(why) => {
                slog::crit!(logger, "cannot start"; "reason" => %why);
                ExitCode::FAILURE
            }
        }
    })
}

fn doctor(args: &doctor::DoctorArgs, inputs: Inputs) -> ExitCode {
    let loaded = inputs.load();
    let settled =
        loaded.as_ref().map_or(Ok(()), |loaded| crate::app::places::plan(&loaded.config).and_then(Plan::settle));
    let examination = Examination {
        loaded,
        refused: settled.err(),
        file: inputs.file,
        offline: args.offline,
        engines: Engines::new(&log::discard()),
        resolver: Arc::new(SystemResolver::new(RESOLVE_WITHIN)),
    };
    finish(block_on(async {
        let (out, err) = (&mut std::io::stdout(), &mut std::io::stderr());
        doctor::run(args, &examination, Terminal::detect(), out, err).await
    }))
}

fn configuration(inputs: &Inputs) -> Result<Config, Faults> {
    inputs.load().map(Loaded::into_config)
}

fn voice() -> upkeep::Voice<std::io::Stdout, std::io::Stderr> {
    upkeep::Voice { out: std::io::stdout(), err: std::io::stderr(), terminal: Terminal::detect() }
}

fn upkeep_ended(done: Result<u8, UpkeepError>) -> ExitCode {
    done.map(ExitCode::from).unwrap_or_else(|why| match why {
        UpkeepError::Config(faults) => {
            complain(&format!("{faults}\n{NAME_ONE}"));
            ExitCode::from(EXIT_CONFIG)
        }
        other => {
            complain(&other.to_string());
            ExitCode::FAILURE
        }
    })
}

fn tools(engine: crate::config::EngineChoice) -> Tools {
    let engines = Engines::new(&log::discard());
    Tools { engine: engines.choose(engine), resolver: Arc::new(SystemResolver::new(RESOLVE_WITHIN)) }
}

/// Finds the store and runs `work` on it, as the user who owns it if this process is root.
fn with_store(
    inputs: &Inputs,
    store: Option<&PathBuf>,
    output: Option<&Path>,
    work: impl FnOnce(&Place, Destination, &mut Stderr) -> std::io::Result<u8>,
) -> ExitCode {
    let place = match Place::find(store, inputs, complain) {
        Ok(place) => place,
        Err(status) => return status,
    };
    let destination = || {
        let configured = place.config.as_ref().map_or(&place.store, |config| &config.store.path);
        output.map_or(Ok(()), |path| refuse_own(path, &[&place.store, configured], inputs.file.as_deref()))?;
        let plan = Plan::for_work_on(&place.store)?;
        let to = Destination::choose(output, &plan)?;
        plan.settle()?;
        Ok::<_, Unreachable>(to)
    };
    match destination() {
        Ok(to) => finish(work(&place, to, &mut std::io::stderr())),
        Err(why) => {
            complain(&why.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Switches to the user that `plan` names, then runs `work`.
fn settled(plan: Result<Plan, Refusal>, work: impl FnOnce() -> ExitCode) -> ExitCode {
    match plan.and_then(Plan::settle) {
        Ok(()) => work(),
        Err(why) => {
            complain(&why.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Runs on an actix system, which all parts of the service need.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(work)
}

fn finish(status: std::io::Result<u8>) -> ExitCode {
    status.map_or_else(|why| unprinted(&why, ExitCode::FAILURE), ExitCode::from)
}

/// As [`finish`] for a monitoring plugin, where status 1 means a warning about a server.
fn plugin(status: std::io::Result<u8>) -> ExitCode {
    status.map_or_else(|why| unprinted(&why, ExitCode::from(check::EXIT_UNKNOWN)), ExitCode::from)
}

/// Reports an error of stdout, except for a closed pipe (`… | head`).
fn unprinted(why: &std::io::Error, status: ExitCode) -> ExitCode {
    if why.kind() != std::io::ErrorKind::BrokenPipe {
        complain(&format!("cannot write the output: {why}"));
    }
    status
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "ntp-monitor: {text}");
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
