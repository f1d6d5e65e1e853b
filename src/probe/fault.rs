//! Explains local errors, with advice that an operator can act on.

use std::io::{Error, ErrorKind};

use nix::errno::Errno;

use ntp_monitor_core::sample::Outcome;

/// The outcome of a query whose socket could not be opened, connected or written to.
pub(super) fn outcome_of(error: &Error) -> Outcome {
    // The ICMP error may arrive before the call that sent the datagram returns.
    if error.kind() == ErrorKind::ConnectionRefused {
        return Outcome::Refused;
    }
    Outcome::Fault(reason(error).into())
}

fn reason(error: &Error) -> String {
    let advice = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => "this process has too many files open: raise its limit (LimitNOFILE=)",
        Some(Errno::ENFILE) => "this host has too many files open: raise fs.file-max",
        Some(Errno::ENOBUFS | Errno::ENOMEM) => "the kernel has no memory for network buffers",
        Some(Errno::ENETUNREACH) => "this host has no route to that network: check its interfaces and routes",
        Some(Errno::EHOSTUNREACH) => "this host cannot reach that address: check its routes and neighbours",
        Some(Errno::EACCES | Errno::EPERM) => "this host forbids it: check its firewall and sandbox",
        Some(Errno::EADDRNOTAVAIL) => "this host has no free port or no address of that family",
        Some(Errno::EAFNOSUPPORT) => "this host does not speak that address family (IPv6 disabled?)",
        Some(Errno::EINVAL) => "that address cannot be sent to (a link-local one needs its interface: fe80::1%eth0)",
        Some(Errno::ENETDOWN) => "the network interface is down",
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_faults_include_advice() {
        for (errno, word) in [
            (Errno::EMFILE, "LimitNOFILE"),
            (Errno::ENOBUFS, "memory"),
            (Errno::ENETUNREACH, "route"),
            (Errno::EACCES, "firewall"),
        ] {
            let Outcome::Fault(why) = outcome_of(&Error::from(errno)) else { panic!("{errno}") };
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn connection_refused_is_an_outcome_and_not_a_fault() {
        assert_eq!(outcome_of(&Error::from(Errno::ECONNREFUSED)), Outcome::Refused);
    }
}
