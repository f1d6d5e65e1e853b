//! Python packages that tests compare with: of the system, or installed into a virtual environment below the target
//! directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A `python3` that can import `module`. `None`, said on stderr, where there is none and `package` cannot be installed.
///
/// # Panics
/// In CI, which must be able to install it.
pub fn with(module: &str, package: &str) -> Option<PathBuf> {
    let found = look(module, package);
    assert!(found.is_some() || std::env::var("CI").as_deref() != Ok("true"), "CI must be able to install {package}");
    if found.is_none() {
        eprintln!("skipped: no python3 that can import {module} or install {package}");
    }
    found
}

fn look(module: &str, package: &str) -> Option<PathBuf> {
    let system = PathBuf::from("python3");
    if imports(&system, module) {
        return Some(system);
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
    let python = venv.join("bin/python");
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let install = ["-m", "pip", "install", "--quiet", "--timeout", "15", "--retries", "1", package];
    let ready = imports(&python, module)
        || (succeeds(Command::new(&system).args(["-m", "venv"]).arg(&venv), minutes(2))
            && succeeds(Command::new(&python).args(install), minutes(5))
            && imports(&python, module));
    ready.then_some(python)
}

fn imports(python: &Path, module: &str) -> bool {
    succeeds(Command::new(python).args(["-c", &format!("import {module}")]), Duration::from_secs(120))
}

fn succeeds(command: &mut Command, patience: Duration) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().is_ok_and(|child| ends_well(child, patience))
}

/// Waits for the end of a child, ends it when the patience does, and says whether it succeeded.
pub fn ends_well(mut child: Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    child.kill().and_then(|()| child.wait()).is_ok_and(|status| status.success())
}
