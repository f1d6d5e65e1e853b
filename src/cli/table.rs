//! Tables for terminals: columns as wide as they must be, numbers to the right, colour as an extra and never as the
//! only carrier of a meaning.

use std::io::{self, IsTerminal, Write};

/// What the program may do with the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Whether stdout takes colours.
    pub color: bool,
    /// Whether stderr is watched by a person who likes to see progress.
    pub progress: bool,
}

impl Terminal {
    /// What stdout and stderr of this process are. Honours `NO_COLOR` (when not empty) and `TERM=dumb`.
    #[must_use]
    pub fn detect() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            color: io::stdout().is_terminal() && !refused && !is_dumb,
            progress: io::stderr().is_terminal() && !is_dumb,
        }
    }
}

/// How a text is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// All is well.
    Good,
    /// Look here.
    Warning,
    /// Something is wrong.
    Bad,
    /// Not so important.
    Faint,
}

impl Style {
    /// `text` with the escape sequences of this style around it, when `color` is on.
    #[must_use]
    pub fn paint(self, text: &str, color: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Bold => "1",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Faint => "2",
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// On which side a column is flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A field with a style. Control characters of `text` are shown as `?`.
    #[must_use]
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        let text: String = text.into();
        Self { text: text.chars().map(|c| if c.is_control() { '?' } else { c }).collect(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::Plain)
    }
}

/// A table being put together.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these column titles.
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; fields that are missing stay empty, and those beyond the last column are left out.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Writes the titles and the rows, two spaces between columns and none at the end of a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write, color: bool) -> io::Result<()> {
        let titles: Vec<Cell> = self.columns.iter().map(|(title, _)| Cell::styled(*title, Style::Bold)).collect();
        let widths = self.widths();
        for row in std::iter::once(&titles).chain(&self.rows) {
            writeln!(out, "{}", self.line(row, &widths, color))?;
        }
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(title, _)| title.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        widths
    }

    fn line(&self, row: &[Cell], widths: &[usize], color: bool) -> String {
        let mut line = String::new();
        // Blanks wait until something follows them, so that no line ends in blanks.
        let mut blanks = 0;
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(&self.columns) {
            let padding = width - cell.text.chars().count();
            let (before, after) = if *align == Align::Right { (padding, 0) } else { (0, padding) };
            if !cell.text.is_empty() {
                line.extend(std::iter::repeat_n(' ', blanks + before));
                line.push_str(&cell.style.paint(&cell.text, color));
                blanks = after + 2;
            } else {
                blanks += width + 2;
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(table: &Table, color: bool) -> String {
        let mut out = Vec::new();
        table.write(&mut out, color).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn example() -> Table {
        let mut table = Table::new(&[("server", Align::Left), ("offset", Align::Right), ("state", Align::Left)]);
        table.row(vec!["time.example.net".into(), "+12.3 µs".into(), Cell::styled("ok", Style::Good)]);
        table.row(vec!["b".into(), "".into(), Cell::styled("no reply", Style::Bad)]);
        table.row(vec!["c".into(), "-3 ns".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be_and_lines_end_without_blanks() {
        let expected = "\
server              offset  state
time.example.net  +12.3 µs  ok
b                           no reply
c                    -3 ns
";
        assert_eq!(rendered(&example(), false), expected);
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let painted = rendered(&example(), true);
        assert!(painted.contains("\x1b[32mok\x1b[0m") && painted.contains("\x1b[31mno reply\x1b[0m"));
        let mut stripped = painted;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, rendered(&example(), false));
    }

    #[test]
    fn a_remote_cannot_write_escape_sequences_into_the_terminal() {
        let mut table = Table::new(&[("name", Align::Left)]);
        table.row(vec!["\x1b[2Jx\n".into()]);
        assert_eq!(rendered(&table, false), "name\n?[2Jx?\n");
    }
}
