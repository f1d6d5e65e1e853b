//! This host's clock as seen locally: the state of the kernel and of a chronyd or ntpd, and the leap second list. Only
//! reads, needs no privilege, and works without a daemon.

mod daemon;
mod kernel;
mod leap;
mod sources;
mod watch;

pub use daemon::{ask as ask_daemon, parse_ntpq, parse_tracking};
pub use kernel::{RawTimex, decode, read_kernel};
pub use leap::watch_list;
pub use sources::{KnownServer, known_servers};
pub use watch::watch;
