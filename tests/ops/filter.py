#!/usr/bin/python3
"""Compiles the system-call filter of a unit, as systemd would install it, into a BPF program for bwrap --seccomp.

    filter.py UNIT OUT

Reads SystemCallFilter=, RestrictAddressFamilies= and MemoryDenyWriteExecute=. Groups are resolved by
`systemd-analyze syscall-filter`. What is not allowed fails with EPERM (an address family with EAFNOSUPPORT).
"""

import errno
import socket
import subprocess
import sys

import seccomp

WRITE, EXECUTE = 2, 4
CONDITIONAL = ("socket", "mmap", "mprotect", "pkey_mprotect")


def settings(path):
    with open(path, encoding="utf-8") as unit:
        lines = [line.strip() for line in unit]
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return lambda key: [value.strip() for name, value in pairs if name == key]


def group(name, seen=None):
    """The system calls of @name, groups within it included."""
    seen = seen or set()
    listing = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", name], check=True, capture_output=True, text=True
    )
    calls = set()
    for word in (line.strip() for line in listing.stdout.splitlines()[1:]):
        if word.startswith("@") and word not in seen:
            seen.add(word)
            calls |= group(word, seen)
        elif word and word[0] not in "@#":
            calls.add(word)
    return calls


def allowed(lines):
    assert not lines[0].startswith("~"), "the first line must be a list of what is allowed"
    calls = group("@default")
    for line in lines:
        words = line.removeprefix("~").split()
        named = set().union(*(group(word) if word.startswith("@") else {word} for word in words))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def main(unit, out):
    of = settings(unit)
    families = [getattr(socket, name) for name in " ".join(of("RestrictAddressFamilies")).split()]
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for call in sorted(allowed(of("SystemCallFilter"))):
        if call in CONDITIONAL:
            continue
        try:
            rules.add_rule(seccomp.ALLOW, call)
        except (RuntimeError, ValueError):
            pass  # not of this architecture
    for family in families:
        rules.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, family))
    assert of("MemoryDenyWriteExecute") == ["yes"], "the rules below stand for it"
    for protection in (0, WRITE, EXECUTE):
        rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, WRITE | EXECUTE, protection))
    for call in ("mprotect", "pkey_mprotect"):
        rules.add_rule(seccomp.ALLOW, call, seccomp.Arg(2, seccomp.MASKED_EQ, EXECUTE, 0))
    with open(out, "wb") as program:
        rules.export_bpf(program)


main(*sys.argv[1:])
