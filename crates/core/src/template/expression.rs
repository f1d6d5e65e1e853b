//! Parses the expressions of a template.

use serde_json::Value;

use super::Fault;
use super::filters::{self, Filter};
use super::lexer::{Kind, is_reserved};
use super::parser::Parser;
use super::tree::{Choice, Expr, LoopField, NOT_LEVEL, Operator, Test};

/// Maximum nesting depth of an expression.
const DEEPEST: usize = 32;
/// Maximum number of values, operators and filters in the expression of one tag.
const MOST_PARTS: usize = 250;
type Parsed = Result<Expr, Fault>;

impl<'s> Parser<'s> {
    /// An expression: `yes if condition else no`, or an operator that binds tighter.
    pub(super) fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let yes = parser.binary(0)?;
            if !parser.takes("if") {
                return Ok(yes);
            }
            let condition = parser.binary(0)?;
            let no = if parser.takes("else") { Some(parser.expression()?) } else { None };
            Ok(Expr::Choice(Box::new(Choice { condition, yes, no })))
        })
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fault(format!("an expression must not be nested deeper than {DEEPEST}")));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Counts a part of the current expression.
    fn part(&mut self) -> Result<(), Fault> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(self.fault(format!("an expression must not have more than {MOST_PARTS} parts")));
        }
        Ok(())
    }

    /// The list of a loop: an expression without `if`, which would be read as the condition of the loop.
    pub(super) fn loop_list(&mut self) -> Parsed {
        self.nested(|parser| parser.binary(0))
    }

    /// Operators that bind at least as tight as `level`.
    fn binary(&mut self, level: u8) -> Parsed {
        let mut left = if level <= NOT_LEVEL && self.takes("not") {
            self.part()?;
            Expr::Not(Box::new(self.nested(|parser| parser.binary(NOT_LEVEL))?))
        } else {
            self.unary()?
        };
        while let Some((operator, words)) = self.operator().filter(|(operator, _)| operator.level() >= level) {
            for _ in 0..words {
                self.next();
            }
            self.part()?;
            let right = self.binary(operator.level() + 1)?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    /// The next operator and its number of tokens.
    fn operator(&self) -> Option<(Operator, usize)> {
        let (Kind::Sign(word) | Kind::Name(word)) = self.peek(0)? else { return None };
        let operator = match *word {
            "or" => Operator::Or,
            "and" => Operator::And,
            "==" => Operator::Equal,
            "!=" => Operator::Unequal,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "in" => Operator::In,
            "not" if self.peek(1) == Some(&Kind::Name("in")) => return Some((Operator::NotIn, 2)),
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "~" => Operator::Concatenate,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            _ => return None,
        };
        Some((operator, 1))
    }

    /// A value with its filters and tests.
    fn unary(&mut self) -> Parsed {
        let mut value = self.signed()?;
        loop {
            if self.takes("|") {
                self.part()?;
                value = self.filter(value)?;
            } else if self.takes("is") {
                self.part()?;
                let is_negated = self.takes("not");
                let test = Expr::Is(self.test()?, Box::new(value));
                value = if is_negated { Expr::Not(Box::new(test)) } else { test };
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Parsed {
        if self.takes("-") {
            self.part()?;
            return Ok(Expr::Negate(Box::new(self.nested(Self::signed)?)));
        }
        let mut value = self.primary()?;
        loop {
            if self.takes(".") {
                self.part()?;
                value = match self.next() {
                    Some(Kind::Name(name)) => Expr::Field(Box::new(value), name.into()),
                    Some(Kind::Literal(index @ Value::Number(_))) => {
                        Expr::Item(Box::new(value), Box::new(Expr::Literal(index)))
                    }
                    other => return Err(self.unexpected(other, "the name of a field")),
                };
            } else if self.takes("[") {
                self.part()?;
                let index = self.expression()?;
                self.expect("]")?;
                value = Expr::Item(Box::new(value), Box::new(index));
            } else if self.peek(0) == Some(&Kind::Sign("(")) {
                return Err(self.fault("there are no functions; use filters, as in {{ alerts|length }}".to_owned()));
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        self.part()?;
        match self.next() {
            Some(Kind::Literal(value)) => Ok(Expr::Literal(value)),
            Some(Kind::Name("loop")) => self.loop_field(),
            Some(Kind::Name(name)) if !is_reserved(name) => Ok(self.named(name)),
            Some(Kind::Sign("(")) => {
                let value = self.expression()?;
                self.expect(")")?;
                Ok(value)
            }
            Some(Kind::Sign("[")) => self.list(),
            Some(Kind::Sign("{")) => self.map(),
            other => Err(self.unexpected(other, "a value")),
        }
    }

    fn named(&mut self, name: &'s str) -> Expr {
        match name {
            "true" | "True" => Expr::Literal(Value::Bool(true)),
            "false" | "False" => Expr::Literal(Value::Bool(false)),
            "none" | "None" => Expr::Literal(Value::Null),
            name => {
                if !self.loops.contains(&name) {
                    self.names.insert(name);
                }
                Expr::Name(name.into())
            }
        }
    }

    fn loop_field(&mut self) -> Parsed {
        if self.loops.is_empty() {
            return Err(self.fault("there is no loop here".to_owned()));
        }
        self.expect(".")?;
        match self.name("a field of the loop")? {
            "index" => Ok(Expr::Loop(LoopField::Index)),
            "index0" => Ok(Expr::Loop(LoopField::Index0)),
            "first" => Ok(Expr::Loop(LoopField::First)),
            "last" => Ok(Expr::Loop(LoopField::Last)),
            "length" => Ok(Expr::Loop(LoopField::Length)),
            other => {
                let all = "index, index0, first, last and length";
                Err(self.fault(format!("a loop has no {other:?}; it has {all}")))
            }
        }
    }

    fn list(&mut self) -> Parsed {
        let mut items = Vec::new();
        while !self.takes("]") {
            items.push(self.expression()?);
            if !self.takes(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Expr::List(items))
    }

    fn map(&mut self) -> Parsed {
        let mut items = Vec::new();
        while !self.takes("}") {
            let key = match self.next() {
                Some(Kind::Literal(Value::String(key))) => key,
                other => return Err(self.unexpected(other, "a key in quotes")),
            };
            self.expect(":")?;
            items.push((key.into(), self.expression()?));
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr::Map(items))
    }

    fn filter(&mut self, value: Expr) -> Parsed {
        let name = self.name("the name of a filter")?;
        let (id, filter) = filters::find(name).ok_or_else(|| {
            let all: Vec<&str> = filters::FILTERS.iter().map(|filter| filter.name).collect();
            self.fault(format!("there is no filter {name:?}; filters are {}", all.join(", ")))
        })?;
        let mut arguments: Vec<Expr> = Vec::new();
        if self.takes("(") {
            while !self.takes(")") {
                arguments.push(self.argument(filter, arguments.len())?);
                if !self.takes(",") {
                    self.expect(")")?;
                    break;
                }
            }
        }
        if arguments.len() < filter.required {
            return Err(self.fault(format!("the filter {name:?} needs {}", filter.parameters.join(" and "))));
        }
        Ok(Expr::Filter(id, Box::new(value), arguments))
    }

    /// The `n`-th argument; the name of the parameter may precede it.
    fn argument(&mut self, filter: &Filter, n: usize) -> Parsed {
        let Some(parameter) = filter.parameters.get(n) else {
            return Err(self.fault(format!("the filter {:?} does not take so many arguments", filter.name)));
        };
        let is_named = self.peek(1) == Some(&Kind::Sign("="));
        if is_named && !self.takes(parameter) {
            return Err(self.unexpected(self.peek(0).cloned(), parameter));
        }
        if is_named {
            self.expect("=")?;
        } else if filter.is_named_only {
            return Err(self.fault(format!("write {}({parameter}=…)", filter.name)));
        }
        self.expression()
    }

    fn test(&mut self) -> Result<Test, Fault> {
        match self.name("the name of a test")? {
            "defined" => Ok(Test::Defined),
            "undefined" => Ok(Test::Undefined),
            "none" => Ok(Test::None),
            other => Err(self.fault(format!("there is no test {other:?}; tests are defined, undefined and none"))),
        }
    }
}
