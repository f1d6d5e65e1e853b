//! Alerts: rules over what was measured, and what is said when they begin and end to hold. Pure: no clock is read here,
//! nothing is sent, and the same engine runs live and over recordings.
//!
//! [`variables`] is the one table of what a rule may look at, [`expression`] checks and evaluates, [`rule`] ties an
//! expression to its times and texts, [`state`] is the life of one alert, [`engine`] steps them all.

pub mod defaults;
pub mod docs;
pub mod engine;
pub mod expression;
pub mod facts;
pub mod inhibit;
pub mod notification;
pub mod replay;
pub mod rule;
pub mod selector;
pub mod silence;
pub mod state;
pub mod status;
pub mod template;
pub mod variables;
