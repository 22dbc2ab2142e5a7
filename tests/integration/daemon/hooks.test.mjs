// Webhooks as their receiver sees them: slipwayd in a process of its own, a real HTTP server at the
// other end.
import { test, before, after, afterEach, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const token = 'ad'.repeat(20);
const folder = mkdtempSync(join(tmpdir(), 'slipway-hooks-'));
const config = join(folder, 'slipway.conf');
const secret = 'a secret of the receiver';
let daemon, base, dtls, product, log;

async function start() {
    daemon = spawn(join(process.env.SLIPWAY_BUILD, 'slipwayd'),
        ['--data', join(folder, 'data'), '--http', '127.0.0.1:0', '--dtls', '127.0.0.1:0', '--config', config],
        { env: { ...process.env, SLIPWAY_ADMIN_TOKEN: token }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    log = '';
    daemon.stderr.on('data', (text) => { log += text; });
    daemon.ended = once(daemon, 'exit');
    for await (const text of daemon.stdout) {
        out += text;
        const ready = /^slipwayd ready http=(\S+) dtls=(\S+)/m.exec(out);
        if (ready) { base = `http://${ready[1]}`; dtls = ready[2]; return; }
    }
    assert.fail(`slipwayd did not start: ${log}`);
}

async function end(signal) {
    daemon.kill(signal);
    return (await daemon.ended)[0];
}

async function api(method, path, json) {
    const response = await fetch(base + path, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: json && JSON.stringify(json),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text && JSON.parse(text);
}

// What came in, and how it is answered: a status, or a function of the reply.
let received, answer, receiver, address;
function listen(port = 0) {
    receiver = createServer((request, reply) => {
        let body = '';
        request.on('data', (text) => { body += text; });
        request.on('end', () => {
            received.push({ method: request.method, url: request.url, headers: request.headers, body });
            const how = typeof answer === 'function' ? answer(request, reply) : answer;
            if (how !== undefined) { reply.statusCode = how; reply.end(); }
        });
    });
    receiver.listen(port, '127.0.0.1');
    return once(receiver, 'listening');
}

async function until(what, condition) {
    for (let n = 0; n < 400; n++) {
        const value = await condition();
        if (value) return value;
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    assert.fail(`${what} did not come about; received ${JSON.stringify(received)}; ${log}`);
}

const hooks = () => `/v1/products/${product}/webhooks`;
const make = (json) => api('POST', hooks(), { url: `${address}/in`, secret, ...json });
const publish = (name, data) => api('POST', `/v1/products/${product}/events`, { name, data });
const state = async (id) => (await api('GET', `${hooks()}/${id}`)).webhook;
const count = async (id, name) => (await state(id)).counters.find((c) => c.name === name).count;
const signature = (body) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

before(async () => {
    writeFileSync(config, '[hooks]\nretry = 50\nattempts = 4\ndisable = 3\ntimeout = 2000\ndeny = 127.0.0.0/8\nallow = 127.0.0.1\n[log]\nlevel = debug\n');
    received = [];
    await listen();
    address = `http://127.0.0.1:${receiver.address().port}`;
    await start();
    product = (await api('POST', '/v1/products', { product: { name: 'hooks', platform_id: 13 } })).product.id;
});
after(async () => {
    assert.equal(await end('SIGTERM'), 0, log);
    receiver.closeAllConnections();
    receiver.close();
    rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => { received = []; answer = 200; });
// What a test opened is closed however it ends: a server that is left would keep this process.
const closing = [];
afterEach(() => { while (closing.length) closing.pop()(); });

// The events of the product from now on, until the function returns.
async function following(run) {
    const stream = await fetch(`${base}/v1/products/${product}/events`, {
        headers: { authorization: `Bearer ${token}` } });
    const events = [];
    // Not ended by a signal: node 18 forgets it when it collects garbage, and the stream goes on.
    const reader = stream.body.getReader();
    const reading = (async () => {
        let text = '';
        for (let part; !(part = await reader.read()).done;) {
            text += Buffer.from(part.value);
            for (let at; (at = text.indexOf('\n\n')) >= 0; text = text.slice(at + 2)) {
                const found = /event: (.*)\n(?:id: .*\n)?data: (.*)/.exec(text.slice(0, at));
                if (found) events.push({ name: found[1], ...JSON.parse(found[2]) });
            }
        }
    })().catch(() => {});
    try { return await run(events); } finally { await reader.cancel(); await reading; }
}

test('an event arrives as a signed form', () => following(async (events) => {
    const hook = await make({ event: 'form' });
    await publish('form/a', 'x=1&y ü');
    const [got] = await until('the delivery', () => received.length === 1 && received);
    assert.equal(got.method, 'POST');
    assert.equal(got.url, '/in');
    assert.equal(got.headers['content-type'], 'application/x-www-form-urlencoded');
    assert.equal(got.headers['x-slipway-signature'], signature(got.body));
    assert.equal(got.headers['x-slipway-hook'], hook.id);
    const form = new URLSearchParams(got.body);
    assert.equal(form.get('event'), 'form/a');
    assert.equal(form.get('data'), 'x=1&y ü');
    assert.equal(form.get('coreid'), 'api');
    assert.match(form.get('published_at'), /^\d{4}-.*Z$/);
    await until('the event', () => events.some((e) => e.name === 'hook-sent/form/a'));
    assert.equal(await count(hook.id, 'sent'), 1);
    assert.equal(await count(hook.id, 'queued'), 0);
    await api('DELETE', `${hooks()}/${hook.id}`);
}));

test('templates, headers, credentials and methods', async () => {
    const made = [
        await make({ event: 'shape', json: { t: '{{{t}}} in {{{PARTICLE_EVENT_NAME}}}', deep: ['{{PARTICLE_DEVICE_ID}}', 7], '{{{t}}}': '{{t}}' },
            headers: { 'X-Key': 'private word' }, auth: { username: 'me', password: 'hidden word' }, query: { a: '{{{t}}}&b' } }),
        await make({ event: 'shape', json: true, noDefaults: false, requestType: 'PUT' }),
        await make({ event: 'shape', requestType: 'GET', query: { k: 'v' } }),
        await make({ event: 'shape', body: '<t>{{{t}}}</t>{{none}}{{', headers: { 'content-type': 'text/xml' } }),
        await make({ event: 'shape', form: { only: '{{{t}}}' }, noDefaults: true, requestType: 'DELETE' }),
    ];
    await publish('shape', '{"t":"2\\"1"}');
    await until('five deliveries', () => received.length === 5);
    const of = (n) => received.find((r) => r.headers['x-slipway-hook'] === made[n].id);
    assert.deepEqual({ ...JSON.parse(of(0).body), published_at: 0 }, { t: '2"1 in shape', deep: ['api', 7], '2"1': '2&quot;1', event: 'shape',
        data: '{"t":"2\\"1"}', coreid: 'api', published_at: 0 });
    assert.equal(of(0).headers['content-type'], 'application/json');
    assert.equal(of(0).headers['x-key'], 'private word');
    assert.equal(of(0).headers.authorization, `Basic ${btoa('me:hidden word')}`);
    assert.equal(of(0).url, '/in?a=2%221%26b');
    assert.equal(of(1).method, 'PUT');
    assert.equal(JSON.parse(of(1).body).event, 'shape');
    assert.equal(of(2).method, 'GET');
    assert.equal(of(2).body, '');
    assert.equal(new URL(of(2).url, address).searchParams.get('event'), 'shape');
    assert.equal(new URL(of(2).url, address).searchParams.get('k'), 'v');
    assert.equal(of(3).body, '<t>2"1</t>{{');
    assert.equal(of(3).headers['content-type'], 'text/xml');
    assert.equal(of(4).method, 'DELETE');
    assert.equal(of(4).body, 'only=2%221');
    for (const got of received) assert.equal(got.headers['x-slipway-signature'], signature(got.body));
    assert.doesNotMatch(log, /private word|hidden word|a secret of/);
    for (const hook of made) await api('DELETE', `${hooks()}/${hook.id}`);
});

// What is told of an answer, by the names of its events.
async function toldOf(events, prefix, count) {
    const told = () => events.filter((e) => e.name.startsWith(prefix));
    await until(`${count} of ${prefix}`, () => told().length >= count);
    return told();
}

test('an answer comes back in events of 512 bytes', () => following(async (events) => {
    const hook = await make({ event: 'ask' });
    const text = `${'x'.repeat(511)}\u00fc${'y'.repeat(600)}`;
    answer = (request, reply) => { reply.end(text); };
    await publish('ask/1', 'q');
    const told = await toldOf(events, 'hook-response/ask/1/', 3);
    assert.deepEqual(told.map((e) => e.name), [0, 1, 2].map((n) => `hook-response/ask/1/${n}`));
    assert.deepEqual(told.map((e) => Buffer.byteLength(e.data)), [511, 512, 90], 'no character is cut');
    assert.equal(told.map((e) => e.data).join(''), text);
    assert.ok(events.findIndex((e) => e.name === 'hook-sent/ask/1') < events.indexOf(told[0]));
    const [log] = (await state(hook.id)).logs;
    assert.deepEqual([log.type, log.status, log.event.event, log.response], ['Success', 200, 'ask/1', 'x'.repeat(256)]);
    await api('DELETE', `${hooks()}/${hook.id}`);
}));

test('templates for answers, and topics', () => following(async (events) => {
    const topics = { responseTopic: '{{{PARTICLE_DEVICE_ID}}}/weather', errorResponseTopic: 'lost/{{{why}}}' };
    const made = [
        await make({ event: 'w', url: `${address}/json`, responseTemplate: '{{#list}}{{{t}}}~{{/list}}{{^none}}!{{/none}}', ...topics }),
        await make({ event: 'w', url: `${address}/json`, responseTemplate: { lat: '{{{list.1.t}}}' }, responseTopic: 'object' }),
        await make({ event: 'w', url: `${address}/json`, responseTopic: 'spark/status' }),
        await make({ event: 'w', url: `${address}/bad`, ...topics }),
        await make({ event: 'w', url: `${address}/long` }),
        // Neither another webhook nor itself is told of what is told of webhooks.
        await make({ event: 'object' }), await make({ event: 'api/weather' }),
    ];
    answer = (request, reply) => {
        if (request.url === '/bad') return 404;
        reply.end(request.url === '/json' ? '{"list":[{"t":20},{"t":"2<1"}]}' : 'z'.repeat(16385));
        return undefined;
    };
    await publish('w', '{"why":"a\\nid: 1"}');
    assert.deepEqual((await toldOf(events, 'api/weather/', 1)).map((e) => [e.name, e.data]), [['api/weather/0', '20~2<1~!']]);
    assert.deepEqual((await toldOf(events, 'object/', 1)).map((e) => e.data), ['{"lat":"2<1"}']);
    assert.equal((await toldOf(events, 'hook-response/w/', 1))[0].data, '{"list":[{"t":20},{"t":"2<1"}]}');
    assert.deepEqual((await toldOf(events, 'lost/', 1)).map((e) => [e.name, e.data]), [['lost/a?id: 1/0', 'error status 404 from 127.0.0.1']]);
    assert.equal((await toldOf(events, 'hook-error/w/', 1))[0].data, 'the answer is longer than 16384 bytes');
    assert.equal(await count(made[4].id, 'sent'), 1, 'it was delivered all the same');
    assert.equal(events.filter((e) => e.name === 'spark/status').length, 0);
    for (const { id } of made.slice(5)) assert.equal(await count(id, 'sent') + await count(id, 'queued'), 0);
    for (const { id } of made) await api('DELETE', `${hooks()}/${id}`);
}));

test('what an event holds cannot leave its place in the request', async () => {
    const hook = await make({ event: 'sly', url: `${address}/in/{{{v}}}/end?q={{v}}`, headers: { 'X-V': '{{{v}}}', 'X-W': '{{{none}}}' } });
    await publish('sly', JSON.stringify({ v: '../x?y#z &/\r\nX-Evil: 1' }));
    await publish('sly', JSON.stringify({ v: '..' }));
    const [got] = await until('the delivery', () => received.length > 0 && received);
    const escaped = encodeURIComponent('../x?y#z &/\r\nX-Evil: 1');
    assert.equal(got.url, `/in/${escaped}/end?q=${escaped}`);
    assert.equal(got.headers['x-v'], '../x?y#z &/  X-Evil: 1');
    assert.equal(got.headers['x-w'], '');
    assert.equal(got.headers['x-evil'], undefined);
    await until('the dots are refused', async () => (await count(hook.id, 'failed')) === 1);
    assert.equal((await state(hook.id)).errors[0].error, 'the request cannot be made');
    assert.equal(received.length, 1);
    await api('DELETE', `${hooks()}/${hook.id}`);
});

test('JSON of a text', async () => {
    const hook = await make({ event: 'text', json: '{"n": {{{n}}}, "l": [{{#l}}{{{.}}},{{/l}}0]}' });
    await publish('text', '{"n":1.5,"l":[1,"\\u0022"]}');
    await publish('text', '{"n":1.5,"l":[1,2]}');
    const [got] = await until('the delivery', () => received.length > 0 && received);
    assert.deepEqual([JSON.parse(got.body).n, JSON.parse(got.body).l, JSON.parse(got.body).event], [1.5, [1, 2, 0], 'text']);
    assert.equal(await count(hook.id, 'failed'), 1, 'what becomes no JSON is not sent');
    await api('DELETE', `${hooks()}/${hook.id}`);
});

test('denied addresses are not connected to, however they are written', async () => {
    const { port } = receiver.address();
    const other = createServer((request, reply) => reply.end()).listen(0, '127.0.0.9');
    await once(other, 'listening');
    closing.push(() => { other.closeAllConnections(); other.close(); });
    for (const host of ['127.0.0.9', '127.9', '[::ffff:127.0.0.9]']) {
        const hook = await make({ event: 'far', url: `http://${host}:${other.address().port}/` });
        await publish('far', host);
        await until(host, async () => (await count(hook.id, 'failed')) === 1);
        assert.match((await state(hook.id)).errors[0].error, /denied/, host);
        assert.equal(await count(hook.id, 'queued'), 0, 'it is not tried again');
        await api('DELETE', `${hooks()}/${hook.id}`);
    }
    const allowed = await make({ event: 'far', url: `http://127.0.0.1:${port}/` });
    await publish('far', 'x');
    await until('the exception', async () => (await count(allowed.id, 'sent')) === 1);
    await api('DELETE', `${hooks()}/${allowed.id}`);
});

test('HTTPS asks for a certificate that can be trusted, unless it is told not to', async () => {
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert]);
    assert.equal(made.status, 0, String(made.stderr));
    let asked = 0;
    const tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, reply) => { asked++; reply.end(); }).listen(0, '127.0.0.1');
    await once(tls, 'listening');
    closing.push(() => { tls.closeAllConnections(); tls.close(); });
    const url = `https://127.0.0.1:${tls.address().port}/`;
    const hook = await make({ event: 'tls', url });
    await publish('tls', 'x');
    const refusal = await until('a refusal', async () => (await state(hook.id)).errors.find(({ error }) => /certificate/.test(error)));
    assert.equal(refusal.status, null);
    assert.equal(asked, 0);
    await api('PUT', `${hooks()}/${hook.id}`, { rejectUnauthorized: false });
    await until('the delivery', async () => (await count(hook.id, 'sent')) === 1);
    assert.equal(asked, 1);
    await api('DELETE', `${hooks()}/${hook.id}`);
});

test('what a webhook keeps to itself is neither shown nor in the file', async () => {
    const words = { secret: 'signing words 1234', password: 'password words', key: 'Bearer header words', deep: 'template words' };
    const hook = await make({ event: 'sealed', secret: words.secret, auth: { username: 'u', password: words.password },
        headers: { Authorization: words.key, 'Content-Type': 'text/x' }, body: words.deep });
    const shown = await state(hook.id);
    assert.deepEqual(shown.headers, { Authorization: '(hidden)', 'Content-Type': 'text/x' });
    assert.doesNotMatch(JSON.stringify(shown), /signing words|password words|header words/);
    const changed = (await api('PUT', `${hooks()}/${hook.id}`, { headers: { ...shown.headers, 'X-New': 'new' } })).webhook;
    assert.deepEqual(changed.headers, { Authorization: '(hidden)', 'Content-Type': 'text/x', 'X-New': '(hidden)' });
    const files = ['slipway.db', 'slipway.db-wal'].map((name) => readFileSync(join(folder, 'data', name), 'latin1')).join('');
    for (const word of Object.values(words)) assert.ok(!files.includes(word), `${word} is in the file`);
    await publish('sealed', 'x');
    const [got] = await until('the delivery', () => received.length > 0 && received);
    assert.equal(got.headers.authorization, words.key);
    assert.equal(got.headers['x-new'], 'new');
    assert.equal(got.body, words.deep);
    await api('DELETE', `${hooks()}/${hook.id}`);
});

test('what devices do is told with their ids, and answers are in their streams', async () => {
    const sim = (...words) => [join(process.env.SLIPWAY_BUILD, 'slipway-sim'), ['--devices', 2, '--seed', 5, ...words].map(String)];
    const ids = String(spawnSync(...sim('--print-ids')).stdout).trim().split('\n');
    await api('POST', `/v1/products/${product}/devices`, { ids });
    const one = await make({ event: 'spark/status', deviceId: ids[0], responseTopic: '{{{PARTICLE_DEVICE_ID}}}/hook-response/status' });
    const both = await make({ event: 'spark/status', json: { version: '{{{PRODUCT_VERSION}}}', at: '{{{PRODUCT_ID}}}' }, requestType: 'PUT' });
    answer = (request, reply) => { reply.end('noted'); };
    const devices = spawn(...sim('--server', dtls, '--server-key', join(folder, 'data', 'server_key.pub.pem'), '--version', 3), { stdio: 'ignore' });
    try {
        const of = (hook) => received.filter((r) => r.headers['x-slipway-hook'] === hook.id);
        await until('both are online', () => of(both).length >= 2 && of(one).length >= 1);
        const [form] = of(one).map((r) => new URLSearchParams(r.body));
        assert.deepEqual([form.get('event'), form.get('data'), form.get('coreid')], ['spark/status', 'online', ids[0]]);
        const told = of(both).map((r) => JSON.parse(r.body));
        assert.deepEqual(told.map((t) => t.coreid).sort(), [...ids].sort());
        assert.ok(told.every((t) => t.version === '3' && t.at === String(product)), JSON.stringify(told));
        await until('both were told', async () => (await count(one.id, 'sent')) + (await count(both.id, 'sent')) >= 3);
        // From the log of that one device's stream.
        const abort = new AbortController();
        closing.push(() => abort.abort());
        const stream = await fetch(`${base}/v1/devices/${ids[0]}/events?last_event_id=0`, { headers: { authorization: `Bearer ${token}` }, signal: abort.signal });
        let text = '';
        for await (const bytes of stream.body) {
            text += Buffer.from(bytes);
            if (text.includes(`event: ${ids[0]}/hook-response/status/0\n`)) break;
        }
        assert.match(text, /"data":"noted"/);
        assert.ok(!text.includes(ids[1]), 'nothing of the other');
    } finally {
        devices.kill('SIGKILL');
    }
    for (const { id } of [one, both]) await api('DELETE', `${hooks()}/${id}`);
});

test('a test event goes to its own hook alone', async () => {
    const [hook, other] = [await make({ event: 'tried' }), await make({ event: 'hook' })];
    await api('POST', `/v1/products/${product}/integrations/${hook.id}/test`, { data: 'hello' });
    const [got] = await until('the delivery', () => received.length > 0 && received);
    assert.equal(got.headers['x-slipway-hook'], hook.id);
    assert.equal(new URLSearchParams(got.body).get('data'), 'hello');
    assert.equal(await count(other.id, 'queued') + await count(other.id, 'sent'), 0);
    for (const { id } of [hook, other]) await api('DELETE', `${hooks()}/${id}`);
});

test('a 500 is tried again, in order; a 404 and a redirect are not', () => following(async (events) => {
    const hook = await make({ event: 'again' });
    answer = () => (received.length <= 2 ? 500 : 200);
    await publish('again', 'first');
    await publish('again', 'second');
    await until('all', async () => (await count(hook.id, 'sent')) === 2);
    assert.deepEqual(received.map((r) => new URLSearchParams(r.body).get('data')), ['first', 'first', 'first', 'second']);
    assert.equal(new Set(received.slice(0, 3).map((r) => r.headers['x-slipway-delivery'])).size, 1);
    assert.deepEqual(events.filter((e) => e.name.startsWith('hook-error')).map((e) => e.data), Array(2).fill('error status 500 from 127.0.0.1'));
    received = [];
    answer = (request, reply) => {
        reply.setHeader('location', `${address}/elsewhere`);
        return received.length === 1 ? 404 : 302;
    };
    await publish('again', 'gone');
    await publish('again', 'moved');
    await until('both given up', async () => (await count(hook.id, 'failed')) === 4 && (await count(hook.id, 'queued')) === 0);
    assert.deepEqual(received.map((r) => r.url), ['/in', '/in']);
    assert.equal((await state(hook.id)).errors[0].error, 'error status 302 from 127.0.0.1');
    assert.deepEqual((await state(hook.id)).errors.map((e) => e.status), [302, 404, 500, 500]);
    await api('DELETE', `${hooks()}/${hook.id}`);
}));

test('one that hangs or talks without end holds up nobody else', async () => {
    const slow = await make({ event: 'slow', url: `${address}/slow` });
    const endless = await make({ event: 'slow', url: `${address}/endless` });
    const quick = await make({ event: 'slow', url: `${address}/quick` });
    answer = (request, reply) => {
        if (request.url === '/slow') return undefined;
        if (request.url === '/quick') return 200;
        reply.writeHead(200);
        const timer = setInterval(() => reply.write('x'.repeat(16384)), 1);
        reply.on('close', () => clearInterval(timer));
        return undefined;
    };
    for (let n = 0; n < 20; n++) await publish('slow', String(n));
    await until('the quick one', async () => (await count(quick.id, 'sent')) === 20);
    await until('the endless one', async () => (await count(endless.id, 'sent')) >= 2);
    assert.equal(await count(slow.id, 'sent'), 0);
    await until('a timeout', async () => (await count(slow.id, 'failed')) >= 1);
    for (const { id } of [slow, endless, quick]) await api('DELETE', `${hooks()}/${id}`);
});

test('the queue survives kill -9', async () => {
    const hook = await make({ event: 'kept' });
    answer = 503;
    for (let n = 0; n < 5; n++) await publish('kept', String(n));
    await until('an attempt', () => received.length > 0);
    await end('SIGKILL');
    received = [];
    answer = 200;
    await start();
    await until('all five', () => received.length >= 5);
    await until('the end of the queue', async () => (await count(hook.id, 'queued')) === 0);
    const data = received.map((r) => new URLSearchParams(r.body).get('data'));
    assert.deepEqual([...new Set(data)], ['0', '1', '2', '3', '4']);
    await api('DELETE', `${hooks()}/${hook.id}`);
});

test('nothing but failures disable it, until somebody enables it again', () => following(async (events) => {
    const { port } = receiver.address();
    receiver.closeAllConnections();
    await new Promise((resolve) => receiver.close(resolve));
    const hook = await make({ event: 'dead' });
    for (let n = 0; n < 3; n++) await publish('dead', String(n));
    await until('it is disabled', async () => (await state(hook.id)).disabled);
    await until('the event', () => events.some((e) => e.name === 'hook-error/dead/0' && e.data.startsWith('disabled')));
    assert.equal(await count(hook.id, 'queued'), 0);
    assert.match(log, /hook_disabled/);
    await publish('dead', 'unheard');
    assert.equal(await count(hook.id, 'queued'), 0);
    await listen(port);
    await api('PUT', `${hooks()}/${hook.id}`, { disabled: false });
    await publish('dead', 'alive');
    const [got] = await until('the delivery', () => received.length > 0 && received);
    assert.equal(new URLSearchParams(got.body).get('data'), 'alive');
    await api('DELETE', `${hooks()}/${hook.id}`);
}));
