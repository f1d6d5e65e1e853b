//! Writes the configuration files of the demo, and no file of others.

use std::path::Path;

/// The first line of every configuration file that the demo writes, and overwrites.
const HEAD: &str = "# The playground of ntp-monitor. It is rewritten at each start.\n\n";

/// Writes a configuration, unless there is one that the demo did not write.
pub(super) fn write_own(file: &Path, text: &str) -> Result<(), String> {
    let in_words = |why| format!("cannot write {}: {why}", file.display());
    match std::fs::read_to_string(file) {
        Ok(old) if !old.starts_with(HEAD.trim_end()) => Err(format!(
            "{} is not of the demo, which would overwrite it: choose another directory with --dir",
            file.display()
        )),
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(in_words(why)),
        _ => std::fs::write(file, format!("{HEAD}{text}")).map_err(in_words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_overwrites_only_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("servers.toml");
        assert_eq!(["a", "b"].map(|text| write_own(&file, text)), [Ok(()), Ok(())]);
        assert!(std::fs::read_to_string(&file).unwrap().ends_with("b"));
        std::fs::write(&file, "mine").unwrap();
        assert!(write_own(&file, "c").unwrap_err().contains("is not of the demo"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
