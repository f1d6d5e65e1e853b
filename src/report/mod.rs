//! Reports about a period: as a self-contained HTML page, as mail and as text.
//!
//! [`material`] reads the store, [`document`] turns the data into the content of a report (pure), `html`, `mail` and
//! `text` are its formats. [`pending`] decides when a report is due (pure), [`shelf`] stores the files. [`make`] runs
//! all of these steps and blocks.

mod data;
pub mod document;
pub mod drawings;
mod fleet;
mod html;
mod listed;
mod mail;
pub mod make;
pub mod material;
pub mod message;
pub mod nts;
pub mod pending;
pub mod shelf;
mod text;
pub mod times;
pub mod traceability;
pub mod worst;
