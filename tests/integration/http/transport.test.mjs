// HTTP itself: methods, framing, limits, and clients that behave badly.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import zlib from 'node:zlib';
import http from 'node:http';
import https from 'node:https';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDoor, createProduct, module, program, assertError, adminToken, deviceId, BORON } from './door.mjs';

let door, product;
before(async () => {
    door = await startDoor(['cors=https://console.example,https://other.example', 'upload=2000000', 'request_timeout=2', 'idle_timeout=3']);
    product = await createProduct(door, 'transport');
});
after(() => door.stop());

// Bytes out, everything that comes back until the other side closes or falls silent.
function raw(bytes, { quietMs = 400 } = {}) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(door.port, '127.0.0.1');
        let text = '';
        let timer;
        const done = () => { clearTimeout(timer); socket.destroy(); resolve(text); };
        const arm = () => { clearTimeout(timer); timer = setTimeout(done, quietMs); };
        socket.on('data', (data) => { text += data; arm(); });
        socket.on('end', done);
        socket.on('error', (error) => (text ? done() : reject(error)));
        socket.write(bytes);
        arm();
    });
}

const auth = `Authorization: Bearer ${adminToken}\r\nHost: x\r\n`;

test('HEAD is GET without the body', async () => {
    const get = await door.call('GET', '/v1/products');
    const head = await door.call('HEAD', '/v1/products');
    assert.equal(head.status, 200);
    assert.equal(head.bytes.length, 0);
    assert.equal(Number(head.headers.get('content-length')), get.bytes.length);
});

test('other methods are refused with what is allowed', async () => {
    for (const method of ['PATCH', 'DELETE', 'TRACEX']) {
        const reply = method === 'TRACEX' ? null : await door.call(method, `/v1/products/${product.id}/firmware`);
        if (reply) {
            assertError(reply, 405);
            assert.equal(reply.headers.get('allow'), 'GET, POST, HEAD, OPTIONS');
        }
    }
    const options = await door.call('OPTIONS', `/v1/products/${product.id}/firmware`, { token: null });
    assert.equal(options.status, 204);
    assert.equal(options.headers.get('allow'), 'GET, POST, HEAD, OPTIONS');
});

test('a target may name the host, and begin with more than one slash', async () => {
    for (const target of ['http://x/v1/products', 'HTTP://127.0.0.1:1/v1/products?page=1', 'https://x//v1/products', '//v1/products', '///v1/products/']) {
        assert.match(await raw(`GET ${target} HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`), /^HTTP\/1\.1 200 /, target);
    }
    for (const target of ['http://x', 'http://x/', '//', '/v1//products']) {
        assert.match(await raw(`GET ${target} HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`), /^HTTP\/1\.1 404 /, target);
    }
    assert.match(await raw(`GET httpx://x/v1/products HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`), /^HTTP\/1\.1 400 /);
});

test('a token that is not good is answered with how to authenticate', async () => {
    const reply = await door.call('GET', '/v1/products', { token: 'f'.repeat(40) });
    assert.equal(reply.status, 401);
    assert.match(reply.headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/);
});

test('browsers of configured origins may call, others not', async () => {
    const preflight = await door.call('OPTIONS', `/v1/products/${product.id}`, {
        token: null, headers: { origin: 'https://console.example', 'access-control-request-method': 'PUT' },
    });
    assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://console.example');
    assert.match(preflight.headers.get('access-control-allow-methods'), /PUT/);
    assert.match(preflight.headers.get('access-control-allow-headers'), /Authorization.*X-Particle-Tool/);
    const reply = await door.call('GET', '/v1/products', { headers: { origin: 'https://other.example' } });
    assert.equal(reply.headers.get('access-control-allow-origin'), 'https://other.example');
    for (const origin of ['https://evil.example', 'https://console.example.evil', 'https://console', 'null']) {
        const refused = await door.call('GET', '/v1/products', { headers: { origin } });
        assert.equal(refused.headers.get('access-control-allow-origin'), null, origin);
    }
});

test('every reply has an id, and no two the same', async () => {
    const ids = new Set();
    for (let i = 0; i < 5; i++) ids.add((await door.call('GET', '/health')).headers.get('x-request-id'));
    assert.equal(ids.size, 5);
});

test('long lists are compressed for those who ask', async () => {
    const ids = Array.from({ length: 60 }, (_, i) => deviceId(0x7000 + i));
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { ids } });
    const get = (encoding) => new Promise((resolve) => http.get(`${door.base}/v1/products/${product.id}/devices?per_page=60`, {
        headers: { authorization: `Bearer ${adminToken}`, ...(encoding && { 'accept-encoding': encoding }) },
    }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve({ encoding: response.headers['content-encoding'], bytes: Buffer.concat(parts) }));
    }));
    const plain = await get();
    const packed = await get('deflate, gzip;q=1.0');
    const refused = await get('gzip;q=0');
    assert.equal(plain.encoding, undefined);
    assert.equal(refused.encoding, undefined);
    assert.equal(packed.encoding, 'gzip');
    assert.ok(packed.bytes.length * 4 < plain.bytes.length);
    assert.deepEqual(JSON.parse(zlib.gunzipSync(packed.bytes)), JSON.parse(plain.bytes));
});

const part = (name, value) => `--BB\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
function multipart(version, bytes) {
    return Buffer.concat([
        Buffer.from(`${part('version', version)}${part('title', 't')}--BB\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`),
        bytes, Buffer.from('\r\n--BB--\r\n')]);
}
const uploadHead = `POST /v1/products/${'P'}/firmware HTTP/1.1\r\n${auth}Content-Type: multipart/form-data; boundary=BB\r\n`;
const head = () => uploadHead.replace('/P/', `/${product.id}/`);
const chunked = (body, size) => {
    const parts = [];
    for (let at = 0; at < body.length; at += size) {
        const piece = body.subarray(at, at + size);
        parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
};

test('chunked uploads work, whatever the size of the chunks', async () => {
    let version = 10;
    for (const size of [7, 1000, 100000]) {
        const body = multipart(++version, module(BORON, product.id, version, 40000));
        const text = await raw(Buffer.concat([Buffer.from(`${head()}Transfer-Encoding: chunked\r\n\r\n`), chunked(body, size)]), { quietMs: 1500 });
        assert.match(text, /^HTTP\/1\.1 201 /, text);
    }
});

test('an upload larger than allowed is refused, with or without a declared length', async () => {
    const body = multipart(20, Buffer.alloc(2100000));
    const declared = await raw(Buffer.concat([Buffer.from(`${head()}Content-Length: ${body.length}\r\n\r\n`), body]), { quietMs: 1500 });
    assert.match(declared, /^HTTP\/1\.1 413 /, declared);
    const streamed = await raw(Buffer.concat([Buffer.from(`${head()}Transfer-Encoding: chunked\r\n\r\n`), chunked(body, 60000)]), { quietMs: 1500 });
    assert.match(streamed, /^HTTP\/1\.1 413 /, streamed);
    // With Expect the bytes need not even be sent.
    const expecting = await raw(`${head()}Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n`);
    assert.match(expecting, /^HTTP\/1\.1 413 /, expecting);
    const unauthorised = await raw(`${head().replace(adminToken, 'f'.repeat(40))}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n`);
    assert.match(unauthorised, /^HTTP\/1\.1 401 /, unauthorised);
});

test('Expect: 100-continue is answered', async () => {
    const body = multipart(30, module(BORON, product.id, 30));
    const text = await new Promise((resolve) => {
        const socket = net.connect(door.port, '127.0.0.1');
        let all = '';
        socket.on('data', (data) => {
            all += data;
            if (all === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write(body);
            if (/ 201 /.test(all)) { socket.destroy(); resolve(all); }
        });
        socket.on('close', () => resolve(all));
        socket.write(`${head()}Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`);
    });
    assert.match(text, /100 Continue[\s\S]* 201 /);
});

test('an upload without a token is not kept, not even read into memory', async () => {
    const body = multipart(31, module(BORON, product.id, 31, 100000));
    const anonymous = head().replace(/Authorization: .*\r\n/, '');
    const text = await raw(Buffer.concat([Buffer.from(`${anonymous}Content-Length: ${body.length}\r\n\r\n`), body]), { quietMs: 800 });
    assert.match(text, /^HTTP\/1\.1 400 [\s\S]*The access token was not found/, text);
    // A form may bring its token, as long as that comes before the file.
    const first = Buffer.concat([Buffer.from(part('access_token', adminToken)), body]);
    const ok = await raw(Buffer.concat([Buffer.from(`${anonymous}Content-Length: ${first.length}\r\n\r\n`), first]), { quietMs: 1500 });
    assert.match(ok, /^HTTP\/1\.1 201 /, ok);
});

test('of whom nobody has named yet, only little text is kept', async () => {
    const post = (path, type, body) => raw(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, { quietMs: 1500 });
    const long = part('description', 'x'.repeat(40000));
    const token = part('access_token', adminToken);
    const named = part('name', 'of-a-form');
    for (const [path, body] of [['/v1/products', long + token + named], [`/v1/products/${product.id}/devices`, long + token]]) {
        assert.match(await post(path, 'multipart/form-data; boundary=BB', `${body}--BB--\r\n`), /^HTTP\/1\.1 400 [\s\S]*The access token was not found/, path);
    }
    const first = await post('/v1/products', 'multipart/form-data; boundary=BB', `${token}${long}${named}--BB--\r\n`);
    assert.match(first, /^HTTP\/1\.1 400 [\s\S]*description: must/, 'whoever says who it is first is heard out');
    const login = await post('/oauth/token', 'application/x-www-form-urlencoded', `grant_type=password&username=${'x'.repeat(40000)}`);
    assert.match(login, /^HTTP\/1\.1 413 /);
});

test('requests in a row on one connection are answered in order', async () => {
    const text = await raw(`GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/products/nope HTTP/1.1\r\n${auth}\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.deepEqual([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]), ['200', '404', '200']);
});

test('a refused body does not break the next request on the connection', async () => {
    const body = JSON.stringify({ name: 'x' });
    const text = await raw(`POST /v1/nowhere HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}GET /health HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.deepEqual([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]), ['404', '200']);
});

test('long heads are refused in JSON', async () => {
    const last = (text) => JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)).error;
    const head = (bytes) => `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(bytes)}\r\n\r\n`;
    assert.match(await raw(head(12000)), /^HTTP\/1\.1 200/);
    for (const bytes of [12300, 13000, 14500]) {
        const text = await raw(head(bytes));
        assert.match(text, /^HTTP\/1\.1 431/);
        assert.equal(last(text), 'head_too_large');
    }
    for (const bytes of [8200, 10000, 14500]) {
        const text = await raw(`GET /v1/products?x=${'y'.repeat(bytes)} HTTP/1.1\r\nHost: x\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 414/);
        assert.equal(last(text), 'uri_too_long');
    }
});

test('a body whose end is in doubt ends the connection', async () => {
    const head = `POST /v1/products HTTP/1.1\r\nHost: x\r\n${auth}`;
    const hidden = `GET /v1/user HTTP/1.1\r\nHost: x\r\n${auth}\r\n`;
    for (const framing of [`Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, `Transfer-Encoding: gzip\r\n\r\n`,
        `Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`]) {
        const text = await raw(head + framing + hidden);
        assert.match(text, /^HTTP\/1\.1 400/, framing);
        assert.match(text, /Connection: close/, framing);
        assert.match(text, /Transfer-Encoding: /, framing);
        assert.equal(text.match(/HTTP\/1\.1/g).length, 1, 'what follows is no request');
    }
});

test('garbage and oversized heads end only their own connection', async () => {
    for (const bytes of ['\r\n\r\n\r\n', 'GET\r\n\r\n', '\x00\x01\x02\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'y'.repeat(40000)}\r\n\r\n`,
        `GET /${'a'.repeat(40000)} HTTP/1.1\r\nHost: x\r\n\r\n`, `GET /${'a'.repeat(3000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
        `POST /v1/products HTTP/1.1\r\n${auth}Content-Length: -5\r\n\r\n`, `POST /v1/products HTTP/1.1\r\n${auth}Content-Length: 99999999999999999999\r\n\r\n`,
        `POST /v1/products HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\nzz\r\n`]) {
        const text = await raw(bytes).catch(() => '');
        assert.doesNotMatch(text, /HTTP\/1\.1 (200|201|5)/, JSON.stringify(bytes.slice(0, 40)));
    }
    assert.equal((await door.call('GET', '/health')).status, 200);
});

test('slow clients are cut off and do not starve others', async () => {
    const slow = [];
    for (let i = 0; i < 50; i++) {
        const socket = net.connect(door.port, '127.0.0.1');
        socket.on('error', () => {});
        socket.closed_ = new Promise((resolve) => socket.on('close', resolve));
        // Half of them trickle a head, half a body.
        socket.write(i % 2 ? `GET /health HTTP/1.1\r\nX: ` : `POST /v1/products HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`);
        socket.timer_ = setInterval(() => socket.write('y'), 200);
        slow.push(socket);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Others are served while all of them are still being waited for.
    for (let i = 0; i < 20; i++) assert.equal((await door.call('GET', '/v1/products')).status, 200);
    assert.equal(slow.filter((socket) => socket.destroyed).length, 0, 'none was cut off so far');
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error('still connected')), 9000));
    await Promise.race([Promise.all(slow.map((socket) => socket.closed_)), limit])
        .finally(() => slow.forEach((socket) => { clearInterval(socket.timer_); socket.destroy(); }));
});

test('who asks and does not read the answers is cut off', async () => {
    const patient = await startDoor(['request_timeout=1', 'idle_timeout=600']);
    const sockets = () => readdirSync(`/proc/${patient.pid}/fd`).filter((fd) => {
        try { return readlinkSync(`/proc/${patient.pid}/fd/${fd}`).startsWith('socket:'); } catch { return false; }
    }).length;
    const deaf = [];
    try {
        const before = sockets();
        for (let i = 0; i < 5; i++) {
            deaf.push(net.connect(patient.port, '127.0.0.1').on('error', () => {}).pause());
            deaf.at(-1).write('GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200));
        }
        const until = async (reached) => {
            for (let n = 0; n < 600 && !reached(); n++) await new Promise((resolve) => setTimeout(resolve, 50));
            return reached();
        };
        assert.ok(await until(() => sockets() >= before + 5), 'they are connected');
        assert.ok(await until(() => sockets() <= before), 'and then not any more');
    } finally {
        deaf.forEach((socket) => socket.destroy());
        await patient.stop();
    }
});

test('a house full of clients that dawdle still has room', async (t) => {
    const small = await startDoor(['connections=64', 'request_timeout=600', 'idle_timeout=600']);
    const slow = [];
    t.after(() => { for (const socket of slow) socket.destroy(); return small.stop(); });
    let driven = 0;
    for (let i = 0; i < 200; i++) {
        slow.push(net.connect(small.port, '127.0.0.1').on('error', () => {}).on('close', () => driven++));
        slow.at(-1).write(i % 2 ? 'GET /health HTTP/1.1\r\nX: ' : 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'); // half, or idle
        if (i % 10 === 9) {
            const reply = await fetch(`${small.base}/health`, { signal: AbortSignal.timeout(20000), headers: { connection: 'close' } });
            assert.equal(reply.status, 200, `with ${i} of them`);
        }
    }
    while (driven < 200 - 64) await new Promise((resolve) => setTimeout(resolve, 20));
});

test('an address that asks too often is told when to come back', async () => {
    const limited = await startDoor(['address_requests=20', 'address_logins=3']);
    try {
        for (let i = 0; i < 3; i++) {
            assert.equal((await limited.call('POST', '/oauth/token', { token: null, form: { grant_type: 'x', client_id: 'particle', client_secret: 'particle' } })).status, 400);
        }
        const login = await limited.call('POST', '/oauth/token', { token: null, form: { grant_type: 'x' } });
        assertError(login, 429);
        // Four of twenty so far, and one that the start of the door took.
        for (let i = 5; i < 20; i++) assert.equal((await limited.call('GET', '/health')).status, 200);
        const reply = await limited.call('GET', '/health');
        assertError(reply, 429);
        assert.ok(Number(reply.headers.get('retry-after')) > 0);
    } finally {
        await limited.stop();
    }
});

test('an address has only so many connections at once', async () => {
    const limited = await startDoor(['address_connections=5']);
    const dial = () => new Promise((resolve) => {
        const socket = net.connect(limited.port, '127.0.0.1');
        socket.on('error', () => {});
        socket.on('close', () => resolve(null));
        socket.once('data', () => resolve(socket));
        socket.write(`GET /v1/devices/events HTTP/1.1\r\n${auth}\r\n`);
    });
    try {
        const open = (await Promise.all(Array.from({ length: 12 }, dial))).filter(Boolean);
        assert.ok(open.length >= 3 && open.length <= 5, `${open.length} of 12`); // the test's own client has some
        open.forEach((socket) => socket.destroy());
        let after;
        for (let n = 0; n < 100 && !after; n++) {
            after = await dial();
            if (!after) await new Promise((resolve) => setTimeout(resolve, 50));
        }
        assert.ok(after, 'there is room again');
        after.destroy();
    } finally {
        await limited.stop();
    }
});

test('HTTPS with a certificate and its key, and not with another key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-tls-'));
    const pem = (name) => join(folder, name);
    for (const name of ['a', 'b']) {
        const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
            '-keyout', pem(`${name}.key`), '-out', pem(`${name}.pem`), '-days', '1', '-subj', '/CN=localhost']);
        assert.equal(made.status, 0, String(made.stderr));
    }
    const secure = await startDoor([`tls_cert=${pem('a.pem')}`, `tls_key=${pem('a.key')}`], adminToken, { tls: true });
    try {
        const body = multipart(1, module(BORON, 101, 1, 300000));
        const ask = (method, path, headers = {}, bytes, version = {}) => new Promise((resolve, reject) => {
            const request = https.request({ ...version, port: secure.port, method, path, rejectUnauthorized: false, headers: { authorization: `Bearer ${adminToken}`, ...headers } }, (response) => {
                let text = '';
                response.on('data', (data) => { text += data; });
                response.on('end', () => resolve({ status: response.statusCode, text }));
            });
            request.on('error', reject);
            request.end(bytes);
        });
        assert.equal((await ask('GET', '/health')).status, 200);
        // RFC 8996: neither of the two before 1.2.
        const spoken = (version) => ask('GET', '/health', {}, undefined, { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0', agent: false }).then(() => true, () => false);
        for (const version of ['TLSv1', 'TLSv1.1']) assert.equal(await spoken(version), false, version);
        for (const version of ['TLSv1.2', 'TLSv1.3']) assert.equal(await spoken(version), true, version);
        const product = JSON.stringify({ product: { name: 'tls', platform_id: BORON } });
        assert.equal((await ask('POST', '/v1/products', { 'content-type': 'application/json' }, product)).status, 201);
        const uploaded = await ask('POST', '/v1/products/tls/firmware', { 'content-type': 'multipart/form-data; boundary=BB' }, body);
        assert.equal(uploaded.status, 201, uploaded.text);
    } finally {
        await secure.stop();
    }
    const wrong = spawnSync(program, ['serve', folder, `tls_cert=${pem('a.pem')}`, `tls_key=${pem('b.key')}`], { input: '', timeout: 10000 });
    assert.equal(wrong.status, 1, String(wrong.stderr));
    const half = spawnSync(program, ['serve', folder, `tls_cert=${pem('a.pem')}`], { input: '', timeout: 10000 });
    assert.equal(half.status, 1);
    assert.match(String(half.stderr), /certificate/);
    rmSync(folder, { recursive: true, force: true });
});

test('a port in use and an address that is none are said so', () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-port-'));
    const used = spawnSync(program, ['serve', folder, `port=${door.port}`], { input: '', timeout: 10000 });
    assert.equal(used.status, 1);
    assert.match(String(used.stderr), /port \d+: Address already in use/);
    const none = spawnSync(program, ['serve', folder, 'bind=nowhere'], { input: '', timeout: 10000 });
    assert.equal(none.status, 1);
    assert.match(String(none.stderr), /nowhere is not a numeric address/);
    rmSync(folder, { recursive: true, force: true });
});

test('what failed is in the log, once, with the id of the request', async () => {
    const own = await startDoor([], adminToken, { log: 'info' });
    try {
        await own.call('GET', '/v1/user');
        // Not shorter: the file is mapped.
        for (const file of ['slipway.db', 'slipway.db-wal']) {
            const path = join(own.folder, file);
            const descriptor = openSync(path, 'r+');
            writeSync(descriptor, Buffer.alloc(statSync(path).size, 0xff), 0, undefined, 0);
            closeSync(descriptor);
        }
        const reply = await own.call('GET', '/v1/products');
        assertError(reply, 500, /its log has the reason/);
        assert.doesNotMatch(reply.text, /sqlite|disk|malformed/i, 'the asker is not told');
        const id = reply.headers.get('x-request-id');
        const find = () => own.log().split('\n').filter((line) => line.includes(id));
        for (let i = 0; i < 200 && find().length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
        const lines = find();
        assert.equal(lines.length, 1, own.log());
        assert.match(lines[0], /status=500 .*cause="[^"]*(disk|malformed|database)[^"]*"/);
    } finally {
        await own.stop();
    }
});
