//! Renders a template. Every step is charged to the allowance, so that the work is bounded for any template.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::filters::FILTERS;
use super::meter::{Built, Meter, Output, STEP, Sink};
use super::page::{self, Escaped};
use super::run::{Held, Loop, Run};
use super::tree::{Choice, Expr, Node, Operator, Test};
use super::{Fault, Options, operators};

const NULL: Held<'static> = Cow::Owned(Value::Null);

/// Appends the text of `nodes` to `out`.
pub(super) fn render(
    nodes: &[Node],
    values: &Map<String, Value>,
    options: Options,
    longest: usize,
    out: &mut String,
) -> Result<(), Fault> {
    let mut run = Run { values, options, meter: Meter::new(options.work), loops: Vec::new() };
    run.nodes(nodes, &mut Output { text: out, longest })
}

impl<'a> Run<'a> {
    fn nodes(&mut self, nodes: &'a [Node], out: &mut Output<'_>) -> Result<(), Fault> {
        nodes.iter().try_for_each(|node| self.node(node, out))
    }

    fn node(&mut self, node: &'a Node, out: &mut Output<'_>) -> Result<(), Fault> {
        self.meter.pay(STEP)?;
        match node {
            Node::Text(text) => out.push(text),
            Node::Print { line, value } => {
                let is_escaped = self.options.is_html && !page::is_markup(value);
                let value = self.value(value).map_err(|fault| fault.at(*line))?;
                if is_escaped { self.options.write(&value, &mut Escaped(out)) } else { self.options.write(&value, out) }
            }
            Node::If { branches } => {
                for branch in branches {
                    let condition = branch.condition.as_ref().map(|condition| self.value(condition));
                    let condition = condition.transpose().map_err(|fault| fault.at(branch.line))?;
                    if condition.is_none_or(|condition| operators::is_true(&condition)) {
                        return self.nodes(&branch.body, out);
                    }
                }
                Ok(())
            }
            Node::For { line, name, list, body, empty } => {
                let items = self.items(list).map_err(|fault| fault.at(*line))?;
                if items.is_empty() {
                    return self.nodes(empty, out);
                }
                self.each(name, items, body, out)
            }
        }
    }

    fn each(
        &mut self,
        name: &'a str,
        items: Vec<Held<'a>>,
        body: &'a [Node],
        out: &mut Output<'_>,
    ) -> Result<(), Fault> {
        let length = items.len();
        for (index, item) in items.into_iter().enumerate() {
            self.meter.pay(STEP)?;
            self.loops.push(Loop { name, item, index, length });
            let written = self.nodes(body, out);
            self.loops.pop();
            written?;
        }
        Ok(())
    }

    /// The items of a list, or the keys of a map; none for null.
    fn items(&mut self, list: &'a Expr) -> Result<Vec<Held<'a>>, Fault> {
        let value = self.value(list)?;
        self.meter.pay(match value.as_ref() {
            Value::Array(items) => STEP * items.len(),
            Value::Object(items) => STEP * items.len() + items.keys().map(String::len).sum::<usize>(),
            _ => 0,
        })?;
        match value {
            Cow::Borrowed(Value::Array(items)) => Ok(items.iter().map(Cow::Borrowed).collect()),
            Cow::Owned(Value::Array(items)) => Ok(items.into_iter().map(Cow::Owned).collect()),
            value => match value.as_ref() {
                Value::Object(items) => Ok(items.keys().map(|key| Cow::Owned(Value::from(key.as_str()))).collect()),
                Value::Null => Ok(Vec::new()),
                other => Err(Fault::new(format!("{} has no items to loop over", operators::kind(other)))),
            },
        }
    }

    /// The value of an expression. An undefined value is a fault or null, depending on the settings.
    fn value(&mut self, expr: &'a Expr) -> Result<Held<'a>, Fault> {
        match self.find(expr)? {
            Some(value) => Ok(value),
            None if self.options.is_strict => Err(Fault::new(format!("{} is not defined", described(expr)))),
            None => Ok(NULL),
        }
    }

    /// The value of an expression; `None` when it is not defined.
    fn find(&mut self, expr: &'a Expr) -> Result<Option<Held<'a>>, Fault> {
        self.meter.pay(STEP)?;
        match expr {
            Expr::Literal(value) => Ok(Some(Cow::Borrowed(value))),
            Expr::Name(name) => self.named(name),
            Expr::Loop(field) => Ok(self.loops.last().map(|it| Cow::Owned(it.field(*field)))),
            Expr::List(items) => self.list(items).map(Some),
            Expr::Map(items) => self.map(items).map(Some),
            Expr::Field(value, name) => {
                let value = self.value(value)?;
                self.field(value, name)
            }
            Expr::Item(value, index) => self.item(value, index),
            Expr::Not(value) => Ok(Some(Cow::Owned(Value::Bool(!operators::is_true(self.value(value)?.as_ref()))))),
            Expr::Negate(value) => Ok(Some(Cow::Owned(operators::negate(self.value(value)?.as_ref())?))),
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right).map(Some),
            Expr::Choice(choice) => self.choice(choice),
            Expr::Filter(id, value, arguments) => {
                let filter = &FILTERS[id.0];
                let value = if filter.takes_null { self.find(value)?.unwrap_or(NULL) } else { self.value(value)? };
                let arguments = arguments.iter().map(|it| self.value(it)).collect::<Result<Vec<_>, _>>()?;
                if value.is_null() && !filter.takes_null {
                    return Ok(Some(NULL));
                }
                (filter.apply)(self, value, arguments).map(Some)
            }
            Expr::Is(test, value) => {
                let value = self.find(value)?;
                Ok(Some(Cow::Owned(Value::Bool(match test {
                    Test::Defined => value.is_some(),
                    Test::Undefined => value.is_none(),
                    Test::None => value.is_some_and(|value| value.is_null()),
                }))))
            }
        }
    }

    fn named(&mut self, name: &str) -> Result<Option<Held<'a>>, Fault> {
        let Some(found) = self.loops.iter().rev().find(|it| it.name == name) else {
            return Ok(self.values.get(name).map(Cow::Borrowed));
        };
        if let Cow::Owned(item) = &found.item {
            self.meter.pay_for_copy(item)?;
        }
        Ok(Some(found.item.clone()))
    }

    fn list(&mut self, items: &'a [Expr]) -> Result<Held<'a>, Fault> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let value = self.value(item)?;
            values.push(self.own(value)?);
        }
        Ok(Cow::Owned(Value::Array(values)))
    }

    fn map(&mut self, items: &'a [(Box<str>, Expr)]) -> Result<Held<'a>, Fault> {
        let mut values = Map::new();
        for (key, item) in items {
            self.meter.pay(key.len())?;
            let value = self.value(item)?;
            values.insert(key.to_string(), self.own(value)?);
        }
        Ok(Cow::Owned(Value::Object(values)))
    }

    fn own(&mut self, value: Held<'a>) -> Result<Value, Fault> {
        if let Cow::Borrowed(value) = &value {
            self.meter.pay_for_copy(value)?;
        }
        Ok(value.into_owned())
    }

    fn field(&mut self, value: Held<'a>, name: &str) -> Result<Option<Held<'a>>, Fault> {
        self.meter.pay(name.len())?;
        match value {
            Cow::Borrowed(value) => Ok(value.get(name).map(Cow::Borrowed)),
            Cow::Owned(mut value) => Ok(value.get_mut(name).map(|field| Cow::Owned(field.take()))),
        }
    }

    fn item(&mut self, value: &'a Expr, index: &'a Expr) -> Result<Option<Held<'a>>, Fault> {
        let value = self.value(value)?;
        let index = self.value(index)?;
        if let Some(name) = index.as_str() {
            return self.field(value, name);
        }
        let Some(index) = index.as_i64() else { return Ok(None) };
        let length = value.as_array().map_or(0, Vec::len);
        let at =
            if index < 0 { length.checked_sub(index.unsigned_abs() as usize) } else { usize::try_from(index).ok() };
        at.map_or(Ok(None), |at| self.item_at(value, at))
    }

    fn binary(&mut self, operator: Operator, left: &'a Expr, right: &'a Expr) -> Result<Held<'a>, Fault> {
        let left = self.value(left)?;
        match operator {
            Operator::And if !operators::is_true(&left) => return Ok(left),
            Operator::Or if operators::is_true(&left) => return Ok(left),
            _ => {}
        }
        let right = self.value(right)?;
        match operator {
            Operator::And | Operator::Or => Ok(right),
            Operator::Concatenate => {
                let (options, mut text) = (self.options, Built::new(&mut self.meter));
                options.write(&left, &mut text)?;
                options.write(&right, &mut text)?;
                Ok(Cow::Owned(Value::String(text.text)))
            }
            operator => Ok(Cow::Owned(operators::apply(operator, &left, &right, &mut self.meter)?)),
        }
    }

    fn choice(&mut self, choice: &'a Choice) -> Result<Option<Held<'a>>, Fault> {
        let condition = self.value(&choice.condition)?;
        match (operators::is_true(&condition), &choice.no) {
            (true, _) => self.find(&choice.yes),
            (false, Some(no)) => self.find(no),
            (false, None) => Ok(Some(Cow::Owned(Value::from("")))),
        }
    }
}

fn described(expr: &Expr) -> String {
    match expr {
        Expr::Name(name) => format!("{name:?}"),
        Expr::Field(_, name) => format!("the field {name:?}"),
        Expr::Item(..) => "an item".to_owned(),
        _ => "a value".to_owned(),
    }
}
