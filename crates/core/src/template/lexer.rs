//! Splits a source into texts and the tokens of its tags. Does not recurse.

use serde_json::{Number, Value};

use super::Fault;

/// Longer signs come before their prefixes.
const SIGNS: [&str; 22] =
    ["==", "!=", "<=", ">=", "+", "-", "*", "/", "~", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|", "<", ">", "="];

/// Words that cannot be names.
const RESERVED: [&str; 9] = ["and", "or", "not", "in", "is", "if", "elif", "else", "loop"];

/// Whether a word of the language cannot be the name of a value.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A token and the line that it begins in, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'s> {
    pub(super) line: usize,
    pub(super) kind: Kind<'s>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'s> {
    /// Text between tags.
    Text(&'s str),
    /// `{{`
    Print,
    /// `{%`
    Statement,
    /// `}}` or `%}`
    End,
    /// A name or a word of the language.
    Name(&'s str),
    /// A number or a text in quotes.
    Literal(Value),
    /// An operator or a bracket.
    Sign(&'static str),
}

impl Kind<'_> {
    /// Its name in error messages.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Text(_) => "text".to_owned(),
            Self::Print => "{{".to_owned(),
            Self::Statement => "{%".to_owned(),
            Self::End => "the end of the tag".to_owned(),
            Self::Name(name) => format!("{name:?}"),
            Self::Literal(_) => "a literal".to_owned(),
            Self::Sign(sign) => format!("{sign:?}"),
        }
    }
}

/// All tokens of a source.
pub(super) fn tokens(source: &str) -> Result<Vec<Token<'_>>, Fault> {
    // A line feed at the end belongs to the file.
    let source = source.strip_suffix('\n').map_or(source, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    let mut lexer = Lexer { source, at: 0, line: 1, tokens: Vec::new() };
    let mut is_trimmed = false;
    while lexer.at < source.len() {
        is_trimmed = lexer.text(is_trimmed)?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'s>>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn skip(&mut self, bytes: usize) -> &'s str {
        let skipped = &self.rest()[..bytes];
        self.line += skipped.matches('\n').count();
        self.at += bytes;
        skipped
    }

    fn push(&mut self, kind: Kind<'s>) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(message).at(self.line)
    }

    /// Reads a text and the tag after it. Returns whether white space after the tag is left out.
    fn text(&mut self, is_trimmed: bool) -> Result<bool, Fault> {
        let rest = self.rest();
        let tag = rest
            .match_indices('{')
            .map(|(at, _)| at)
            .find(|at| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')));
        let end = tag.unwrap_or(rest.len());
        let trims = rest.as_bytes().get(end + 2) == Some(&b'-');
        let mut text = &rest[..end];
        text = if is_trimmed { text.trim_start() } else { text };
        text = if trims { text.trim_end() } else { text };
        if !text.is_empty() {
            self.push(Kind::Text(text));
        }
        self.skip(end);
        if tag.is_none() {
            return Ok(false);
        }
        match self.rest().as_bytes()[1] {
            b'{' => self.tag(Kind::Print, "{{", "}}", trims),
            b'%' => self.tag(Kind::Statement, "{%", "%}", trims),
            _ => self.comment(),
        }
    }

    fn comment(&mut self) -> Result<bool, Fault> {
        let Some(end) = self.rest().find("#}") else { return Err(self.fault("{# is not closed")) };
        let comment = self.skip(end + 2);
        Ok(comment.ends_with("-#}"))
    }

    fn tag(&mut self, kind: Kind<'s>, open: &str, close: &str, trims: bool) -> Result<bool, Fault> {
        let line = self.line;
        self.push(kind);
        self.skip(open.len() + usize::from(trims));
        // A map may end with `}}`, which does not close the tag.
        let mut braces = 0_usize;
        loop {
            let rest = self.rest();
            self.skip(rest.len() - rest.trim_start().len());
            let rest = self.rest();
            if rest.is_empty() {
                return Err(Fault::new(format!("{open} is not closed")).at(line));
            }
            let is_trimmed = rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(close));
            if braces == 0 && (is_trimmed || rest.starts_with(close)) {
                self.push(Kind::End);
                self.skip(close.len() + usize::from(is_trimmed));
                return Ok(is_trimmed);
            }
            match self.token()? {
                "{" => braces += 1,
                "}" => braces = braces.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Reads a token of a tag, and returns its sign if it is one.
    fn token(&mut self) -> Result<&'static str, Fault> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        if first == '"' || first == '\'' {
            let (text, length) = quoted(rest, first).map_err(|why| self.fault(why))?;
            self.push(Kind::Literal(Value::String(text)));
            self.skip(length);
        } else if first.is_ascii_digit() {
            let (number, length) = number(rest).map_err(|why| self.fault(why))?;
            self.push(Kind::Literal(Value::Number(number)));
            self.skip(length);
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.push(Kind::Name(&rest[..end]));
            self.skip(end);
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| self.fault(format!("{first:?} means nothing here")))?;
            self.push(Kind::Sign(sign));
            self.skip(sign.len());
            return Ok(sign);
        }
        Ok("")
    }
}

/// The text at the beginning of `rest`, and the length of its source.
fn quoted(rest: &str, quote: char) -> Result<(String, usize), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.push(match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(escaped @ ('\\' | '"' | '\'' | '/')) => escaped,
                Some(other) => return Err(format!("there is no escape \\{other}")),
                None => break,
            }),
            c if c == quote => return Ok((text, at + 1)),
            c => text.push(c),
        }
    }
    Err("a text in quotes is not closed".to_owned())
}

/// The number at the beginning of `rest`, and the length of its source.
fn number(rest: &str) -> Result<(Number, usize), String> {
    let digits = |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| from + end);
    let mut end = digits(0);
    if rest[end..].starts_with('.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        end = digits(end + 1 + sign);
    }
    let source = &rest[..end];
    let whole = source.parse::<i64>().ok().map(Number::from);
    let number = whole.or_else(|| source.parse().ok().and_then(Number::from_f64));
    number.map(|number| (number, end)).ok_or_else(|| "a number cannot be read".to_owned())
}
