//! Validates `[leap]`: the configured list must be valid.

use super::Rules;
use crate::config::fault::KeyPath;
use crate::config::model::Leap;
use crate::config::raw;
use crate::config::read_leap_list;

pub(super) fn leap(section: raw::Leap, rules: &mut Rules<'_>) -> Leap {
    if let Some(path) = &section.list {
        let read = read_leap_list(path);
        rules.require(read.is_ok(), &KeyPath::dotted("leap.list"), || read.err().unwrap_or_default());
    }
    Leap { list: section.list }
}
