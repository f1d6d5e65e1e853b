//! A parsed template.

use serde_json::Value;

/// A part of the text.
#[derive(Debug)]
pub(super) enum Node {
    /// Text that is written unchanged.
    Text(Box<str>),
    /// `{{ value }}`.
    Print { line: usize, value: Expr },
    /// `{% if %}`, with the condition and body of each branch; a branch without a condition is `else`.
    If { branches: Vec<Branch> },
    /// `{% for name in list %}`.
    For { line: usize, name: Box<str>, list: Expr, body: Vec<Node>, empty: Vec<Node> },
}

/// One branch of an `if`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) line: usize,
    pub(super) condition: Option<Expr>,
    pub(super) body: Vec<Node>,
}

/// The index of a filter in the table of filters.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterId(pub(super) usize);

/// An expression.
#[derive(Debug)]
pub(super) enum Expr {
    Literal(Value),
    Name(Box<str>),
    Loop(LoopField),
    List(Vec<Expr>),
    Map(Vec<(Box<str>, Expr)>),
    Field(Box<Expr>, Box<str>),
    Item(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `yes if condition else no`.
    Choice(Box<Choice>),
    Filter(FilterId, Box<Expr>, Vec<Expr>),
    Is(Test, Box<Expr>),
}

/// `yes if condition else no`.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) condition: Expr,
    pub(super) yes: Expr,
    pub(super) no: Option<Expr>,
}

/// The fields of `loop`.
#[derive(Debug, Clone, Copy)]
pub(super) enum LoopField {
    Index,
    Index0,
    First,
    Last,
    Length,
}

/// The tests of `is`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    Defined,
    Undefined,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Add,
    Subtract,
    Concatenate,
    Multiply,
    Divide,
}

impl Operator {
    /// The precedence; a higher level binds tighter.
    pub(super) fn level(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal | Self::Unequal | Self::Less | Self::LessOrEqual => 4,
            Self::Greater | Self::GreaterOrEqual | Self::In | Self::NotIn => 4,
            Self::Add | Self::Subtract => 5,
            Self::Concatenate => 6,
            Self::Multiply | Self::Divide => 7,
        }
    }
}

/// `not` binds tighter than `and` and looser than comparisons.
pub(super) const NOT_LEVEL: u8 = 3;
