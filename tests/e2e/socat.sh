#!/bin/sh
# The protocol with what every machine has: socat (or nc -U) and jq.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
corod=${COROD:-${BUILDDIR:-$top/build}/corod}
exec_program=${COROD_EXEC:-${BUILDDIR:-$top/build}/corod-exec}
passed=0 failed=0

for tool in socat jq pgrep; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: no $tool"
        echo "0 passed, 0 failed, 1 skipped"
        exit 0
    fi
done

dir=$(mktemp -d) || exit 1
socket=$dir/s/corod.sock
mkfifo "$dir/ready"
"$corod" --user --state-dir "$dir/s" --config /dev/null --exec-program "$exec_program" \
    --ready-fd 3 3>"$dir/ready" 2>"$dir/log" &
daemon=$!
read -r _ <"$dir/ready"

# What is sent on stdin; the replies. The half-close at the end of stdin loses none.
ask() {
    socat -t 20 - "UNIX-CONNECT:$socket"
}

# is NAME GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        printf 'FAILED %s: got %s instead of %s\n' "$1" "$2" "$3"
    fi
}

is "a ping" \
    "$(printf '{"jsonrpc":"2.0","id":1,"method":"system.ping"}\n' | ask | jq -c '[.id, (.result | keys)]')" \
    '[1,["time"]]'
is "no line end" \
    "$(printf '{"jsonrpc":"2.0","id":"x","method":"system.version"}' | ask | jq -r .result.api)" 1.0
job=$(jq -cn '{jsonrpc: "2.0", id: 1, method: "job.submit", params: {job: {main: [
        {print: "hello"}, {sleep: 0.3}, {sh: "echo out; exit 3", check: false, as: "r"},
        {return: "${r.exit}"}]}}}' | ask | jq .result.id)
is "a job to its end" \
    "$(jq -cn --argjson id "$job" '{jsonrpc: "2.0", id: 2, method: "job.wait", params: {ids: [$id]}}' |
        ask | jq -c '.result | [.timed_out, .jobs[0].state]')" '[false,"succeeded"]'
is "its value and output" \
    "$(jq -cn --argjson id "$job" '{jsonrpc: "2.0", id: 3, method: "job.get", params: {id: $id}}' |
        ask | jq -c '.result | [.value, .output]')" '[3,["hello"]]'
is "its log, to the end" \
    "$(jq -cn --argjson id "$job" '{jsonrpc: "2.0", id: 4, method: "log.follow",
            params: {id: $id, stream: "both"}}' |
        ask | jq -c '.params | select(.) | [.stream, .data, .eof]')" \
    '["stdout","out\n",null]
[null,null,true]'
is "a batch" \
    "$(jq -cn '[range(5) | {jsonrpc: "2.0", id: ., method: "system.ping"}]' | ask | jq -c 'map(.id) | sort')" \
    '[0,1,2,3,4]'
is "many lines" \
    "$(jq -cn 'range(1000) | {jsonrpc: "2.0", id: ., method: "system.ping"}' | ask | jq -s length)" 1000
is "with headers" \
    "$(printf 'Content-Length: 47\r\n\r\n{"jsonrpc":"2.0","id":5,"method":"system.ping"}' | ask | head -c 14)" \
    "Content-Length"

kill "$daemon"
wait "$daemon"
is "its end" $? 0
# The executor it started has this directory on its command line.
for pid in $(pgrep -f "corod-exec.* $dir/s"); do
    kill -9 "$pid"
done
rm -rf "$dir"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
