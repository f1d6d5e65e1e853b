//! `.env` files: lines of `NAME=value`. Values are taken literally, without expansion. Variables of other
//! programs are skipped, whatever the format of their lines.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::fault::{Fault, Source};
use super::variables::is_own;
use crate::regular_file;

/// Maximum size in bytes.
const LARGEST: u64 = 1 << 20;

/// The variables of this program in a file.
#[derive(Default)]
pub(super) struct DotEnv {
    pub variables: Environment,
    /// The line of each variable, from 1.
    lines: HashMap<String, usize>,
}

impl DotEnv {
    /// Reads `.env` in the directory of the configuration file, or in the working directory without such a file.
    pub(super) fn read(config_file: Option<&Path>, faults: &mut Vec<Fault>) -> Self {
        let beside = config_file.and_then(Path::parent).map(|dir| dir.join(".env"));
        let path = beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(".env"));
        let fault =
            |(line, message)| Fault::general(Source::File { name: path.display().to_string().into(), line }, message);
        let found = match regular_file::read(&path, LARGEST) {
            Ok(bytes) => Self::parse(&bytes),
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(Self::default()),
            // Python virtual environments are directories of this name.
            Err(_) if path.is_dir() => Ok(Self::default()),
            Err(why) => Err(vec![(None, format!("cannot be read: {why}"))]),
        };
        found.unwrap_or_else(|all| {
            faults.extend(all.into_iter().map(fault));
            Self::default()
        })
    }

    /// The source of a variable of this file.
    pub(super) fn source(&self, name: &str) -> Source {
        Source::DotEnv { name: name.to_owned(), line: self.lines.get(name).copied().unwrap_or_default() }
    }

    /// Parses a file. The last line of a name wins.
    ///
    /// # Errors
    /// Every fault with its line. The faults repeat only names of our variables, because everything else may be secret.
    fn parse(bytes: &[u8]) -> Result<Self, Vec<(Option<usize>, String)>> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(vec![(None, "is UTF-16 text: save it as UTF-8".to_owned())]);
        }
        // Lines of other programs need not be UTF-8.
        let text = String::from_utf8_lossy(bytes);
        let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let (mut found, mut faults, mut line) = (Self::default(), Vec::new(), 1);
        while !rest.is_empty() {
            let Entry { name, value, length } = Entry::first(rest);
            match value {
                _ if !is_own(name) => {}
                Ok(value) if !value.contains(char::REPLACEMENT_CHARACTER) => {
                    found.lines.insert(name.to_owned(), line);
                    found.variables.insert(name.to_owned(), value);
                }
                Ok(_) => faults.push((Some(line), format!("{name} is not UTF-8 text"))),
                Err(why) => faults.push((Some(line), format!("{name} {why}"))),
            }
            let (entry, after) = rest.split_at(length);
            line += entry.matches('\n').count();
            rest = after;
        }
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }
}

/// One variable, or a line without one.
struct Entry<'a> {
    name: &'a str,
    value: Result<String, &'static str>,
    /// The length in bytes, including the line end.
    length: usize,
}

impl<'a> Entry<'a> {
    /// The entry at the start of `text`. A quoted value may span several lines.
    fn first(text: &'a str) -> Self {
        let line = first_line(text);
        let declaration = line.trim_start();
        let declaration = declaration.strip_prefix("export ").unwrap_or(declaration);
        let Some((name, value)) = declaration.split_once('=') else {
            let name = declaration.split_whitespace().next().unwrap_or_default();
            return Self { name, value: Err("has no value: write NAME=value"), length: line.len() };
        };
        let start = line.len() - value.trim_start().len();
        let (value, length) = match text[start..].chars().next() {
            Some(quote @ ('"' | '\'')) if !name.starts_with('#') => match quoted(&text[start..], quote) {
                Ok((value, length)) => (Ok(value), start + length),
                Err(why) => (Err(why), line.len()),
            },
            _ => (Ok(unquoted(value).to_owned()), line.len()),
        };
        Self { name: name.trim(), value, length }
    }
}

fn first_line(text: &str) -> &str {
    text.split_inclusive('\n').next().unwrap_or_default()
}

/// An unquoted value ends at the line end, or at a space followed by `#`.
fn unquoted(text: &str) -> &str {
    let comment = text.match_indices('#').find(|(n, _)| text[..*n].ends_with(char::is_whitespace));
    comment.map_or(text, |(n, _)| &text[..n]).trim()
}

/// A quoted value, and its length including the rest of its last line. In double quotes `\"`, `\\`, `\$` and `\n` mean
/// `"`, `\`, `$` and a line feed.
fn quoted(text: &str, quote: char) -> Result<(String, usize), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((n, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match (c, next) {
            ('\\', Some(escaped @ ('"' | '\\' | '$' | 'n'))) if quote == '"' => {
                value.push(if escaped == 'n' { '\n' } else { escaped });
                characters.next();
            }
            _ if c == quote => {
                let after = first_line(&text[n + 1..]);
                let is_end = after.trim().is_empty() || after.trim_start().starts_with('#');
                return if is_end { Ok((value, n + 1 + after.len())) } else { Err("has text after its closing quote") };
            }
            _ => value.push(c),
        }
    }
    Err("has no closing quote")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Result<String, String> {
        let parsed = DotEnv::parse(format!("\u{feff}{line}").as_bytes());
        parsed.map(|found| found.variables["INFLUX_TOKEN"].clone()).map_err(|faults| format!("{faults:?}"))
    }

    #[test]
    fn value_arrives_as_it_is_written() {
        for (line, expected) in [
            ("INFLUX_TOKEN=pa$word9==", "pa$word9=="),
            ("INFLUX_TOKEN=\"pa$word9==\"", "pa$word9=="),
            ("INFLUX_TOKEN='${HOME}'", "${HOME}"),
            ("INFLUX_TOKEN=a\\$b", "a\\$b"),
            ("INFLUX_TOKEN=\"a\\$b\\\"\\\\\\d\"\r\n", "a$b\"\\\\d"),
            ("export INFLUX_TOKEN = two words # a comment\n", "two words"),
            ("INFLUX_TOKEN=a#b", "a#b"),
            ("INFLUX_TOKEN=\"a # b\" # c", "a # b"),
            ("INFLUX_TOKEN=it's", "it's"),
            ("INFLUX_TOKEN=", ""),
            ("INFLUX_TOKEN=first\nINFLUX_TOKEN=last\n", "last"),
        ] {
            assert_eq!(value(line), Ok(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn lines_of_other_programs_are_skipped() {
        for other in ["X=my project", "X=\"a\nINFLUX_TOKEN=no\"", "X='tis", "X=\"", "just words", "# X=\"", "X=\"a\"b"]
        {
            assert_eq!(value(&format!("{other}\nINFLUX_TOKEN='t'\n")), Ok("t".to_owned()), "{other}");
        }
        let latin = DotEnv::parse(b"NAME=caf\xe9\nLOG_LEVEL=debug\n").unwrap();
        assert_eq!(latin.variables.keys().collect::<Vec<_>>(), ["LOG_LEVEL"]);
    }

    #[test]
    fn fault_names_variable_and_line_and_shows_no_value() {
        for (line, part) in [
            ("INFLUX_TOKEN='hunter2", "no closing quote"),
            ("INFLUX_TOKEN=\"a\"hunter2", "after its closing quote"),
            ("INFLUX_TOKEN hunter2", "has no value"),
            ("INFLUX_TOKEN=hunter2\u{fffd}", "UTF-8"),
        ] {
            let why = value(&format!("X=\"\na\"\n{line}\n")).unwrap_err();
            assert!(why.contains("Some(3), \"INFLUX_TOKEN ") && why.contains(part), "{why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(DotEnv::parse(b"\xff\xfeX\0").is_err_and(|faults| faults[0].1.contains("UTF-16")));
    }
}
