#!/bin/sh
# All tests, in two rows beside each other: what waits for servers and browsers, and what only computes. $1 is pytest.
set -u
computing="tests/simulation tests/reference tests/property"
report=$(mktemp)
trap 'kill "$row" 2>/dev/null; rm -f "$report"' EXIT
nice -n 5 "$1" -q $computing >"$report" 2>&1 &
row=$!
"$1" -q $(for folder in $computing; do echo "--ignore=$folder"; done)
served=$?
wait "$row"
computed=$?
cat "$report"
[ "$served" -eq 0 ] && [ "$computed" -eq 0 ]
