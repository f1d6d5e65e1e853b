//! The own clock, as this machine sees it: the kernel's state, that of a chronyd or ntpd, and the list of leap seconds.
//! Reads only; needs no
//! privilege, and lacks nothing where there is neither daemon.

mod daemon;
mod kernel;
mod leap;
mod watch;

pub use daemon::{ask as ask_daemon, parse_ntpq, parse_tracking};
pub use kernel::{RawTimex, decode, read_kernel};
pub use leap::watch_list;
pub use watch::watch;
