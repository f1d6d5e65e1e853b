//! The program in a separate directory with its configuration, log and data.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::wait::{find, until};

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The program with an empty environment, in `dir`.
pub fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ntp-monitor"));
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    command
}

pub fn run(dir: &Path, arguments: &[&str]) -> Output {
    program(dir).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory with a configuration, in which the service can run repeatedly.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    /// A home whose configuration file holds the usual sections and `more`.
    pub fn with(more: &str) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.configure(more);
        home
    }

    /// Rewrites the configuration; a running service applies it at SIGHUP.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "[monitor]\nvantage = \"here\"\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[csv]\n{more}\n",
            self.data()
        );
        self.write(&text);
    }

    /// Writes a whole configuration, valid or not.
    pub fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("servers.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn csv(&self) -> PathBuf {
        self.data().join("csv")
    }

    pub fn store(&self) -> PathBuf {
        self.data().join("ntp-monitor.db")
    }

    /// The service with this configuration, not started yet.
    pub fn command(&self) -> Command {
        let mut command = program(self.path());
        command.arg("--config").arg(self.config());
        command
    }

    pub fn start(&self) -> Monitor {
        Monitor::spawn(&mut self.command(), self.path())
    }

    /// Starts the service and waits until it ends by itself; returns its exit code and stderr.
    pub fn fails(&self) -> (i32, String) {
        let mut monitor = self.start();
        (monitor.end(), monitor.log())
    }
}

/// A `[[server]]` with `own = true`, polled every 100 ms and without questions, so that every request is a poll.
pub fn own(name: &str, address: SocketAddr) -> String {
    format!(
        "[[server]]\nname = {name:?}\naddress = \"{address}\"\nown = true\npoll_interval = \"100ms\"\n\
         timeout = \"90ms\"\nsheet = false\n"
    )
}

/// A running service; killed and reaped when dropped, also when the test fails.
pub struct Monitor {
    child: Child,
    log: PathBuf,
    out: PathBuf,
    code: Option<i32>,
}

impl Monitor {
    /// Starts `command`, whose stdout and stderr go to new files in `dir`.
    pub fn spawn(command: &mut Command, dir: &Path) -> Self {
        let (log, out) = (fresh(dir, "stderr"), fresh(dir, "stdout"));
        let child = command.stderr(File::create(&log).unwrap()).stdout(File::create(&out).unwrap()).spawn().unwrap();
        Self { child, log, out, code: None }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything written to stderr so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Everything written to stdout so far.
    pub fn out(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    /// Waits for a log record that contains `text`, and returns its line.
    #[track_caller]
    pub fn logged(&mut self, text: &str) -> String {
        find(&format!("{text:?} in the log"), || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(text)).map(str::to_owned);
            if line.is_none() && self.child.try_wait().unwrap().is_some() {
                panic!("the program ended, without {text:?} in its log:\n{}", self.log());
            }
            line
        })
    }

    /// The HTTP address, once the service answers.
    #[track_caller]
    pub fn http(&mut self) -> SocketAddr {
        let record: Value = serde_json::from_str(&self.logged("\"started\"")).unwrap();
        record["http"].as_str().unwrap().trim_matches(['[', ']']).parse().unwrap()
    }

    /// Requests `path`; returns status and body.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> (u16, Value) {
        let address = self.http();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// Waits until `wanted` accepts `/health`, and returns it with its status.
    #[track_caller]
    pub fn health(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> (u16, Value) {
        find(what, || Some(self.get("/health")).filter(|(_, body)| wanted(body)))
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().cast_signed()), signal).unwrap();
    }

    /// Reloads the configuration, and waits until the result is logged.
    #[track_caller]
    pub fn reload(&mut self) -> String {
        let before = self.log().lines().filter(|line| is_end_of_reload(line)).count();
        self.signal(Signal::SIGHUP);
        find("a reload", || self.log().lines().filter(|line| is_end_of_reload(line)).nth(before).map(str::to_owned))
    }

    /// Waits for its end, and returns its exit code.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        until("the end of the program", || self.try_end().is_some());
        self.code.unwrap()
    }

    fn try_end(&mut self) -> Option<i32> {
        let status: Option<ExitStatus> = self.child.try_wait().unwrap();
        self.code = status.map(|status| status.code().unwrap_or(-1));
        self.code
    }

    /// Stops it, and returns its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// Kills it with SIGKILL, and reaps it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn is_end_of_reload(line: &str) -> bool {
    line.contains("configuration reloaded") || line.contains("configuration not reloaded")
}

fn fresh(dir: &Path, name: &str) -> PathBuf {
    let paths = (1..).map(|n| dir.join(format!("{name}.{n}")));
    paths.into_iter().find(|path| !path.exists()).unwrap()
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the program:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}
