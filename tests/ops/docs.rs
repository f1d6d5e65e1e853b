//! Runs every command in README.md and docs/: each block of `sh` runs in a separate network, with a service on port
//! 8080, a time server on port 123 and a small `servers.toml`. A block that cannot be run says why in a
//! comment before it: `<!-- not run: REASON -->`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::monitor::text;
use crate::common::root;

/// Blocks that run at once; a block mostly waits for a service to start.
const AT_ONCE: usize = 4;

/// A block of commands and its position.
struct Block {
    place: String,
    lines: Vec<String>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    all.sort();
    all.insert(0, repository().join("README.md"));
    all
}

/// The blocks of a document to run.
fn blocks(path: &Path) -> Vec<Block> {
    let content = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().display();
    let (mut found, mut open, mut skip) = (Vec::new(), None::<Block>, false);
    for (number, line) in content.lines().enumerate() {
        match &mut open {
            Some(_) if line.trim() == "```" => found.extend(open.take()),
            Some(block) => block.lines.push(line.to_owned()),
            None if line.starts_with("<!-- not run: ") => skip = true,
            None if line == "```sh" && !std::mem::take(&mut skip) => {
                open = Some(Block { place: format!("{name}:{}", number + 1), lines: Vec::new() });
            }
            None => {}
        }
    }
    found
}

/// Whole commands: a line that ends in a backslash continues in the next.
fn commands(block: &Block) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in block.lines.iter().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        match all.last_mut().filter(|_| is_open) {
            Some(command) => *command = format!("{}{}", command.trim_end_matches('\\'), line.trim_start()),
            None => all.push(line.clone()),
        }
        is_open = line.ends_with('\\');
    }
    all
}

/// Whether a command runs until a signal stops it.
fn is_service(command: &str) -> bool {
    let said = command.split(" #").next().unwrap_or_default().trim_end();
    let ends = ["ntp-monitor", "ntp-monitor --config servers.toml"].iter().any(|end| said.ends_with(end));
    ends || (said.contains("ntp-monitor demo") && !said.contains("--for"))
}

/// The environment of the commands as a script that ends with the block itself.
fn script(block: &Block) -> String {
    let ready = "until curl -sf -o health http://127.0.0.1:8080/ready && curl -sf -o health http://127.0.0.1:8080/health\n\
                 do sleep 0.1; done";
    let mut script = String::from(
        "set -euo pipefail\nip link set lo up\nmount --bind hosts /etc/hosts\nmount -t tmpfs none /run\n\
         chronyd -x -d -U -u root -f chrony.conf >chronyd.log 2>&1 &\n",
    );
    let commands = commands(block);
    if !commands.iter().any(|command| is_service(command)) {
        let _ = writeln!(script, "ntp-monitor --config servers.toml >service.log 2>&1 &\n{ready}");
    }
    for command in commands {
        let _ = match is_service(&command) {
            // A comment at its end would hide the rest.
            true => writeln!(script, "{} >service.log 2>&1 &\n{ready}", command.split(" #").next().unwrap_or_default()),
            false => writeln!(script, "{command}"),
        };
    }
    script
}

/// A working directory: the repository's files, the program, and replacements for commands that would take minutes.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for part in ["setup.sh", "scripts", "systemd", "config", "docs", "Makefile", "Cargo.toml"] {
        std::os::unix::fs::symlink(repository().join(part), at(part)).unwrap();
    }
    fs::create_dir_all(at("target/release")).unwrap();
    fs::create_dir(at("bin")).unwrap();
    for program in ["bin/ntp-monitor", "target/release/ntp-monitor"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ntp-monitor"), at(program)).unwrap();
    }
    // The program is built already; only the existence of the target is tested.
    root::run(Command::new("sh").current_dir(dir.path()).args([
        "-c",
        "printf '#!/bin/sh\\nexec /usr/bin/make -n \"$@\" >/dev/null\\n' >bin/make; printf '#!/bin/sh\\n' >bin/cargo; \
         chmod +x bin/make bin/cargo",
    ]));
    let names = "time.cloudflare.com ptbtime1.ptb.de 2.pool.ntp.org time.example.net a.example b.example";
    fs::write(at("hosts"), format!("127.0.0.1 localhost {names}\n")).unwrap();
    // It removes its PID file when it ends.
    let chrony = format!("local stratum 2\nallow\nport 123\ncmdport 0\npidfile {}\n", at("chronyd.pid").display());
    fs::write(at("chrony.conf"), chrony).unwrap();
    let servers = "[monitor]\ndata_dir = \"data\"\n[csv]\n[[server]]\nname = \"office\"\naddress = \"127.0.0.1\"\nown = true\n\
                   poll_interval = \"200ms\"\n";
    fs::write(at("servers.toml"), servers).unwrap();
    dir
}

#[test]
fn every_command_in_the_documents_runs() {
    if !root::is_root("every_command_in_the_documents_runs") {
        return;
    }
    let blocks: Vec<Block> = documents().iter().flat_map(|path| blocks(path)).collect();
    assert!(blocks.len() > 10, "only {} blocks were found", blocks.len());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(String::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(what) = perform(block) {
                        failed.lock().unwrap().push_str(&what);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed}");
}

/// Runs a block in its own network, mount and process namespaces.
fn perform(block: &Block) -> Result<(), String> {
    let dir = workplace();
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "timeout", "100", "bash", "-c"]);
    command.arg(script(block)).current_dir(dir.path()).env_clear().env("HOME", dir.path());
    let path =
        format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", dir.path().join("bin").display());
    // A process that is killed at the end cannot remove its temporary files.
    command.env("PATH", path).env("LC_ALL", "C.UTF-8").env("TMPDIR", dir.path());
    let output = command.output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    let log = fs::read_to_string(dir.path().join("service.log")).unwrap_or_default();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Err(format!("--- {} ({:?})\n{}\n{out}{err}{log}\n", block.place, output.status, script(block)))
}

#[test]
fn a_block_that_is_not_run_is_preceded_by_its_reason() {
    for path in documents() {
        let content = fs::read_to_string(&path).unwrap();
        for (line, next) in content.lines().zip(content.lines().skip(1)) {
            if let Some(rest) = line.strip_prefix("<!-- not run:") {
                assert!(rest.trim_end_matches("-->").trim().len() > 10, "{}: {line}", path.display());
                assert_eq!(next, "```sh", "{}: {line}", path.display());
            }
        }
    }
}
