// A full house at the device door: as many handshakes under way as there may be, none of which goes
// on, and more at the door. Everybody else is served as if nobody waited.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const room = 16, crowd = 24;
const handshake = 22, serverHello = 2, helloVerifyRequest = 3;
const folder = mkdtempSync(join(tmpdir(), 'slipway-crowd-'));
const config = join(folder, 'slipway.conf');
const template = readFileSync(new URL('../../data/dtls/clienthello1.bin', import.meta.url));
let daemon, port, log = '';

before(async () => {
    writeFileSync(config, `[dtls]\nhandshakes = ${room}\n`);
    daemon = spawn(join(process.env.SLIPWAY_BUILD, 'slipwayd'),
        ['--data', join(folder, 'data'), '--http', '127.0.0.1:0', '--dtls', '127.0.0.1:0', '--config', config],
        { stdio: ['ignore', 'pipe', 'pipe'] });
    daemon.stderr.on('data', (text) => { log += text; });
    let out = '';
    for await (const text of daemon.stdout) {
        out += text;
        const ready = /^slipwayd ready http=\S+ dtls=\S+:(\d+)/m.exec(out);
        if (ready) { port = Number(ready[1]); return; }
    }
    assert.fail(`slipwayd did not start: ${log}`);
});
after(async () => {
    const ended = once(daemon, 'exit');
    daemon.kill('SIGTERM');
    assert.equal((await ended)[0], 0, log);
    rmSync(folder, { recursive: true, force: true });
});

// The ClientHello again, with the cookie (RFC 6347 section 4.2.1).
function withCookie(hello, verify) {
    const cookie = verify.subarray(28, 28 + verify[27]);
    const out = Buffer.concat([hello.subarray(0, 60), Buffer.from([cookie.length]), cookie, hello.subarray(61)]);
    out[10] = out[18] = 1;
    out.writeUInt16BE(out.length - 13, 11);
    out.writeUIntBE(out.length - 25, 14, 3);
    out.writeUIntBE(out.length - 25, 22, 3);
    return out;
}

test('who waits for room keeps nobody else waiting', { timeout: 60000 }, async () => {
    const served = new Set();
    const sockets = [];
    let filled;
    const isFull = new Promise((resolve) => { filled = resolve; });
    const open = (take) => {
        const socket = createSocket('udp4');
        socket.on('message', take);
        sockets.push(socket);
        return (datagram) => socket.send(datagram, port, '127.0.0.1');
    };
    for (let n = 0; n < crowd; n++) {
        const hello = Buffer.from(template);
        randomBytes(32).copy(hello, 27);
        const send = open((answer) => {
            if (answer[0] === handshake && answer[13] === helloVerifyRequest) send(withCookie(hello, answer));
            if (answer[0] === handshake && answer[13] === serverHello) served.add(n);
            if (served.size === room) filled();
        });
        send(hello);
    }
    await isFull;
    // Device OS's probe: echoed, with no session and no handshake.
    const probe = Buffer.from('fcfefd8000000000000000000400000000', 'hex');
    const echoed = new Promise((resolve) => { open(resolve)(probe); });
    assert.deepEqual(await echoed, probe);
    assert.equal(served.size, room, 'nobody had to make room before it');
    sockets.forEach((socket) => socket.close());
});
