#!/bin/sh
# All tests, in two rows beside each other, each spread over two processes: what waits for servers and browsers, and
# what only computes, which is left what the other does not use. Then both reports. $1 is pytest.
set -u
cd "$(dirname "$0")/../.."
computing="tests/simulation tests/reference tests/property"
# A hundred programs of ours are started: each would compile all it imports, where nobody keeps that for it.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="${PYTHONPYCACHEPREFIX:-$PWD/.venv/pycache}"
report=$(mktemp)
trap 'kill "$row" 2>/dev/null; rm -f "$report"' EXIT
trap 'exit 130' INT TERM
nice -n 5 "$1" -q -n 2 --dist worksteal $computing >"$report" 2>&1 &
row=$!
"$1" -q -n 2 --dist loadfile --no-loadscope-reorder $(for folder in $computing; do echo "--ignore=$folder"; done)
served=$?
wait "$row"
computed=$?
cat "$report"
[ "$served" -eq 0 ] && [ "$computed" -eq 0 ]
