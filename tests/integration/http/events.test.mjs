// Event streams: greeting, filters, resuming, slow readers, and many at once.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import http from 'node:http';
import { startDoor, createProduct, upload, listRoutes, adminToken, assertError, deviceId } from './door.mjs';

let door, product, other;
before(async () => {
    door = await startDoor();
    product = await createProduct(door, 'events');
    other = await createProduct(door, 'other events');
});
after(() => door.stop());

class Stream {
    constructor(path, headers = {}) {
        this.text = '';
        this.pieces = [];
        this.ended = false;
        this.ready = new Promise((resolve, reject) => {
            this.request = http.get(door.base + path, { headers: { authorization: `Bearer ${adminToken}`, ...headers } }, (response) => {
                this.response = response;
                response.on('data', (data) => { this.text += data; this.pieces.push(String(data)); });
                response.on('end', () => { this.ended = true; });
                response.on('error', () => { this.ended = true; });
                resolve(this);
            });
            this.request.on('error', reject);
        });
    }
    get events() {
        return this.text.split('\n\n').slice(0, -1).map((block) => {
            const lines = block.split('\n').filter((line) => line && !line.startsWith(':'));
            const of = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
            return of('event') && { name: of('event'), id: Number(of('id')), ...JSON.parse(of('data')) };
        }).filter(Boolean);
    }
    async until(count, ms = 3000) {
        const limit = Date.now() + ms;
        while (this.events.length < count && Date.now() < limit) await new Promise((r) => setTimeout(r, 20));
        assert.ok(this.events.length >= count, `${this.events.length} of ${count} events: ${this.text}`);
        return this.events;
    }
    close() { this.request.destroy(); }
}
const open = (path, headers) => new Stream(path, headers).ready;
const publish = async (at, name, data) => {
    const reply = await door.call('POST', at ? `/v1/products/${at.id}/events` : '/v1/devices/events', { json: { name, data, private: true } });
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(reply.body, { ok: true });
};

test('the head and the greeting come at once and alone', async () => {
    const stream = await open(`/v1/products/${product.id}/events?nonce=0.5`);
    assert.equal(stream.response.statusCode, 200);
    assert.equal(stream.response.headers['content-type'], 'text/event-stream');
    await publish(product, 'a', '1');
    const [event] = await stream.until(1);
    assert.equal(stream.pieces[0], ':ok\n\n');
    assert.equal(event.name, 'a');
    assert.deepEqual(Object.keys(event).slice(2), ['data', 'ttl', 'published_at', 'coreid', 'userid', 'version', 'public', 'productID']);
    assert.equal(event.data, '1');
    assert.equal(event.ttl, 60);
    assert.equal(event.coreid, 'api');
    assert.equal(event.productID, product.id);
    stream.close();
});

test('filters: product, device, prefix with an encoded slash', async () => {
    const mine = await open(`/v1/products/${product.id}/events`);
    const prefixed = await open('/v1/events/spoke%2Fy');
    const all = await open('/v1/devices/events');
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { id: deviceId(0x801) } });
    const device = await open(`/v1/products/${product.id}/devices/${deviceId(0x801)}/events`);
    await publish(product, 'my/one', 'a');
    await publish(other, 'my/two', 'b');
    await publish(other, 'spoke/x', 'c');
    await publish(null, 'free', 'd');
    const names = (stream) => stream.events.map((e) => e.name);
    await all.until(4);
    assert.deepEqual(names(all).filter((n) => ['my/one', 'my/two', 'spoke/x', 'free'].includes(n)), ['my/one', 'my/two', 'spoke/x', 'free']);
    await mine.until(1);
    assert.deepEqual(names(mine).filter((n) => n.startsWith('my/')), ['my/one']);
    assert.deepEqual(names(prefixed), []);
    assert.deepEqual(names(device), []);
    const my = await open('/v1/devices/events/my%2F');
    await publish(product, 'my/three', 'e');
    await publish(product, 'your/four', 'f');
    await publish(product, 'my/five', 'g');
    await my.until(2);
    assert.deepEqual(names(my), ['my/three', 'my/five']);
    [mine, prefixed, all, device, my].forEach((stream) => stream.close());
});

// Every path of the route table that ends in a stream, with and without a prefix.
test('each path gives what it says, live and from the log', async () => {
    const id = deviceId(0x811);
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { id } });
    const routes = listRoutes().filter((route) => route.stream).map((route) => route.path);
    assert.ok(routes.length >= 10, routes.join(' '));
    const mark = await open('/v1/devices/events');
    await publish(product, 'mark', '');
    const [{ id: from }] = await mark.until(1);
    mark.close();
    const path = (pattern) => pattern.replace(':product', product.slug).replace(':device', id.toUpperCase()).replace(':prefix', 'each%2Fone');
    const live = await Promise.all(routes.map((pattern) => open(path(pattern))));
    await publish(product, 'each/one/a', '1');
    await publish(product, 'each/two', '2');
    await publish(other, 'each/one/b', '3');
    await publish(null, 'each/one/c', '4');
    const wanted = (pattern) => (pattern.includes(':device') ? [] // none of them is a device's
        : pattern.includes(':product') ? (pattern.includes(':prefix') ? ['each/one/a'] : ['each/one/a', 'each/two'])
            : pattern.includes(':prefix') ? ['each/one/a', 'each/one/b', 'each/one/c'] : ['each/one/a', 'each/two', 'each/one/b', 'each/one/c']);
    const logged = await Promise.all(routes.map((pattern) => open(path(pattern), { 'last-event-id': String(from) })));
    for (const [i, pattern] of routes.entries()) {
        for (const stream of [live[i], logged[i]]) {
            await stream.until(wanted(pattern).length);
            assert.deepEqual(stream.events.map((e) => e.name), wanted(pattern), pattern);
        }
    }
    [...live, ...logged].forEach((stream) => stream.close());
});

test('firmware events are as sampled', async () => {
    const stream = await open(`/v1/products/${product.id}/events/particle%2Ffirmware`);
    await upload(door, product, 1);
    const reply = await door.call('PUT', `/v1/products/${product.id}/firmware/release`, { json: { version: 1, product_default: true, intelligent: true } });
    assert.equal(reply.status, 200, reply.text);
    const events = await stream.until(2);
    assert.deepEqual([events[0].name, JSON.parse(events[0].data), events[0].coreid], ['particle/firmware/create', { version: '1' }, 'api']);
    assert.deepEqual([events[1].name, JSON.parse(events[1].data)], ['particle/firmware/release', { immediate: true, version: 1 }]);
    stream.close();
});

test('a stream goes on where the last one stopped', async () => {
    const first = await open('/v1/devices/events/resume%2F');
    for (let i = 0; i < 5; i++) await publish(product, 'resume/a', String(i));
    const seen = await first.until(5);
    first.close();
    for (let i = 5; i < 400; i++) await publish(product, 'resume/a', String(i));
    const second = await open('/v1/devices/events/resume%2F', { 'last-event-id': String(seen[2].id) });
    const rest = await second.until(397, 8000);
    assert.equal(second.pieces[0], ':ok\n\n');
    assert.deepEqual(rest.map((e) => e.data), Array.from({ length: 397 }, (_, i) => String(i + 3)));
    assert.ok(rest.every((e, i) => i === 0 || e.id > rest[i - 1].id));
    await publish(product, 'resume/a', 'live');
    assert.equal((await second.until(398)).at(-1).data, 'live');
    second.close();
    assertError(await door.call('GET', '/v1/devices/events', { headers: { 'last-event-id': 'x' } }), 400, /Last-Event-ID/);
});

test('errors are real ones, not streams', async () => {
    assertError(await door.call('GET', '/v1/products/nope/events'), 404);
    assertError(await door.call('GET', `/v1/devices/${deviceId(0x999)}/events`), 403);
    assertError(await door.call('GET', '/v1/devices/events', { token: 'f'.repeat(40) }), 401);
    assertError(await door.call('GET', `/v1/events/${'x'.repeat(100)}`), 400, /^prefix/);
    const head = await door.call('HEAD', '/v1/devices/events');
    assert.equal(head.status, 200);
});

test('a stream ends with its token, and others go on', async () => {
    const made = await door.call('POST', `/v1/products/${product.id}/team`, { json: { friendly_name: 'ear', scopes: ['events:get'] } });
    const { username, tokens: [{ token }] } = made.body.created;
    const path = `/v1/products/${product.id}/events/none`;
    const own = await open(path);
    const theirs = await open(path, { authorization: `Bearer ${token}` });
    assert.equal(theirs.response.statusCode, 200);
    const ended = new Promise((resolve) => theirs.response.on('end', resolve));
    assert.equal((await door.call('DELETE', `/v1/products/${product.id}/team/${encodeURIComponent(username)}`)).status, 204);
    await ended;
    assert.equal(own.ended, false);
    own.close();
    const last = await open(path, { authorization: `Bearer ${token}` });
    assert.equal(last.response.statusCode, 401, 'and is not taken up again');
});

test('silence is broken every nine seconds', async () => {
    const stream = await open('/v1/devices/events/none');
    await new Promise((resolve) => setTimeout(resolve, 19500));
    assert.equal(stream.text, ':ok\n\n' + ':\n\n'.repeat(2)); // comments, to every reader of streams
    stream.close();
});

test('a reader that does not read is dropped, and others go on', async () => {
    const stuck = net.connect(door.port, '127.0.0.1');
    let text = '';
    stuck.on('error', () => {});
    stuck.pause();
    stuck.write(`GET /v1/devices/events/flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${adminToken}\r\n\r\n`);
    const good = await open('/v1/devices/events/flood');
    const data = 'x'.repeat(1000);
    const flood = async (rounds) => {
        for (let round = 0; round < rounds; round++) await Promise.all(Array.from({ length: 100 }, () => publish(product, 'flood', data)));
    };
    // More than what the sockets of both sides take, and 128 events.
    await flood(60);
    await good.until(6000, 30000);
    assert.equal(good.ended, false);
    const ended = new Promise((resolve) => stuck.on('close', resolve));
    stuck.on('data', (bytes) => { text += bytes; });
    stuck.resume();
    await Promise.race([ended, new Promise((_, reject) => setTimeout(() => reject(new Error('it was not dropped')), 10000))]);
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    assert.ok(ids.length > 100 && ids.length < 6000, `${ids.length} events`);
    // It comes back with the last id that it saw, and has missed nothing.
    const again = await open('/v1/devices/events/flood', { 'last-event-id': String(ids.at(-1)) });
    await again.until(6000 - ids.length, 30000);
    const all = [...ids, ...again.events.map((e) => e.id)];
    assert.equal(all.length, 6000);
    assert.ok(all.every((id, i) => i === 0 || id > all[i - 1]));
    good.close();
    again.close();
});

test('five hundred streams get the same events', async () => {
    const streams = await Promise.all(Array.from({ length: 500 }, () => open('/v1/devices/events/many')));
    for (let i = 0; i < 10; i++) await publish(product, 'many', String(i));
    for (const stream of streams) {
        assert.deepEqual((await stream.until(10, 10000)).map((e) => e.data), ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    }
    streams.forEach((stream) => stream.close());
});

test('an ending server ends its streams', async () => {
    const own = await startDoor();
    const text = await new Promise((resolve) => {
        const request = http.get(`${own.base}/v1/devices/events`, { headers: { authorization: `Bearer ${adminToken}` } }, (response) => {
            let all = '';
            response.on('data', (data) => { all += data; setTimeout(() => own.stop().catch(resolve), 100); });
            response.on('end', () => resolve(all));
        });
        request.on('error', resolve);
    });
    assert.equal(text, ':ok\n\n');
});
