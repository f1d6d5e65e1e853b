//! Reports: what a span was like, as one self-contained HTML page, as mail and as text.
//!
//! [`material`] reads the store, [`document`] turns it into a report (pure), `html`, `mail` and `text` are its forms.
//! [`schedule`] says when one is due (pure), [`shelf`] keeps the files. [`make`] does it all at once and blocks.

pub mod document;
pub mod drawings;
mod html;
mod mail;
pub mod make;
pub mod material;
pub mod message;
pub mod pending;
pub mod shelf;
mod text;
pub mod traceability;
pub mod worst;
