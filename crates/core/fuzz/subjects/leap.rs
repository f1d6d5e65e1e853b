//! No file panics the reader of `leap-seconds.list`, and what a list says holds together at any time.

use ntp_monitor_core::stats::leap::LeapList;

#[allow(dead_code)] // The replay test needs no fragments.
pub const FRAGMENTS: &[&str] = &[
    "#$\t3945196800\n",
    "#@\t4023129600\n",
    "#h\t",
    "#",
    "\n",
    "\t",
    " ",
    "\r\n",
    "2272060800",
    "3692217600",
    "10",
    "37",
    "-1",
    "0",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "18446744073709551615",
    "3692217600\t37\t# 1 Jan 2017\n",
    "dc8e2cfd 3edd6ae4 d6ae2bd5 91ae7d3f 2d3aa3ea",
];

pub fn check(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let list = match LeapList::parse(text) {
        Ok(list) => list,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    for at in [i64::MIN, -1, 0, list.expires_unix_s, 1_750_000_000, i64::MAX] {
        let _ = list.days_left(at);
        let valid = list.tai_offset_s(at);
        assert!(valid.is_none() || at <= list.expires_unix_s);
        if let Some(leap) = list.next_leap(at, 86_400) {
            assert!(leap.at_unix_s > at && leap.sign.abs() <= 1);
        }
    }
    for leap in list.leaps() {
        assert!(list.next_leap(leap.at_unix_s - 1, 1) == Some(leap));
    }
}
