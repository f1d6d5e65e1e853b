//! Scripted NTP servers on loopback, for `demo` and for tests: correct ones and many kinds of faulty ones.
//!
//! The reply to a request is a pure function of the [`Script`] (`script`, `reply`), as is the time of the server
//! (`clock`); `server` adds sockets. Scripted servers listen on loopback only, because they serve wrong time.

mod clock;
mod reply;
mod request;
mod script;
mod server;
pub mod time;

pub use clock::ServerClock;
pub use reply::{Header, ReplyKind};
pub use request::Request;
pub use script::{Action, KissRule, Script, Transmit};
pub use server::{Counters, ScriptedServer};
