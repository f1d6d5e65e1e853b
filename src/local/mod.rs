//! The own clock, as this machine sees it: the kernel's state and that of a chronyd or ntpd. Reads only; needs no
//! privilege, and lacks nothing where there is neither daemon.

mod daemon;
mod kernel;
mod watch;

pub use daemon::{ask as ask_daemon, parse_ntpq, parse_tracking};
pub use kernel::{RawTimex, decode, read_kernel};
pub use watch::watch;
