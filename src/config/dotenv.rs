//! Reads a `.env` file. Its values may contain earlier ones (`$NAME`), so they can grow with each line: the number of such
//! references and the length of each value are limited.

use std::io::{Cursor, ErrorKind};
use std::path::Path;

use super::environment::Environment;
use super::fault::{Fault, Source};
use super::named_file;

/// Maximum size of the file, in bytes.
const LARGEST: u64 = 1 << 20;
/// Maximum number of `$` in the file.
const MOST_REFERENCES: usize = 200;
/// Maximum length of a value, in bytes.
const LONGEST_VALUE: usize = 128 << 10;

/// The variables of the file; none if it does not exist.
///
/// # Errors
/// Why it cannot be used. Nothing of it is repeated, because it may hold secrets.
pub(super) fn read(path: &Path) -> Result<Environment, Fault> {
    let fault = |message| Fault::general(Source::File { name: path.display().to_string().into(), line: None }, message);
    let text = match named_file::read(path, LARGEST) {
        Ok(text) => text,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Environment::new()),
        Err(why) => return Err(fault(format!("cannot be read: {why}"))),
    };
    parse(&text).map_err(fault)
}

fn parse(text: &[u8]) -> Result<Environment, String> {
    if text.iter().filter(|byte| **byte == b'$').count() > MOST_REFERENCES {
        return Err(format!("has more than {MOST_REFERENCES} references to other variables ($)"));
    }
    let mut variables = Environment::new();
    for (n, item) in dotenvy::Iter::new(Cursor::new(text)).enumerate() {
        let (name, value) = item.map_err(|_| format!("its variable {} is not NAME=value", n + 1))?;
        if value.len() > LONGEST_VALUE {
            return Err(format!("its variable {} is longer than {LONGEST_VALUE} bytes", n + 1));
        }
        variables.entry(name).or_insert(value);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_value_of_a_variable_counts_and_may_contain_others() {
        let variables = parse(b"A=x\nexport B=\"${A}-${A}\"\nA=y\n").unwrap();
        assert_eq!((variables["A"].as_str(), variables["B"].as_str()), ("x", "x-x"));
    }

    #[test]
    fn values_that_double_are_refused_early() {
        let doubling: String = (1..60).map(|n| format!("A{n}=${{A{}}}${{A{}}}\n", n - 1, n - 1)).collect::<String>();
        let why = parse(format!("A0={}\n{doubling}", "x".repeat(1000)).as_bytes()).unwrap_err();
        assert!(why.contains("longer than 131072 bytes"), "{why}");
        let why = parse(format!("A=x\nB={}\n", "$A".repeat(1000)).as_bytes()).unwrap_err();
        assert!(why.contains("more than 200 references"), "{why}");
    }
}
