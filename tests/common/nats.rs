//! A nats-server with JetStream on a free port of loopback, ended with the test.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::wait::until;

/// The program: `NATS_SERVER`, the one that scripts/install-dependencies.sh fetches, or the one in PATH, if any.
pub fn program() -> Option<PathBuf> {
    let named = std::env::var_os("NATS_SERVER").map(PathBuf::from);
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/nats-server/nats-server");
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("nats-server")).find(|file| file.is_file())
    };
    named.or_else(|| Some(fetched).filter(|file| file.is_file())).or_else(in_path)
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server with its own directory and port, which it keeps when it is stopped and started again.
pub struct Nats {
    program: PathBuf,
    child: Option<Child>,
    port: u16,
    data: TempDir,
    /// Additional lines of the configuration.
    more: String,
}

impl Nats {
    /// Starts a server; prints a message and returns `None` if none is installed.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    pub fn start_with(more: &str) -> Option<Self> {
        Self::run(program(), more)
    }

    /// Starts the oldest release that is supported.
    pub fn oldest() -> Option<Self> {
        let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/nats-server/nats-server-oldest");
        Self::run(Some(fetched).filter(|file| file.is_file()), "")
    }

    fn run(program: Option<PathBuf>, more: &str) -> Option<Self> {
        let Some(program) = program else {
            eprintln!("skipped: there is no nats-server; run scripts/install-dependencies.sh test");
            return None;
        };
        let port = free_port();
        let data = tempfile::tempdir().unwrap();
        let mut server = Self { program, child: None, port, data, more: more.to_owned() };
        server.start_again();
        Some(server)
    }

    /// Starts a server with the configuration at `config`, which listens on `port`; `None` if none is installed.
    pub fn configured(config: &Path, port: u16) -> Option<Self> {
        let program = program()?;
        let checked = Command::new(&program).arg("-t").arg("-c").arg(config).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let data = tempfile::tempdir().unwrap();
        let mut server = Self { program, child: None, port, data, more: String::new() };
        server.spawn(config);
        Some(server)
    }

    /// Restarts the killed server with its data.
    pub fn start_again(&mut self) {
        let config = self.data.path().join("nats.conf");
        let storage = self.data.path().join("js");
        let mut file = std::fs::File::create(&config).unwrap();
        writeln!(file, "listen: \"127.0.0.1:{}\"\njetstream {{ store_dir: {storage:?} }}", self.port).unwrap();
        writeln!(file, "{}", self.more).unwrap();
        self.spawn(&config);
    }

    fn spawn(&mut self, config: &Path) {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("the nats-server listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn log_file(&self) -> PathBuf {
        self.data.path().join("log")
    }

    /// Kills the server with SIGKILL. Unlike in a power failure, the kernel still writes its buffers.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Kills the server and starts it without data.
    pub fn lose_everything(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.data.path().join("js")).unwrap();
        self.start_again();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Three servers that form a cluster; `None` if none is installed.
    pub fn cluster() -> Option<Vec<Self>> {
        program()?;
        let routes: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let all = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>().join(", ");
        let member = |(n, port): (usize, &u16)| {
            let more =
                format!("server_name: n{n}\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [ {all} ] }}");
            Self::start_with(&more)
        };
        routes.iter().enumerate().map(member).collect()
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills the server for this long.
    pub fn interrupt(&mut self, pause: Duration) {
        self.kill();
        // This does not wait for an event: the test needs an outage of this length.
        std::thread::sleep(pause);
        self.start_again();
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of nats-server:\n{}", std::fs::read_to_string(self.log_file()).unwrap_or_default());
        }
    }
}
