//! The Debian package of the program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::monitor::text;
use crate::common::root;

/// Creates a Debian package of the program that was built for the tests.
pub fn package(out: &Path, version: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(source.join("scripts/package.sh"));
    command.args(["deb", "dev"]).current_dir(source).env("PACKAGE_DIR", out);
    root::run(command.env("DEB_OPTIONS", format!("--deb-version {version}")));
    out.join(format!("ntp-monitor_{version}_{}.deb", architecture()))
}

/// The same package with a later version.
pub fn successor(package: &Path, version: &str) -> PathBuf {
    let (tree, later) = (package.with_extension("tree"), package.with_file_name(format!("ntp-monitor_{version}.deb")));
    root::run(Command::new("dpkg-deb").arg("-R").args([package, &tree]));
    let control = fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let renamed = control.lines().map(|line| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}\n"),
        None => format!("{line}\n"),
    });
    fs::write(tree.join("DEBIAN/control"), renamed.collect::<String>()).unwrap();
    root::run(Command::new("dpkg-deb").args(["-Znone", "-b"]).args([&tree, &later]));
    later
}

fn architecture() -> String {
    text(&Command::new("dpkg").arg("--print-architecture").output().unwrap().stdout).trim().to_owned()
}
