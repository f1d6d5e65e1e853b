//! Python with a package from PyPI: the system's, or one in a virtual environment below the target directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

/// An interpreter that can import `package`, which is installed when it must be. `None` where that is not possible; in CI
/// it has to be.
pub fn with_package(package: &str) -> Option<PathBuf> {
    let found = find(package);
    assert!(found.is_some() || std::env::var("CI").as_deref() != Ok("true"), "CI must be able to install {package}");
    if found.is_none() {
        eprintln!("skipped: no python3 that can import or install {package}");
    }
    found
}

fn find(package: &str) -> Option<PathBuf> {
    let system = PathBuf::from("python3");
    if imports(&system, package) {
        return Some(system);
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
    // Tests are processes of their own, and only one of them may install.
    let lock = File::create(venv.with_extension("lock")).unwrap();
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, why)| why).unwrap();
    let python = venv.join("bin/python");
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let install = ["-m", "pip", "install", "--quiet", "--timeout", "15", "--retries", "1", package];
    let ready = imports(&python, package)
        || (succeeds(Command::new(&system).args(["-m", "venv"]).arg(&venv), minutes(2))
            && succeeds(Command::new(&python).args(install), minutes(5))
            && imports(&python, package));
    ready.then_some(python)
}

fn imports(python: &Path, package: &str) -> bool {
    succeeds(Command::new(python).args(["-c", &format!("import {package}")]), Duration::from_secs(120))
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
