// Event streams of particle-api-js: all addresses, prefixes, silence, and a server that goes away.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { adminToken, follow, rejection, startServer, until } from './harness.mjs';

let server;
let api;
let product;
let fleet;
before(async () => {
    server = await startServer();
    api = server.api();
    product = (await server.createProduct('Lighthouse')).id;
    fleet = await server.startFleet(product, '--devices', 2, '--seed', 33);
    await fleet.connected();
});
after(() => server?.stop());

const publish = (name, data, scope = { product }) => api.publishEvent({ ...scope, name, data, isPrivate: true });

// Opens a stream, runs what causes events, and gives what came until the last of them.
async function during(scope, last, act) {
    const stream = follow(await api.getEventStream(scope));
    try {
        await act();
        await stream.next(last, (event) => event.data === last);
        return stream.seen;
    } finally {
        stream.close();
    }
}

describe('a stream', () => {
    it('of a product has everything of it, and nothing else', async () => {
        const other = (await server.createProduct('Other')).id;
        const seen = await during({ product }, 'last', async () => {
            await publish('a/b', 'one');
            await publish('a/b', 'foreign', { product: other });
            await publish('c', 'last');
        });
        assert.deepEqual(seen.filter((event) => !event.name.includes('/device/')).map((event) => [event.name, event.data]),
            [['a/b', 'one'], ['c', 'last']]);
        const [event] = seen;
        assert.deepEqual([event.coreid, event.productID, event.ttl, event.version], ['api', product, 60, 0]);
        assert.match(event.published_at, /^\d{4}-.*Z$/);
    });

    it('of a device does not follow it to a product that is none of the asker\'s', async () => {
        const elsewhere = (await server.createProduct('Elsewhere')).id;
        const made = await server.request('POST', `/v1/products/${product}/team`, {
            json: { friendly_name: 'watch', scopes: ['events:get'] },
        });
        const watch = server.api(made.body.created.tokens[0].token);
        const deviceId = fleet.ids[1];
        const streams = [
            follow(await watch.getEventStream({ deviceId })),
            follow(await watch.getEventStream({ deviceId, product })),
            follow(await api.getEventStream({ deviceId, product })),
        ];
        const all = follow(await api.getEventStream({ deviceId }));
        const move = async (from, to) => {
            await api.delete({ uri: `/v1/products/${from}/devices/${deviceId}`, data: {} });
            await api.post({ uri: `/v1/products/${to}/devices`, data: { id: deviceId } });
            fleet.order('reboot', deviceId);
            await all.next(`online in ${to}`, (event) => event.data === 'online' && event.productID === to);
        };
        await move(product, elsewhere);
        await move(elsewhere, product);
        for (const stream of streams) {
            await stream.next('online again', (event) => event.data === 'online' && event.productID === product);
            assert.deepEqual(stream.seen.filter((event) => event.productID !== product), []);
            stream.close();
        }
        all.close();
    });

    it('by name has what starts with it', async () => {
        const seen = await during({ product, name: 'tide/hi' }, 'last', async () => {
            await publish('tide/low', 'no');
            await publish('tide/high', 'yes');
            await publish('tide/hi', 'last');
        });
        assert.deepEqual(seen.map((event) => event.data), ['yes', 'last']);
    });

    it('by a name with a blank', async () => {
        const seen = await during({ name: 'x y' }, 'last', async () => {
            await publish('x', 'no', {});
            await publish('x y z', 'last', {});
        });
        assert.deepEqual(seen.map((event) => event.name), ['x y z']);
    });

    it('of all devices of the user', async () => {
        const seen = await during({ deviceId: 'mine', name: 'all/' }, 'last', async () => {
            await publish('all/1', 'one');
            await publish('all/2', 'last', {});
        });
        assert.deepEqual(seen.map((event) => event.data), ['one', 'last']);
    });

    for (const scope of ['of a device', 'of a device of the product']) {
        it(`${scope} has only that device's`, async () => {
            const [id, other] = fleet.ids;
            const name = 'spark/device/last_reset';
            const stream = follow(await api.getEventStream({
                deviceId: id, ...(scope === 'of a device' ? {} : { product }), name,
            }));
            const everything = follow(await api.getEventStream({ deviceId: 'mine', name }));
            fleet.order('reboot', other);
            await everything.next('the other was reset', (event) => event.coreid === other);
            fleet.order('reboot', id);
            await stream.next('this one was reset', (event) => event.data === 'user');
            stream.close();
            everything.close();
            assert.deepEqual(stream.seen.map((event) => [event.coreid, event.name]), [[id, name]]);
        });
    }

    it('answers at once, and says so before the first event', async () => {
        const stream = await api.getEventStream({ product }); /* headers do not wait for an event */
        const event = follow(stream);
        await publish('early', 'bird');
        await event.next('bird', (one) => one.data === 'bird', 2);
        event.close();
    });
});

describe('a stream is refused', () => {
    it('without a good token, in words', async () => {
        const error = await rejection(server.api('0'.repeat(40)).getEventStream({ product }));
        assert.equal(error.statusCode, 401);
        assert.match(error.errorDescription, /The access token provided is invalid\.$/);
        assert.equal(error.body.error, 'invalid_token');
    });

    it('for what does not exist', async () => {
        assert.equal((await rejection(api.getEventStream({ product: 65000 }))).statusCode, 404);
        assert.equal((await rejection(api.getEventStream({ deviceId: 'f'.repeat(24) }))).statusCode, 403);
    });
});

describe('a quiet stream', () => {
    it('is kept alive for longer than the SDK bears silence', async () => {
        const stream = await api.getEventStream({ product, name: 'quiet' });
        const told = [];
        for (const word of ['disconnect', 'reconnect']) stream.on(word, () => told.push(word));
        const events = follow(stream);
        await sleep(20000);
        assert.deepEqual(told, []);
        await publish('quiet', 'over');
        await events.next('over', (event) => event.data === 'over', 2);
        events.close();
    });
});

describe('the server goes away', () => {
    it('and the SDK finds it again', async () => {
        const stream = await api.getEventStream({ product, name: 'again' });
        const told = [];
        for (const word of ['disconnect', 'reconnect', 'reconnect-error', 'reconnect-success']) {
            stream.on(word, () => told.push(word));
        }
        const events = follow(stream);
        await publish('again', 'before');
        await events.next('before', (event) => event.data === 'before', 2);
        server.child.kill('SIGKILL');
        await server.exited;
        await until('the SDK notices', () => told.includes('disconnect'));
        await server.start();
        await until('the SDK is back', () => told.includes('reconnect-success'));
        await publish('again', 'after');
        await events.next('after', (event) => event.data === 'after', 5);
        events.close();
        await fleet.connected();
    });

    it('and the log goes on where a client left off', async () => {
        const read = async (headers) => {
            const abort = new AbortController();
            const reply = await fetch(`${server.url}/v1/products/${product}/events/log`, {
                headers: { authorization: `Bearer ${adminToken}`, ...headers }, signal: abort.signal,
            });
            let text = '';
            const decoder = new TextDecoder();
            return {
                text: () => text,
                close: () => abort.abort(),
                pump: (async () => {
                    try {
                        for await (const chunk of reply.body) text += decoder.decode(chunk);
                    } catch { /* ended by close() */ }
                })(),
            };
        };
        const first = await read({});
        await publish('log', 'first');
        await until('first', () => first.text().includes('"first"'));
        first.close();
        const [, id] = /^id: (\d+)$/m.exec(first.text());
        await publish('log', 'missed');
        const second = await read({ 'Last-Event-ID': id });
        await until('missed', () => second.text().includes('"missed"'));
        second.close();
        assert.ok(!second.text().includes('"first"'));
    });
});
