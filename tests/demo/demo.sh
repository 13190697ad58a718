#!/bin/sh
# A short demonstration: tests/demo/demo.sh BUILD_DIR
# It uses a daemon of its own in a temporary directory and leaves nothing behind.
set -eu
umask 022
if [ $# -ne 1 ] || [ ! -x "$1/coro" ]; then
    echo "usage: demo.sh BUILD_DIR (where coro, corod and corod-exec were built)" >&2
    exit 2
fi
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/coro-demo.XXXXXX")
PATH=$build:$PATH
COROD=$build/corod
XDG_STATE_HOME=$tmp
CORO_SOCKET=$tmp/corod/corod.sock
export PATH COROD XDG_STATE_HOME CORO_SOCKET

# The executor outlives the daemon by design; here it goes too, with what it holds.
clean_up() {
    trap '' INT TERM HUP
    coro -q daemon stop 2>/dev/null || :
    for process in /proc/[0-9]*; do
        case $({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null || :) in
        "$build/corod"*" $tmp/"*) kill -9 "${process#/proc/}" 2>/dev/null || : ;;
        esac
    done
    rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') off=$(printf '\033[0m')
else
    bold='' dim='' green='' off=''
fi
title() {
    printf '\n%s== %s ==%s\n' "$bold" "$1" "$off"
}
say() {
    printf '%s%s%s\n' "$dim" "$1" "$off"
}
good() {
    printf '%s%s%s\n' "$green" "$1" "$off"
}
now_ms() {
    echo $(($(date +%s%N) / 1000000))
}
# What happens since $began, each line with its time.
seconds() {
    printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100))
}
timed() {
    while IFS= read -r line; do
        printf '  %8s  %s\n' "$(seconds $(($(now_ms) - began)))" "$line"
    done
}

title "1. One after the other, and at the same time"
say "Two coroutines, as in asyncio: milk takes 1 s, bread takes 2 s."
for job in one-after-the-other gather; do
    printf '%s%s%s\n' "$bold" "$job" "$off"
    began=$(now_ms)
    coro submit -f "$here/$job.json" | timed
    good "  took $(seconds $(($(now_ms) - began)))"
done

title "2. One command for each of many files"
mkdir "$tmp/out" "$tmp/bin"
cat >"$tmp/bin/pack" <<'END'
#!/bin/sh
gzip -c -- "$1" >"$HERE/out/$2.gz" && sha256sum -- "$1"
END
cat >"$tmp/bin/survivor" <<'END'
#!/bin/sh
echo "$1" >>"$HERE/started" && sleep 1.5 && echo "$1" >>"$HERE/ended"
END
chmod +x "$tmp/bin/pack" "$tmp/bin/survivor"
PATH=$tmp/bin:$PATH
export HERE="$tmp"
find /usr/share -type f -size +1k -size -64k -readable ! -name '*.gz' 2>/dev/null |
    LC_ALL=C sort >"$tmp/all"
head -n 300 "$tmp/all" >"$tmp/files"
# The one in the middle does not exist.
files=$(wc -l <"$tmp/files")
{ head -n $((files / 2)) "$tmp/files" && echo "/usr/share/no such file" &&
    tail -n +$((files / 2 + 1)) "$tmp/files"; } >"$tmp/list"
coro pool set default 8
say "coro map: checksum and gzip $((files + 1)) files of /usr/share, 8 at a time"
began=$(now_ms)
status=0
coro map -k -n "pack files" pack '{}' '{#}' <"$tmp/list" >"$tmp/sums" || status=$?
took=$(($(now_ms) - began))
say "coro tree:"
coro tree last
bytes_in=$(tr '\n' '\0' <"$tmp/files" | du -cb --files0-from=- | tail -n 1 | cut -f 1)
rm -f "$tmp/out/$((files / 2 + 1)).gz" # what gzip left of the one that failed
bytes_out=$(cat "$tmp"/out/*.gz | wc -c)
good "  $(wc -l <"$tmp/sums") checksums, $bytes_in bytes in, $bytes_out bytes out, $(seconds $took), exit status $status"

title "3. kill -9"
say "24 commands of 1.5 s, 8 at a time; the daemon is killed in the middle."
began=$(now_ms)
id=$(coro submit "$here/survivors.json")
ended() {
    cat "$tmp/ended" 2>/dev/null | wc -l
}
until [ "$(ended)" -ge 8 ]; do
    [ $(($(now_ms) - began)) -lt 20000 ]
    sleep 0.05
done
sleep 0.3
pid=$(coro daemon status --json | sed 's/.*"pid": *\([0-9]*\).*/\1/')
before=$(ended)
kill -9 "$pid"
echo "kill -9 $pid: $before commands have ended" | timed
for _ in 1 2 3 4 5 6 7 8 9 10; do # until its socket is closed
    coro --no-start ls >"$tmp/answer" 2>&1 || :
    ! grep -q "no daemon answers" "$tmp/answer" || break
    sleep 0.1
done
timed <"$tmp/answer"
sleep 1.5
echo "no daemon, and $(ended) commands have ended" | timed
coro -q daemon start
echo "the daemon is back" | timed
status=0
coro wait "$id" || status=$?
echo "job $id has ended, exit status $status" | timed
coro tree "$id"
started=$(wc -l <"$tmp/started")
good "  24 commands: $started started, $(ended) ended, each once, took $(seconds $(($(now_ms) - began)))"
[ "$status" -eq 0 ] && [ "$started" -eq 24 ] && [ "$(sort -u "$tmp/ended" | wc -l)" -eq 24 ]
printf '\n'
coro ls
