//! Tables for terminals: columns of minimal width, numbers aligned to the right. Colour never carries meaning on its own.

use ntp_monitor_core::text::plain::is_disruptive;
use std::io::{self, IsTerminal, Write};

/// The capabilities of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Whether to write colours to stdout.
    pub color: bool,
    /// Whether to show progress on stderr.
    pub progress: bool,
    /// The width of the terminal in columns; `None` if stdout is not a terminal, so that no column is dropped.
    pub width: Option<usize>,
}

impl Terminal {
    /// Detects the capabilities of stdout and stderr. Respects `NO_COLOR` (if not empty) and `TERM=dumb`.
    #[must_use]
    pub fn detect() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            color: io::stdout().is_terminal() && !refused && !is_dumb,
            progress: io::stderr().is_terminal() && !is_dumb,
            width: terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)),
        }
    }
}

/// How a text is highlighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    #[default]
    Plain,
    Bold,
    Good,
    Warning,
    Bad,
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

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
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
        Self { text: text.chars().map(|c| if is_disruptive(c) { '?' } else { c }).collect(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::Plain)
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Creates a table with these column titles.
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Missing fields are empty, and fields beyond the last column are ignored.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Removes a column.
    pub fn without(&mut self, title: &str) {
        if let Some(at) = self.columns.iter().position(|(column, _)| *column == title) {
            self.columns.remove(at);
            for row in self.rows.iter_mut().filter(|row| at < row.len()) {
                row.remove(at);
            }
        }
    }

    /// Removes columns in the order of `dispensable` until the table fits into `width`, and returns the titles of the
    /// removed columns. Without a width no column is removed.
    pub fn narrow(&mut self, width: Option<usize>, dispensable: &[&'static str]) -> Vec<&'static str> {
        let mut gone = Vec::new();
        for title in dispensable {
            if width.is_none_or(|width| self.width() <= width) {
                break;
            }
            if self.columns.iter().any(|(column, _)| column == title) {
                self.without(title);
                gone.push(*title);
            }
        }
        gone
    }

    /// The width of the longest line: the columns with two spaces between them.
    fn width(&self) -> usize {
        self.widths().iter().map(|width| width + 2).sum::<usize>().saturating_sub(2)
    }

    /// Writes the titles and the rows, two spaces between columns and none at the end of a line.
    ///
    /// # Errors
    /// I/O errors of the output.
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
        // Blanks are written only before further text, so that no line ends in blanks.
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

/// Names the columns that a narrow terminal does not show.
pub(super) fn left_out(titles: &[&str], color: bool, out: &mut impl Write) -> io::Result<()> {
    if titles.is_empty() {
        return Ok(());
    }
    let note = format!("(no room for: {}; a wider terminal or --json shows them)", titles.join(", "));
    writeln!(out, "{}", Style::Faint.paint(&note, color))
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
    fn columns_have_minimal_width_and_no_trailing_blanks() {
        let expected = "\
server              offset  state
time.example.net  +12.3 µs  ok
b                           no reply
c                    -3 ns
";
        assert_eq!(rendered(&example(), false), expected);
    }

    #[test]
    fn narrow_terminal_drops_the_least_important_columns_first() {
        let narrowed = |width| {
            let mut table = example();
            (table.narrow(width, &["offset", "state"]), table.width())
        };
        assert_eq!(narrowed(None), (vec![], 36));
        assert_eq!(narrowed(Some(36)), (vec![], 36));
        assert_eq!(narrowed(Some(35)), (vec!["offset"], 26));
        assert_eq!(narrowed(Some(5)), (vec!["offset", "state"], 16));
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
