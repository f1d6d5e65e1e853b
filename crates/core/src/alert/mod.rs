//! Alerting: rules over the measurements, and the notifications when alerts fire and resolve.
//!
//! The module reads no clock and sends nothing, so the same engine runs live and over recordings. [`variables`] lists
//! what a rule can use, [`expression`] checks and evaluates conditions, [`rule`] combines a condition with its
//! durations and texts, [`state`] is the state machine of one alert, and [`engine`] evaluates all rules.

pub mod body;
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
