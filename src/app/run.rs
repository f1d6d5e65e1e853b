//! The service as a process: configuration, signals and the exit code.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::first_start::FirstStart;
use super::systemd::Manager;
use super::{Service, StartError, Surroundings, memory};
pub use crate::config::Inputs;
use crate::config::{Changes, Loaded};
use crate::log::LogControl;
use crate::web::config_editor::Reload;

/// Time from the stop signal to the end of the process. Container engines kill after 10 s, systemd after 90 s by default.
const STOP_WITHIN: Duration = Duration::from_millis(7500);

/// Memory that only the start needed is given back after this time, when most servers have been polled once.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// Runs until a stop signal arrives or a core child cannot stay up. At a first start, `first` is the file to which the
/// service writes what its administrator adds.
///
/// # Errors
/// When the service cannot start. The error has been logged.
pub async fn run(
    inputs: &Inputs,
    loaded: Loaded,
    first: Option<&Path>,
    log: &Logger,
    control: &LogControl,
) -> Result<ExitCode, StartError> {
    // Signals are registered first, so that a signal during the start does not end the process half-way.
    let signals = Signals::listen();
    for warning in &loaded.warnings {
        warn!(log, "{warning}");
    }
    let counter = control.clone();
    let mut around = Surroundings::real(log, Arc::new(move || counter.dropped())).editing(inputs.clone());
    let first_start = first.and_then(|file| FirstStart::of(file, &loaded.config, &mut around));
    let mut service = Service::start(loaded.into_config(), around, log).await?;
    let mut manager = Manager::new(log);
    manager.ready();
    if let Some(first_start) = first_start {
        let _whole = control.hold();
        // Without a terminal or journal, the link would not be read.
        let _ = first_start.print(service.listening(), &mut std::io::stderr().lock());
    }
    let later = tokio::spawn(async {
        tokio::time::sleep(STARTED_WITHIN).await;
        let _ = tokio::task::spawn_blocking(memory::give_back).await;
    });
    let code = attend(&mut service, signals, &mut manager, inputs, log, control).await;
    later.abort();
    manager.stopping();
    service.stop(Instant::now() + STOP_WITHIN).await;
    Ok(code)
}

/// The signals that the service handles.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// If file sizes are limited (LimitFSIZE=), SIGXFSZ would end the process. Because it is handled, the write fails
    /// instead, as on a full disk.
    _file_too_large: Signal,
}

impl Signals {
    fn listen() -> Self {
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
            hang_up: listen(SignalKind::hangup()),
            _file_too_large: listen(SignalKind::from_raw(nix::sys::signal::SIGXFSZ as i32)),
        }
    }
}

async fn attend(
    service: &mut Service,
    mut signals: Signals,
    manager: &mut Manager,
    inputs: &Inputs,
    log: &Logger,
    control: &LogControl,
) -> ExitCode {
    let mut escalation = service.escalation();
    let mut store_replaced = service.store_replaced();
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return ExitCode::SUCCESS,
            _ = signals.interrupt.recv() => return ExitCode::SUCCESS,
            _ = signals.hang_up.recv() => {
                manager.reloading();
                reload(service, inputs, log, control).await;
                manager.ready();
            }
            Some(asked) = service.next_reload() => edited(service, asked, log, control).await,
            () = manager.due() => manager.report(service).await,
            Ok(()) = store_replaced.changed() => {
                error!(log, "exiting so that the service manager restarts the service with the new store";
                    "reason" => store_replaced.borrow().clone());
                return ExitCode::FAILURE;
            }
            Ok(()) = escalation.changed() => {
                error!(log, "exiting so that the service manager restarts the service");
                return ExitCode::FAILURE;
            }
        }
    }
}

fn listen(kind: SignalKind) -> Signal {
    signal(kind).expect("signal handlers can be registered within a tokio runtime")
}

async fn reload(service: &mut Service, inputs: &Inputs, log: &Logger, control: &LogControl) {
    control.reopen();
    let reader = inputs.clone();
    // Reading many servers takes time, and polls become due meanwhile.
    let read = tokio::task::spawn_blocking(move || reader.load_again()).await;
    let loaded = match read {
        Ok(Ok(loaded)) => loaded,
        Err(died) => return error!(log, "configuration not reloaded"; "fault" => %died),
        Ok(Err(faults)) => {
            for fault in &faults.0 {
                error!(log, "configuration not reloaded"; "fault" => %fault);
            }
            return;
        }
    };
    // The error has been logged.
    let _ = apply_config(service, loaded, log, control).await;
}

/// Applies a configuration submitted by the web editor and answers the request.
pub(crate) async fn edited(service: &mut Service, asked: Reload, log: &Logger, control: &LogControl) {
    if asked.answer.is_closed() {
        return warn!(log, "a configuration edit was not applied"; "reason" => "the request was cancelled");
    }
    let result = apply_config(service, asked.loaded, log, control).await;
    // The requester may be gone; the result has been logged.
    let _ = asked.answer.send(result.map_err(|why| why.to_string()));
}

async fn apply_config(
    service: &mut Service,
    loaded: Loaded,
    log: &Logger,
    control: &LogControl,
) -> Result<Changes, StartError> {
    for warning in &loaded.warnings {
        warn!(log, "{warning}");
    }
    let level = loaded.config.log.level;
    // The sources of all values are dropped here. With many servers that takes time, and polls become due meanwhile.
    let alone = tokio::task::spawn_blocking(move || loaded.into_config()).await;
    let config = alone.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()));
    let result = service.reload(config).await;
    tokio::task::spawn_blocking(memory::give_back);
    match &result {
        Ok(changes) => {
            control.set_level(level);
            info!(log, "configuration reloaded"; "added" => changes.added.len(), "removed" => changes.removed.len(),
                "changed" => changes.changed.len(), "sections" => ?changes.sections);
        }
        Err(why) => error!(log, "configuration not reloaded"; "reason" => %why),
    }
    result
}
