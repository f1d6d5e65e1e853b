//! Operating the program: messages to systemd, the unit and its sandbox, the store's upkeep, the doctor, installing.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[path = "../common/mod.rs"]
mod common;

mod booted;
mod debian;
mod docs;
mod doctor;
mod foreign;
mod health_check;
mod install;
mod limits;
mod links;
mod machine;
mod manager;
mod names;
mod package;
mod scripts;
mod unit;
mod upgrade;
mod upkeep;
