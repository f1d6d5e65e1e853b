#!/bin/sh
# Runs a test program for cargo (see `make test`). A program that hangs or is interrupted is killed together with all
# processes that it started; cargo then continues with the next program.
#
#   scripts/run-test-program.sh PROGRAM [ARGUMENT...]
#
# TEST_PROGRAM_SECONDS is how long the program may take, 1200 by default.
set -u

limit=${TEST_PROGRAM_SECONDS:-1200}
# `timeout` makes a process group and kills the group as a whole. The shell stays outside of the group, to clean up when
# it is interrupted, and waits in the background, because traps run only between commands or during `wait`.
timeout --signal=KILL "$limit" "$@" </dev/null &
group=$!
trap 'kill -s KILL -- "-$group"; exit 130' INT TERM HUP
wait "$group"
status=$?
if [ "$status" -eq 137 ]; then
    echo "killed, possibly after its limit of $limit s: $*" >&2
    echo "tests that hang are those above that have been 'running for over 60 seconds' and have no result" >&2
fi
exit "$status"
