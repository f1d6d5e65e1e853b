//! One TLS stack: rustls with the provider ring, and nothing else in the dependency tree of any target.

use std::process::Command;

#[test]
fn no_other_tls_library_is_in_the_dependency_tree() {
    let cargo = std::env::var("CARGO").expect("cargo names itself when it runs tests");
    let output = Command::new(cargo)
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--target=all",
            "--prefix=none",
            "--edges=normal,build,dev",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("rustls v"), "the tree was not read: {tree}");
    // openssl-probe only finds the directories of trusted certificates; it links no library.
    let names = ["openssl", "native-tls", "aws-lc"];
    let is_other = |line: &&str| names.iter().any(|name| line.starts_with(name)) && !line.starts_with("openssl-probe ");
    let others: Vec<&str> = tree.lines().filter(is_other).collect();
    assert!(others.is_empty(), "{others:?}");
}
