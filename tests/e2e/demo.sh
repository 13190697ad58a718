#!/bin/sh
# The demonstration says what it should, ends well and leaves nothing behind.
set -u
top=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILDDIR:-$top/build}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/demo-test.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# check WHAT COMMAND…: counts whether the command succeeds.
check() {
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}
has() {
    check "no line like: $1" grep -Eq -- "$1" "$tmp/out"
}

TMPDIR=$tmp LC_ALL=C.UTF-8 sh "$top/tests/demo/demo.sh" "$build" >"$tmp/out" 2>"$tmp/err"
check "exit status $?" [ $? -eq 0 ]
# One after the other takes the sum of 1 and 2 s, gathered the longer one.
has '^ +[1-9]\.[0-9] s  1 ends milk$'
has '^ +[3-9]\.[0-9] s  2 ends bread$'
has '^  took [3-9]\.[0-9] s$'
check "order of the gathered" sh -c 'grep -A 4 "^gather$" "$1" | tail -n 4 | cut -d s -f 2- |
    tr -d "\n" | grep -Eq "1 starts milk  2 starts bread  1 ends milk  2 ends bread"' sh "$tmp/out"
files=$(sed -n 's/^coro map: checksum and gzip \([0-9]*\) files.*/\1/p' "$tmp/out")
check "files: $files" [ "${files:-0}" -gt 10 ]
has "^  $((${files:-0} - 1)) checksums, [0-9]{4,} bytes in, [0-9]{3,} bytes out, [0-9.]+ s, exit status 1\$"
has '✘ \.[0-9]+ run pack /usr/share/no such file [0-9]+ .*CommandError'
has '✔ … [0-9]+ more succeeded$'
has '^ +[0-9.]+ s  kill -9 [0-9]+: [0-9]+ commands have ended$'
has 'no daemon answers'
has 'job 4 has ended, exit status 0$'
has '^  24 commands: 24 started, 24 ended, each once, took [0-9.]+ s$'
has '✘|✔ succeeded .*24 survivors'
check "the one that fails is told" grep -q 'no such file: CommandError' "$tmp/err"
check "colours in a file" sh -c '! grep -q "$(printf "\033")" "$1"' sh "$tmp/out"
check "something is left behind" sh -c '[ -z "$(ls -d "$1"/coro-demo* 2>/dev/null)" ]' sh "$tmp"
[ "$failed" -eq 0 ] || cat "$tmp/out" "$tmp/err"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
