// Webhooks as clients make, read, change and end them. That they are sent is integration/daemon's.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, assertError, deviceId } from './door.mjs';

let door, product, other;
before(async () => {
    door = await startDoor();
    product = await createProduct(door, 'hooks');
    other = await createProduct(door, 'others hooks');
});
after(() => door.stop());

const url = 'http://127.0.0.1:9/receiver';
const at = (kind) => `/v1/products/${product.id}/${kind}`;

test('the shapes that existing clients read', async () => {
    for (const [kind, word] of [['webhooks', 'webhook'], ['integrations', 'integration']]) {
        for (const base of [at(kind), `/v1/${kind}`]) {
            const made = await door.call('POST', base, { json: { event: 'e', url, requestType: 'POST', integration_type: 'Webhook' } });
            assert.equal(made.status, 201, made.text);
            const { id } = made.body;
            assert.match(made.body.secret, /^[0-9a-f]{64}$/);
            assert.equal(made.body.ok, true);
            assert.equal(made.body.noDefaults, false);
            assert.equal(made.body.rejectUnauthorized, true);
            assert.ok(made.body.hookUrl.endsWith(`/webhooks/${id}`), made.body.hookUrl);
            const list = await door.call('GET', base);
            assert.deepEqual(list.body.map((hook) => hook.id), [id]);
            const one = await door.call('GET', `${base}/${id}`);
            assert.equal(one.body[word].url, url);
            assert.equal(one.body[word].secret, undefined, 'the secret is told once');
            assert.deepEqual([one.body[word].logs, one.body[word].errors], [[], []]);
            assert.equal((await door.call('DELETE', `${base}/${id}`)).status, 204);
            assertError(await door.call('GET', `${base}/${id}`), 404, /^Webhook not found$/);
            assertError(await door.call('DELETE', `${base}/${id}`), 404, /^Webhook not found$/);
        }
    }
});

test('a change keeps what it does not name', async () => {
    const made = await door.call('POST', at('integrations'), {
        json: { event: 'e', url, deviceId: deviceId(7), headers: { 'X-A': '1' }, json: { v: '{{x}}' },
            auth: { username: 'u', password: 'p' }, secret: 's'.repeat(16) },
    });
    const path = `${at('integrations')}/${made.body.id}`;
    assert.deepEqual(made.body.auth, { username: 'u' }, 'no password comes back');
    assert.equal(made.body.deviceID, deviceId(7));
    const changed = await door.call('PUT', path, { json: { event: 'f', headers: null, deviceId: null, noDefaults: true, disabled: true } });
    assert.equal(changed.status, 200, changed.text);
    const hook = (await door.call('GET', path)).body.integration;
    assert.equal(hook.event, 'f');
    assert.equal(hook.url, url);
    assert.equal(hook.headers, undefined);
    assert.equal(hook.deviceID, undefined);
    assert.deepEqual(hook.json, { v: '{{x}}' });
    assert.equal(hook.noDefaults, true);
    assertError(await door.call('POST', `${path}/test`), 409, /disabled/);
    assert.equal((await door.call('PUT', path, { json: { disabled: false } })).status, 200);
    assert.equal((await door.call('POST', `${path}/test`)).status, 200);
    const counters = (await door.call('GET', path)).body.integration.counters;
    assert.equal(counters.find((c) => c.name === 'queued').count, 1);
    // Another product's routes do not reach it.
    const foreign = `/v1/products/${other.id}/integrations/${made.body.id}`;
    for (const method of ['GET', 'DELETE', 'PUT']) assertError(await door.call(method, foreign, method === 'PUT' ? { json: { event: 'x' } } : {}), 404);
    assertError(await door.call('DELETE', `/v1/integrations/${made.body.id}`), 404);
    assert.equal((await door.call('DELETE', path)).status, 204);
});

test('an event by its older name', async () => {
    const made = await door.call('POST', at('webhooks'), { json: { eventName: 'old', url } });
    assert.deepEqual([made.status, made.body.event], [201, 'old']);
    assert.equal((await door.call('DELETE', `${at('webhooks')}/${made.body.id}`)).status, 204);
});

test('what a webhook knows does not move to another server unseen', async () => {
    const made = await door.call('POST', at('webhooks'), {
        json: { event: 'e', url: 'https://one.test/in', headers: { 'X-Key': 'k' }, auth: { username: 'u', password: 'p' } },
    });
    const path = `${at('webhooks')}/${made.body.id}`;
    const put = (json) => door.call('PUT', path, { json });
    const shown = (await door.call('GET', path)).body.webhook;
    assert.deepEqual([shown.headers, shown.auth], [{ 'X-Key': '(hidden)' }, { username: 'u' }]);
    // As it was shown, and elsewhere on the same server, they stay.
    for (const json of [{ headers: shown.headers, auth: shown.auth }, { url: 'https://one.test/other?x=1' }, { url: 'HTTPS://ONE.test' }]) {
        assert.equal((await put(json)).status, /HTTPS/.test(json.url) ? 400 : 200, JSON.stringify(json));
    }
    for (const url of ['https://two.test/in', 'http://one.test/in', 'https://one.test:8443/in', 'https://one.test.evil/', 'https://x@one.test/']) {
        assertError(await put({ url }), 400, /^(headers|auth): must be given again/);
        assertError(await put({ url, headers: shown.headers, auth: { username: 'u', password: 'p' } }), 400, /^headers/);
        assertError(await put({ url, headers: null, auth: { username: 'u' } }), 400, /^auth/);
    }
    assert.equal((await door.call('GET', path)).body.webhook.url, 'https://one.test/other?x=1');
    assert.equal((await put({ url: 'https://two.test/', headers: { 'X-Key': 'new' }, auth: { username: 'u', password: 'q' } })).status, 200);
    assert.equal((await put({ url: 'https://three.test/', headers: null, auth: null })).status, 200);
    assert.equal((await door.call('DELETE', path)).status, 204);
});

test('what is wrong is named, and nothing is made', async () => {
    const cases = [
        [{ url }, /event/], [{ event: 'e' }, /url/], [{ event: '', url }, /event/],
        [{ event: 'x'.repeat(65), url }, /event/], [{ event: 'e', url: 'file:///etc/passwd' }, /url/],
        [{ event: 'e', url: 'http://' }, /url/], [{ event: 'e', url: 'http://a b/' }, /url/],
        [{ event: 'e', url: `http://h/${'x'.repeat(1024)}` }, /url/], [{ event: 'e', url, requestType: 'PATCH' }, /requestType/],
        [{ event: 'e', url, integration_type: 'AzureIotHub' }, /integration_type/], [{ event: 'e', url, deviceId: 'nobody' }, /deviceId/],
        [{ event: 'e', url, headers: { 'a b': '1' } }, /headers/], [{ event: 'e', url, headers: { a: 'x\r\ny: z' } }, /headers/],
        [{ event: 'e', url, headers: { Host: 'x' } }, /headers/], [{ event: 'e', url, headers: { 'X-Slipway-Signature': 'x' } }, /headers/],
        [{ event: 'e', url, headers: 'x' }, /headers/], [{ event: 'e', url, query: { a: {} } }, /query/],
        [{ event: 'e', url, form: [1] }, /form/], [{ event: 'e', url, json: 3 }, /json/],
        [{ event: 'e', url, auth: { username: 'a:b', password: 'c' } }, /auth/], [{ event: 'e', url, secret: 'short' }, /secret/],
        [{ event: 'e', url, json: { a: 'x'.repeat(9000) } }, /json/], [{ event: 'e', url, requestTyp: 'GET' }, /requestTyp/],
    ];
    for (const [json, pattern] of cases) assertError(await door.call('POST', at('webhooks'), { json }), 400, pattern);
    assert.deepEqual((await door.call('GET', at('webhooks'))).body, []);
});

test('an event waits for the hooks that want it, and for no more than fit', async () => {
    const make = async (json) => (await door.call('POST', at('webhooks'), { json: { url, ...json } })).body.id;
    const ids = await Promise.all([make({ event: 'temp' }), make({ event: 'temperature' }), make({ event: 'temp', deviceId: deviceId(9) })]);
    const everywhere = (await door.call('POST', '/v1/webhooks', { json: { url, event: 'temp' } })).body.id;
    await door.call('POST', `/v1/products/${product.id}/events`, { json: { name: 'temp/kitchen', data: '20' } });
    await door.call('POST', `/v1/products/${other.id}/events`, { json: { name: 'temp/cellar', data: '10' } });
    await door.call('POST', `/v1/products/${product.id}/events`, { json: { name: 'hook-sent/temp', data: '' } });
    const queued = async (path) => (await door.call('GET', path)).body.webhook.counters.find((c) => c.name === 'queued').count;
    assert.deepEqual(await Promise.all(ids.map((id) => queued(`${at('webhooks')}/${id}`))), [1, 0, 0]);
    assert.equal(await queued(`/v1/webhooks/${everywhere}`), 2);
    await Promise.all(Array.from({ length: 1005 }, () =>
        door.call('POST', `/v1/products/${product.id}/events`, { json: { name: 'temp', data: '1' } })));
    const { counters } = (await door.call('GET', `${at('webhooks')}/${ids[0]}`)).body.webhook;
    const count = (name) => counters.find((c) => c.name === name).count;
    assert.deepEqual([count('queued'), count('dropped')], [1000, 6]);
    assert.equal((await door.call('DELETE', `${at('webhooks')}/${ids[0]}`)).status, 204);
});

test('a product has at most 100', async () => {
    const path = `/v1/products/${other.id}/webhooks`;
    for (let i = 0; i < 100; i++) assert.equal((await door.call('POST', path, { json: { event: 'e', url } })).status, 201);
    assertError(await door.call('POST', path, { json: { event: 'e', url } }), 400, /100 webhooks/);
});
