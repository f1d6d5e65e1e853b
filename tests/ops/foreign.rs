//! Root works on the store of another user, who has put links to files of root into the data directory. No such file
//! changes, and the files that root creates in the directory belong to its owner.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use ntp_monitor::config::file::editable;
use ntp_monitor_core::world::World;

use crate::common::monitor::{Home, Monitor, program, text};
use crate::common::{root, stored};

/// No user of this machine.
const OWNER: u32 = 12_345;
const CONTENT: &str = "a file of root\n";
const SERVER: &str = "[[server]]\naddress = \"127.0.0.1:9\"\nown = true\n";

/// A home of root with a data directory of another user.
struct Foreign {
    home: Home,
}

/// How the name of a file refers to another one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trap {
    Symlink,
    HardLink,
}

impl Foreign {
    fn new() -> Self {
        let home = Home::with(SERVER);
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::create_dir(home.data()).unwrap();
        stored::store(stored::options(&home.data()), World::ordinary(3, 2, 64.0, 3600.0).samples());
        let foreign = Self { home };
        foreign.give_away();
        foreign.run(&["backup", "root.db"]);
        fs::create_dir(foreign.at("private")).unwrap();
        fs::set_permissions(foreign.at("private"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(foreign.at("root.db"), foreign.at("private/root.db")).unwrap();
        foreign
    }

    /// Gives the files that root created for the test to the owner.
    fn give_away(&self) {
        root::run(Command::new("chown").args(["-R", &format!("{OWNER}:{OWNER}")]).arg(self.home.data()));
    }

    /// Restores the data directory, with a copy of the store in it.
    fn renew(&self) {
        fs::remove_dir_all(self.home.data()).unwrap();
        fs::create_dir(self.home.data()).unwrap();
        for name in ["ntp-monitor.db", "kept.db"] {
            fs::copy(self.at("private/root.db"), self.home.data().join(name)).unwrap();
        }
        self.give_away();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.home.path());
        command.args(arguments).arg("--config").arg(self.home.config());
        command
    }

    fn attempt(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) {
        let output = self.attempt(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }

    /// Replaces a file in the data directory by a link, as its owner. Most kernels refuse hard links to files of root
    /// (fs.protected_hardlinks), so root creates those.
    fn plant(&self, name: &str, trap: Trap, victim: &Path) {
        let place = self.home.data().join(name);
        let _ = fs::remove_file(&place);
        if trap == Trap::HardLink {
            return fs::hard_link(victim, place).unwrap();
        }
        root::run(Command::new("ln").arg("-s").arg(victim).arg(place).uid(OWNER).gid(OWNER));
    }

    /// Everything in the data directory belongs to its owner, except links that root created for the owner.
    fn assert_left_to_owner(&self) {
        let mut dirs = vec![self.home.data()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let meta = entry.metadata().unwrap();
                assert_eq!((meta.uid(), meta.gid()), (OWNER, OWNER), "{:?}", entry.path());
                dirs.extend(meta.is_dir().then(|| entry.path()));
            }
        }
    }

    /// Runs the service until it is ready, or ends because it cannot write.
    fn serve(&self) {
        let mut service = Monitor::spawn(&mut self.command(&[]), self.home.path());
        let ended = || service.log().contains("\"started\"") || service.log().contains("this ran as");
        crate::common::wait::until("the start or the end of the service", ended);
        service.signal(Signal::SIGTERM);
        service.end();
    }
}

/// A file of root that must not change.
struct Victim(PathBuf);

impl Victim {
    fn new(foreign: &Foreign) -> Self {
        let path = foreign.at("victim");
        let _ = fs::remove_file(&path);
        fs::write(&path, CONTENT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Self(path)
    }

    #[track_caller]
    fn assert_untouched(&self, after: &str) {
        let meta = fs::metadata(&self.0).unwrap();
        let now = (fs::read_to_string(&self.0).unwrap(), meta.uid(), meta.gid(), meta.mode() & 0o7777);
        assert_eq!(now, (CONTENT.to_owned(), 0, 0, 0o600), "{after}");
    }
}

/// The operations of root on a store.
const OPERATIONS: [&[&str]; 14] = [
    &["store", "check"],
    &["store", "vacuum"],
    &["store", "prune"],
    &["backup", "out.db", "--force"],
    &["backup", "data/out.db", "--force"],
    &["restore", "private/root.db"],
    &["restore", "data/kept.db"],
    &["stats", "--from", "2000-01-01"],
    &["export", "-o", "out.csv"],
    &["export", "-o", "data/out.csv"],
    &["plot", "offset", "--from", "2000-01-01", "-o", "out.svg"],
    &["report", "--from", "2000-01-01", "-o", "out.html"],
    &["replay", "--since", "9000d"],
    &["doctor", "--offline"],
];

/// Names in the data directory that these operations open, create, replace or change the owner of.
const NAMES: [&str; 11] = [
    "ntp-monitor.db.lock",
    "ntp-monitor.db-wal",
    "ntp-monitor.db-shm",
    "ntp-monitor.db-journal",
    "ntp-monitor.db.restoring",
    "ntp-monitor.db.restoring-wal",
    "ntp-monitor.db.copying",
    "ntp-monitor.db",
    "out.db",
    "out.db.part",
    "out.csv",
];

#[test]
fn root_does_all_upkeep_with_the_rights_of_the_owner() {
    if !root::is_root("root_does_all_upkeep_with_the_rights_of_the_owner") {
        return;
    }
    let foreign = Foreign::new();
    foreign.renew();
    // Operations that delete old data come last.
    for operation in OPERATIONS.into_iter().filter(|operation| operation[1] != "prune") {
        if operation[0] != "doctor" {
            foreign.run(operation);
        }
        foreign.assert_left_to_owner();
    }
    foreign.run(&["store", "prune"]);
    foreign.assert_left_to_owner();
    // Files written elsewhere belong to root.
    for file in ["out.db", "out.csv", "out.svg", "out.html"] {
        let meta = fs::metadata(foreign.at(file)).unwrap();
        assert_eq!((meta.uid(), meta.len() > 0), (0, true), "{file}");
    }
    foreign.run(&["store", "check", "--full", "--store", "out.db"]);
    let left: Vec<_> = fs::read_dir(foreign.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
    let left: Vec<_> = fs::read_dir(foreign.home.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for end in [".part", ".copying", ".restoring"] {
        assert!(!left.iter().any(|name| name.to_string_lossy().contains(end)), "{left:?}");
    }
}

#[test]
fn no_upkeep_by_root_follows_a_link_of_the_owner() {
    if !root::is_root("no_upkeep_by_root_follows_a_link_of_the_owner") {
        return;
    }
    let foreign = Foreign::new();
    let victim = Victim::new(&foreign);
    for trap in [Trap::Symlink, Trap::HardLink] {
        for name in NAMES {
            for operation in OPERATIONS {
                foreign.renew();
                foreign.plant(name, trap, &victim.0);
                foreign.attempt(operation);
                victim.assert_untouched(&format!("{operation:?} with a {trap:?} at {name}"));
            }
        }
    }
}

#[test]
fn a_secret_copy_is_not_restored_through_a_link() {
    if !root::is_root("a_secret_copy_is_not_restored_through_a_link") {
        return;
    }
    let foreign = Foreign::new();
    let secret = foreign.at("private/root.db");
    foreign.plant("kept.db", Trap::Symlink, &secret);
    let output = foreign.attempt(&["restore", "data/kept.db"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("this ran as user 12345"), "{said}");
}

#[test]
fn a_copy_that_does_not_fit_is_reported_and_leaves_nothing() {
    if !root::is_root("a_copy_that_does_not_fit_is_reported_and_leaves_nothing") {
        return;
    }
    let foreign = Foreign::new();
    let disk = root::SmallDisk::mount(16);
    let copy = disk.path().join("copy.db");
    let output = foreign.attempt(&["backup", copy.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.contains("copy.db: No space left")), (Some(1), true), "{said}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
    let output = foreign.attempt(&["export", "-o", "/nowhere/at/all.csv"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.contains("cannot write /nowhere/at/all.csv")), (Some(1), true), "{said}");
    foreign.assert_left_to_owner();
}

#[test]
fn a_service_that_root_starts_follows_no_link_of_the_owner() {
    if !root::is_root("a_service_that_root_starts_follows_no_link_of_the_owner") {
        return;
    }
    let foreign = Foreign::new();
    let victim = Victim::new(&foreign);
    let log = foreign.home.data().join("monitor.log");
    foreign.home.configure(&format!("[log]\nfile = {log:?}\n{SERVER}"));
    foreign.serve();
    foreign.assert_left_to_owner();
    assert!(foreign.home.data().join("csv").is_dir() && log.exists());

    let today = jiff::Timestamp::now().strftime("csv/samples-%Y-%m-%d.csv").to_string();
    let names = ["monitor.log", "ntp-monitor.db.lock", "ntp-monitor.db-wal", "ntp-monitor.db-shm", &today];
    for trap in [Trap::Symlink, Trap::HardLink] {
        for name in names {
            foreign.plant(name, trap, &victim.0);
            foreign.serve();
            victim.assert_untouched(&format!("the service with a {trap:?} at {name}"));
            fs::remove_file(foreign.home.data().join(name)).unwrap_or_default();
        }
    }
}

#[test]
fn root_refuses_a_directory_reached_by_a_foreign_link() {
    if !root::is_root("root_refuses_a_directory_reached_by_a_foreign_link") {
        return;
    }
    let foreign = Foreign::new();
    let target = foreign.at("private/inner");
    fs::create_dir(&target).unwrap();
    foreign.plant("elsewhere", Trap::Symlink, &target);
    let through = foreign.home.data().join("elsewhere");
    let store = through.join("ntp-monitor.db");
    let named = ["--store", store.to_str().unwrap()];
    for operation in [&["store", "check"][..], &["store", "vacuum"], &["restore", "private/root.db"], &["stats"]] {
        let output = foreign.attempt(&[operation, &named].concat());
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.contains("leads through")), (Some(1), true), "{operation:?}: {said}");
    }
    let dir = through.to_str().unwrap();
    for operation in [&["man", "--dir", dir][..], &["demo", "--listen", "127.0.0.1:0", "--for", "1ms", "--dir", dir]] {
        let output = program(foreign.home.path()).args(operation).output().unwrap();
        assert!(!output.status.success(), "{operation:?}");
    }
    // Neither as the place of a copy.
    let copy = through.join("out.db");
    assert!(!foreign.attempt(&["backup", copy.to_str().unwrap()]).status.success());
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    foreign.home.configure(&format!("[store]\npath = {store:?}\n{SERVER}"));
    let (code, said) = foreign.home.fails();
    assert_eq!((code, said.contains("leads through")), (1, true), "{said}");
}

#[test]
fn root_refuses_a_store_that_several_users_may_replace() {
    if !root::is_root("root_refuses_a_store_that_several_users_may_replace") {
        return;
    }
    let foreign = Foreign::new();
    let refused = |part: &str| {
        let output = foreign.attempt(&["store", "check"]);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.contains(part)), (Some(1), true), "{said}");
    };
    let data = foreign.home.data();
    chown(&data, Some(0), Some(OWNER)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o770)).unwrap();
    refused("the members of group 12345");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    refused("every user");
    // Two owners: the store is root's, and other files of the service are not.
    chown(&data, Some(0), Some(0)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    for dir in [foreign.home.csv(), data.join("reports")] {
        fs::create_dir_all(&dir).unwrap();
        chown(&dir, Some(OWNER), Some(OWNER)).unwrap();
        let (code, said) = foreign.home.fails();
        assert_eq!((code, said.contains("root cannot work on both")), (1, true), "{said}");
        fs::remove_dir(dir).unwrap();
    }
}

#[test]
fn files_of_man_and_demo_go_to_the_owner_of_the_directory() {
    if !root::is_root("files_of_man_and_demo_go_to_the_owner_of_the_directory") {
        return;
    }
    let foreign = Foreign::new();
    let victim = Victim::new(&foreign);
    let data = foreign.home.data();
    let dir = data.to_str().unwrap();
    for (operation, name) in [
        (&["man", "--dir", dir][..], "ntp-monitor.1"),
        (&["demo", "--listen", "127.0.0.1:0", "--for", "1s", "--dir", dir], "servers.toml"),
    ] {
        let made = program(foreign.home.path()).args(operation).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        foreign.assert_left_to_owner();
        for trap in [Trap::Symlink, Trap::HardLink] {
            foreign.plant(name, trap, &victim.0);
            program(foreign.home.path()).args(operation).output().unwrap();
            victim.assert_untouched(name);
            let _ = fs::remove_file(data.join(name));
        }
    }
}

#[test]
fn a_service_of_root_takes_up_no_directory_of_another_user() {
    if !root::is_root("a_service_of_root_takes_up_no_directory_of_another_user") {
        return;
    }
    let home = Home::with(SERVER);
    let mut service = home.start();
    service.http();
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    chown(&elsewhere, Some(OWNER), Some(OWNER)).unwrap();
    let before = fs::read_to_string(home.config()).unwrap();
    home.write(&before.replace("[csv]", &format!("[csv]\ndir = {elsewhere:?}")));
    let said = service.reload();
    assert!(said.contains("configuration not reloaded") && said.contains("root cannot work on both"), "{said}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(service.stop(), 0);
}

#[test]
fn root_edits_no_configuration_that_another_user_could_move() {
    if !root::is_root("root_edits_no_configuration_that_another_user_could_move") {
        return;
    }
    let foreign = Foreign::new();
    let file = foreign.home.data().join("servers.toml");
    fs::write(&file, SERVER).unwrap();
    let why = editable(Some(&file)).unwrap_err().to_string();
    assert!(why.contains("run it as that user"), "{why}");
    assert!(editable(Some(&foreign.home.config())).is_ok());
}

#[test]
fn a_link_of_root_to_the_data_directory_is_followed() {
    if !root::is_root("a_link_of_root_to_the_data_directory_is_followed") {
        return;
    }
    let foreign = Foreign::new();
    symlink(foreign.home.data(), foreign.at("link")).unwrap();
    foreign.run(&["store", "check", "--store", "link/ntp-monitor.db"]);
    foreign.assert_left_to_owner();
    // Likewise one to the store itself, whose log SQLite looks for beside the file, not beside the link.
    symlink(foreign.home.store(), foreign.at("link.db")).unwrap();
    foreign.run(&["store", "check", "--store", "link.db"]);
    let victim = Victim::new(&foreign);
    for end in ["-wal", "-shm", "-journal"] {
        foreign.renew();
        foreign.plant(&format!("ntp-monitor.db{end}"), Trap::HardLink, &victim.0);
        for operation in [&["store", "check"][..], &["store", "vacuum"], &["stats"]] {
            foreign.attempt(&[operation, &["--store", "link.db"]].concat());
            victim.assert_untouched(&format!("{operation:?} {end}"));
        }
    }
}
