//! Scripted NTP servers on loopback, for `demo` and for tests: good ones and every kind of bad one.
//!
//! What a server does with a request is a pure function of its [`Script`] (`script`, `reply`); what time it believes in
//! is a pure function too (`clock`); `server` adds sockets. Scripted servers refuse to listen beyond loopback: they lie.

mod clock;
mod reply;
mod request;
mod script;
mod server;
pub mod time;

pub use clock::{ServerClock, Step};
pub use reply::{Header, ReplyKind};
pub use request::Request;
pub use script::{Action, KissRule, Script, Transmit};
pub use server::{Counters, ScriptedServer};
