#!/usr/bin/env python3
"""JSON-RPC clients that others wrote, from npm: vscode-jsonrpc (Content-Length) and jayson (lines)."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, Skip, check, run_tests  # noqa: E402

VSCODE = """
const net = require('net');
const assert = require('assert');
const rpc = require('vscode-jsonrpc/node');
const socket = net.connect(process.argv[2], async () => {
    const c = rpc.createMessageConnection(new rpc.StreamMessageReader(socket),
                                          new rpc.StreamMessageWriter(socket));
    const events = [];
    c.onNotification('event', e => events.push(e));
    c.listen();
    assert.equal((await c.sendRequest('system.version')).api, '1.0');
    await c.sendRequest('event.subscribe', {filter: {types: ['output']}});
    const job = await c.sendRequest('job.submit', {job: {main: [{print: 'h\\u00e4'}, {return: 5}]}});
    const done = await c.sendRequest('job.wait', {ids: [job.id]});
    assert.equal(done.jobs[0].state, 'succeeded');
    assert.equal((await c.sendRequest('job.get', {id: job.id})).value, 5);
    assert.deepEqual(events.map(e => e.text), ['h\\u00e4']);
    await assert.rejects(c.sendRequest('job.get', {id: 999999}), e => e.code === -32003);
    await assert.rejects(c.sendRequest('no.such'), e => e.code === -32601);
    await Promise.all([...Array(200).keys()].map(() => c.sendRequest('system.ping')));
    c.end();
    console.log('good');
});
"""
JAYSON = """
const assert = require('assert');
const jayson = require('jayson/promise');
(async () => {
    const c = jayson.Client.tcp({path: process.argv[2]});
    const job = (await c.request('job.submit', {job: {main: [{return: 7}]}})).result;
    const done = (await c.request('job.wait', [[job.id], 'all', 20])).result;
    assert.equal(done.jobs[0].state, 'succeeded');
    assert.equal((await c.request('job.get', {id: job.id})).result.value, 7);
    assert.equal((await c.request('job.get', {id: 999999})).error.code, -32003);
    const batch = await c.request([c.request('system.ping', [], undefined, false),
                                   c.request('system.version', [], undefined, false)]);
    assert.equal(batch.length, 2);
    console.log('good');
})().catch(e => { console.error(e); process.exit(1); });
"""
daemon = Daemon()


def use(package, version, script):
    if not shutil.which("npm") or not shutil.which("node"):
        raise Skip("there is no npm")
    folder = os.path.join(daemon.directory, "npm-" + package)
    os.mkdir(folder)
    try:
        p = subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
             "--no-save", "%s@%s" % (package, version)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=50, env=dict(os.environ, npm_config_cache=os.path.join(folder, "cache"),
                                 npm_config_fetch_retries="0"))
    except subprocess.TimeoutExpired:
        raise Skip("npm takes too long") from None
    if p.returncode:
        raise Skip("npm cannot install %s: %s" % (package, p.stdout.decode()[-200:]))
    path = os.path.join(folder, "test.js")
    with open(path, "w", encoding="utf-8") as f:
        f.write(script)
    p = subprocess.run(["node", path, daemon.socket], cwd=folder, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50)
    check(p.returncode == 0 and p.stdout == b"good\n", p.stdout.decode())


def test_vscode_jsonrpc():
    use("vscode-jsonrpc", "8", VSCODE)


def test_jayson():
    use("jayson", "4", JAYSON)


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
