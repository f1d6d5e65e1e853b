//! Alerts: rules over what was measured, and what is said when they begin and end to hold. Pure: no clock is read here,
//! nothing is sent.

pub mod notification;
