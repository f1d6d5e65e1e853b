//! Tools in other languages that tests run: finds them, installs them below the target directory, and limits their
//! time.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// A directory for tools that the tests install; it is kept for later runs.
pub fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Whether a test may be skipped when a tool is missing: not in CI.
pub fn may_skip(tool: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must be able to install {tool}");
    eprintln!("skipped: no {tool} here, and it cannot be installed");
}

/// The `python3` that runs `check` (a program text): the system's, or one in a virtual environment called `name`, which
/// is made with these arguments of `pip install` for each step.
pub fn python(name: &str, check: &str, installs: &[&[&str]]) -> Option<PathBuf> {
    let runs = |python: &Path| succeeds(Command::new(python).args(["-c", check]), ANSWERS_WITHIN);
    let system = PathBuf::from("python3");
    if runs(&system) {
        return Some(system);
    }
    let venv = place(name);
    // Several tests, in one process or in several, may want it at the same time, and only one of them may install.
    let lock = File::create(venv.with_extension("lock")).unwrap();
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, why)| why).unwrap();
    let python = venv.join("bin/python");
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let install = ["-m", "pip", "install", "--quiet", "--timeout", "15", "--retries", "1"];
    let installed = || {
        let step = |step: &&[&str]| succeeds(Command::new(&python).args(install).args(*step), minutes(5));
        succeeds(Command::new(&system).args(["-m", "venv"]).arg(&venv), minutes(2)) && installs.iter().all(step)
    };
    (runs(&python) || installed() && runs(&python)).then_some(python)
}

/// Runs a command that reads JSON and writes JSON.
pub fn converse(command: &mut Command, job: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program ran a moment ago");
    // The programs read all of their input before they write, so the pipes cannot block each other.
    child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    assert!(ends_well(child, ANSWERS_WITHIN), "the other program failed; its error stands above");
    serde_json::from_str(&reader.join().unwrap().unwrap()).unwrap()
}

/// Runs a command without output.
pub fn succeeds(command: &mut Command, patience: Duration) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().is_ok_and(|child| ends_well(child, patience))
}

/// Waits for the end of a child, kills it after `patience`, and returns whether it succeeded.
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
