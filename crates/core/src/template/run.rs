//! The state of one rendering.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::meter::{Meter, STEP};
use super::tree::LoopField;
use super::{Fault, Options};

/// A value of the context, or a computed value.
pub(super) type Held<'a> = Cow<'a, Value>;

/// A rendering in progress.
pub(super) struct Run<'a> {
    pub(super) values: &'a Map<String, Value>,
    pub(super) options: Options,
    pub(super) meter: Meter,
    pub(super) loops: Vec<Loop<'a>>,
}

/// A running loop.
pub(super) struct Loop<'a> {
    pub(super) name: &'a str,
    pub(super) item: Held<'a>,
    pub(super) index: usize,
    pub(super) length: usize,
}

impl<'a> Run<'a> {
    /// The item at an index of a list.
    pub(super) fn item_at(&mut self, value: Held<'a>, at: usize) -> Result<Option<Held<'a>>, Fault> {
        self.meter.pay(STEP)?;
        match value {
            Cow::Borrowed(value) => Ok(value.get(at).map(Cow::Borrowed)),
            Cow::Owned(mut value) => Ok(value.get_mut(at).map(|item| Cow::Owned(item.take()))),
        }
    }
}

impl Loop<'_> {
    /// The value of a field of `loop`.
    pub(super) fn field(&self, field: LoopField) -> Value {
        match field {
            LoopField::Index => Value::from(self.index + 1),
            LoopField::Index0 => Value::from(self.index),
            LoopField::First => Value::from(self.index == 0),
            LoopField::Last => Value::from(self.index + 1 == self.length),
            LoopField::Length => Value::from(self.length),
        }
    }
}
