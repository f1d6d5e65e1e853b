//! Parses the statements of a template. Nesting is limited, so that neither parsing nor rendering needs much stack.

use std::collections::BTreeSet;

use super::Fault;
use super::lexer::{Kind, Token, is_reserved, tokens};
use super::tree::{Branch, Node};

/// Maximum nesting depth of `if` and `for`.
const DEEPEST_STATEMENTS: usize = 16;

/// Parses a source. Returns its nodes, and the names that are not defined by its own loops, sorted.
pub(super) fn parse(source: &str) -> Result<(Vec<Node>, Vec<String>), Fault> {
    let tokens = tokens(source)?;
    let lines = source.matches('\n').count() + 1;
    let mut parser = Parser { tokens, at: 0, lines, loops: Vec::new(), names: BTreeSet::new(), parts: 0, depth: 0 };
    let nodes = parser.nodes(0, &[])?;
    Ok((nodes, parser.names.into_iter().map(str::to_owned).collect()))
}

pub(super) struct Parser<'s> {
    tokens: Vec<Token<'s>>,
    at: usize,
    /// The number of lines of the source.
    lines: usize,
    /// The names of the enclosing loops.
    pub(super) loops: Vec<&'s str>,
    pub(super) names: BTreeSet<&'s str>,
    /// The number of parts in the expressions of the current tag.
    pub(super) parts: usize,
    /// The nesting depth of the current expression.
    pub(super) depth: usize,
}

impl<'s> Parser<'s> {
    /// Parses up to a statement in `until`, which is left for the caller, or to the end of the source.
    fn nodes(&mut self, depth: usize, until: &[&str]) -> Result<Vec<Node>, Fault> {
        let mut nodes = Vec::new();
        loop {
            let line = self.line();
            match self.peek(0) {
                None if until.is_empty() => return Ok(nodes),
                None => return Err(self.fault(format!("{} is missing", until.join(" or ")))),
                Some(Kind::Text(text)) => {
                    nodes.push(Node::Text((*text).into()));
                    self.at += 1;
                }
                Some(Kind::Print) => {
                    self.open();
                    let value = self.expression()?;
                    self.close()?;
                    nodes.push(Node::Print { line, value });
                }
                _ => match self.peek(1) {
                    Some(Kind::Name(name)) if until.contains(name) => return Ok(nodes),
                    _ => nodes.push(self.statement(depth + 1)?),
                },
            }
        }
    }

    fn statement(&mut self, depth: usize) -> Result<Node, Fault> {
        self.open();
        if depth > DEEPEST_STATEMENTS {
            return Err(self.fault(format!("if and for must not be nested deeper than {DEEPEST_STATEMENTS}")));
        }
        match self.name("a statement")? {
            "if" => self.branches(depth),
            "for" => self.for_loop(depth),
            other => Err(self.fault(format!("there is no statement {other:?} here; statements are if and for"))),
        }
    }

    fn branches(&mut self, depth: usize) -> Result<Node, Fault> {
        let mut branches = vec![self.branch(depth, &["elif", "else", "endif"])?];
        loop {
            self.open();
            match self.name("elif, else or endif")? {
                "elif" => branches.push(self.branch(depth, &["elif", "else", "endif"])?),
                "else" => {
                    let line = self.line();
                    self.close()?;
                    branches.push(Branch { line, condition: None, body: self.nodes(depth, &["endif"])? });
                }
                _ => {
                    self.close()?;
                    return Ok(Node::If { branches });
                }
            }
        }
    }

    fn branch(&mut self, depth: usize, until: &[&str]) -> Result<Branch, Fault> {
        let line = self.line();
        let condition = Some(self.expression()?);
        self.close()?;
        Ok(Branch { line, condition, body: self.nodes(depth, until)? })
    }

    fn for_loop(&mut self, depth: usize) -> Result<Node, Fault> {
        let line = self.line();
        let name = self.name("the name of the loop's variable")?;
        if is_reserved(name) {
            return Err(self.fault(format!("{name:?} cannot be the name of a value")));
        }
        self.expect("in")?;
        let list = self.loop_list()?;
        self.close()?;
        self.loops.push(name);
        let body = self.nodes(depth, &["else", "endfor"]);
        self.loops.pop();
        let (body, mut empty) = (body?, Vec::new());
        self.open();
        if self.name("else or endfor")? == "else" {
            self.close()?;
            empty = self.nodes(depth, &["endfor"])?;
            self.open();
            self.expect("endfor")?;
        }
        self.close()?;
        Ok(Node::For { line, name: name.into(), list, body, empty })
    }

    /// Takes the opening of a tag.
    fn open(&mut self) {
        self.at += 1;
        (self.parts, self.depth) = (0, 0);
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(Kind::End) => Ok(()),
            other => Err(self.unexpected(other, "the end of the tag")),
        }
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<&Kind<'s>> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    pub(super) fn next(&mut self) -> Option<Kind<'s>> {
        self.at += 1;
        self.tokens.get(self.at - 1).map(|token| token.kind.clone())
    }

    /// Takes the next token if it is this sign or word.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(0), Some(Kind::Name(it) | Kind::Sign(it)) if *it == word);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn name(&mut self, what: &str) -> Result<&'s str, Fault> {
        match self.next() {
            Some(Kind::Name(name)) => Ok(name),
            other => Err(self.unexpected(other, what)),
        }
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected(self.peek(0).cloned(), word)) }
    }

    pub(super) fn unexpected(&self, found: Option<Kind<'_>>, wanted: &str) -> Fault {
        let found = found.map_or_else(|| "the end of the template".to_owned(), |kind| kind.label());
        self.fault(format!("syntax error: {wanted} is expected instead of {found}"))
    }

    pub(super) fn fault(&self, message: String) -> Fault {
        Fault::new(message).at(self.tokens.get(self.at.saturating_sub(1)).map_or(self.lines, |token| token.line))
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(self.lines, |token| token.line)
    }
}
