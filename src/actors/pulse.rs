//! Handles [`Ping`], which shows that an actor still processes its mailbox.

use actix::{Context, Handler};

use super::supervisor::Supervisor;
use super::targets::Targets;
use crate::messages::lifecycle::Ping;

impl Handler<Ping> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}

impl Handler<Ping> for Targets {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}
