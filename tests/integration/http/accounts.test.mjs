// Logging in, tokens, API users, and commands to a device.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { startDoor, createProduct, upload, module, uploadForm, assertError, adminPassword, adminToken, deviceId, BORON } from './door.mjs';

let door, product;
before(async () => {
    door = await startDoor(['device_timeout=500']);
    product = await createProduct(door, 'accounts');
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { ids: [1, 2, 3].map(deviceId) } });
});
after(() => door.stop());

const client = { client_id: 'particle-cli', client_secret: 'particle-cli' };
const grant = (form, headers) => door.call('POST', '/oauth/token', { token: null, form, headers });

test('wrong passwords, clients and grants are told in the words of OAuth', async () => {
    const cases = [
        [{ ...client, grant_type: 'password', username: 'admin', password: 'wrong' }, 'invalid_grant'],
        [{ ...client, grant_type: 'password', username: 'nobody', password: 'wrong' }, 'invalid_grant'],
        [{ grant_type: 'password', username: 'admin', password: 'x', client_id: 'a', client_secret: 'b' }, 'invalid_client'],
        [{ grant_type: 'password', username: 'admin', password: 'x' }, 'invalid_client'],
        [{ ...client, grant_type: 'client_credentials' }, 'invalid_client'],
        [{ ...client, grant_type: 'refresh_token', refresh_token: 'f'.repeat(40) }, 'invalid_grant'],
        [{ ...client, grant_type: 'urn:custom:mfa-otp' }, 'unsupported_grant_type'],
        [{ ...client }, 'invalid_request'],
        [{ ...client, grant_type: 'password', username: 'admin', password: 'x', expires_in: 'soon' }, 'invalid_request'],
        [{ ...client, grant_type: 'password', username: 'admin', password: 'x', expires_in: 2 ** 31 }, 'invalid_request'],
    ];
    for (const [form, error] of cases) {
        const reply = await grant(form);
        assert.equal(reply.status, 400, reply.text);
        assert.equal(reply.body.error, error, reply.text);
    }
    assertError(await door.call('POST', '/oauth/token', { token: null, json: { grant_type: 'password' } }), 415);
});

test('a password buys tokens that end when told to', async () => {
    const own = await startDoor();
    try {
        const [username, password, first] = ['admin', adminPassword, adminToken];
        assert.equal((await own.call('GET', '/v1/user', { token: first })).body.username, username);
        const ask = (form, headers) => own.call('POST', '/oauth/token', { token: null, form, headers });
        const form = { grant_type: 'password', username, password, expires_in: 7776000 };
        const made = await ask({ ...client, ...form });
        assert.equal(made.status, 200, made.text);
        assert.match(made.body.access_token, /^[0-9a-f]{40}$/);
        assert.match(made.body.refresh_token, /^[0-9a-f]{40}$/);
        assert.equal(made.body.token_type, 'bearer');
        assert.equal(made.body.expires_in, 7776000);
        for (const name of ['particle-api', 'particle-cli', 'particle']) {
            const basic = `Basic ${Buffer.from(`${name}:${name}`).toString('base64')}`;
            assert.equal((await ask(form, { authorization: basic })).status, 200, name);
        }
        const current = await own.call('GET', '/v1/access_tokens/current', { token: made.body.access_token });
        assert.equal(current.body.client, 'particle-cli');
        assert.ok(Date.parse(current.body.expires_at) > Date.now() + 7000000000);
        const forever = await ask({ ...client, ...form, expires_in: 0 });
        assert.equal(forever.body.expires_in, 0);
        assert.equal((await own.call('GET', '/v1/access_tokens/current', { token: forever.body.access_token })).body.expires_at, null);

        const next = await ask({ ...client, grant_type: 'refresh_token', refresh_token: made.body.refresh_token });
        assert.equal(next.status, 200, next.text);
        assert.equal((await own.call('GET', '/v1/user', { token: made.body.access_token })).status, 401);
        assert.equal((await ask({ ...client, grant_type: 'refresh_token', refresh_token: made.body.refresh_token })).body.error, 'invalid_grant');

        const basic = { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
        const list = await own.call('GET', '/v1/access_tokens', { token: null, headers: basic });
        assert.ok(list.body.length >= 4, list.text);
        assert.ok(list.body.every((t) => t.token === null));
        assertError(await own.call('GET', '/v1/access_tokens', { token: null }), 401);

        // One of them ends by its number: its text may be lost, or with somebody else.
        const lost = await ask({ ...client, ...form });
        const after = await own.call('GET', '/v1/access_tokens', { token: null, headers: basic });
        const { id } = after.body.find((token) => !list.body.some((old) => old.id === token.id));
        const end = (number, headers) => own.call('DELETE', `/v1/access_tokens/${number}`, { token: null, headers });
        assertError(await end(id), 401);
        assertError(await end(id, { authorization: `Bearer ${first}` }), 401);
        assertError(await end(id, { authorization: `Basic ${Buffer.from(`${username}:no`).toString('base64')}` }), 400);
        const { id: productId } = await createProduct(own, 'not the own ones');
        const api = await own.call('POST', `/v1/products/${productId}/team`, { json: { friendly_name: 'other', scopes: ['products:get'] } });
        for (const number of [0, id + 1, id + 2, id + 3, '9223372036854775807', '-1']) assertError(await end(number, basic), 404);
        assert.equal((await own.call('GET', '/v1/user', { token: api.body.created.tokens[0].token })).status, 200);
        assert.deepEqual((await end(id, basic)).body, { ok: true });
        assertError(await end(id, basic), 404);
        assert.equal((await own.call('GET', '/v1/user', { token: lost.body.access_token })).status, 401);
        assert.equal((await ask({ ...client, grant_type: 'refresh_token', refresh_token: lost.body.refresh_token })).body.error, 'invalid_grant');

        assert.deepEqual((await own.call('DELETE', '/v1/access_tokens/current', { token: next.body.access_token })).body, { ok: true });
        assert.equal((await own.call('GET', '/v1/user', { token: next.body.access_token })).status, 401);
        assert.deepEqual((await own.call('DELETE', '/v1/access_tokens', { token: first })).body, { ok: true });
        assert.equal((await own.call('GET', '/v1/user', { token: forever.body.access_token })).status, 401);

        // Guessing locks the user, also for who knows the password, and says nothing of it.
        for (let i = 0; i < 10; i++) assert.equal((await ask({ ...client, ...form, password: `wrong ${i}` })).body.error, 'invalid_grant');
        assert.equal((await ask({ ...client, ...form })).body.error, 'invalid_grant');
    } finally {
        await own.stop();
    }
});

test('about oneself', async () => {
    const user = await door.call('GET', '/v1/user');
    assert.equal(user.body.username, 'admin');
    assert.equal(user.body.mfa.enabled, false);
    const current = await door.call('GET', '/v1/access_tokens/current');
    assert.equal(current.body.expires_at, null);
    assert.deepEqual(current.body.orgs, []);
    assert.equal((await door.call('GET', '/v1/user/identify?tracking=1')).body.email, 'admin');
    assert.deepEqual((await door.call('GET', '/v1/orgs')).body, { organizations: [] });
    assert.equal((await door.call('GET', '/v1/build_targets?featured=true')).body.platforms.Boron, 13);
});

test('API users: create, scopes, regenerate, remove', async () => {
    const base = `/v1/products/${product.id}/team`;
    const made = await door.call('POST', base, { json: { friendly_name: 'ci', scopes: ['firmware:create', 'firmware:list'] } });
    assert.equal(made.status, 200, made.text);
    const { username, tokens: [{ token }] } = made.body.created;
    assert.match(username, /^ci\+[a-z0-9]+@api\./);
    await upload(door, product, 1, {}, token);
    assert.equal((await door.call('GET', `/v1/products/${product.id}/firmware`, { token })).status, 200);
    const refused = await door.call('PUT', `/v1/products/${product.id}/firmware/release`, { token, json: { version: 1 } });
    assert.equal(refused.status, 400);
    assert.deepEqual(refused.body, { error: 'unauthorized', error_description: 'API users are not allowed to call this endpoint' });
    assert.deepEqual((await door.call('GET', '/v1/access_tokens/current', { token })).body.scopes.sort(), ['firmware:create', 'firmware:list']);

    const edited = await door.call('PUT', `${base}/${encodeURIComponent(username)}`, { json: { friendly_name: 'ci', scopes: ['firmware:release'] } });
    assert.equal(edited.status, 200, edited.text);
    const fresh = edited.body.updated.tokens[0].token;
    assert.equal((await door.call('GET', '/v1/user', { token })).status, 401, 'the old token is gone');
    assert.equal((await door.call('PUT', `/v1/products/${product.id}/firmware/release`, { token: fresh, json: { version: 1 } })).status, 200);
    const again = await door.call('PUT', `${base}/${encodeURIComponent(username)}/token`);
    assert.equal(again.status, 200, again.text);
    assert.equal((await door.call('GET', '/v1/user', { token: fresh })).status, 401);
    const team = (await door.call('GET', base)).body.team;
    assert.ok(team.some((m) => m.username === username && m.is_programmatic));
    assert.ok(team.every((m) => !('tokens' in m)));
    assert.equal((await door.call('DELETE', `${base}/${encodeURIComponent(username)}`)).status, 204);
    assert.equal((await door.call('GET', '/v1/user', { token: again.body.updated.tokens[0].token })).status, 401);
    assertError(await door.call('DELETE', `${base}/${encodeURIComponent(username)}`), 404);
    assertError(await door.call('PUT', `${base}/admin`, { json: { scopes: ['firmware:list'] } }), 404);
    assertError(await door.call('DELETE', `${base}/admin`), 400, /administrator/);
});

test('an API user gives away no scope that it lacks', async () => {
    const made = await door.call('POST', `/v1/products/${product.id}/team`, { json: { friendly_name: 'boss', scopes: ['teams.users:invite', 'firmware:list'] } });
    const token = made.body.created.tokens[0].token;
    const more = await door.call('POST', `/v1/products/${product.id}/team`, { token, json: { friendly_name: 'x', scopes: ['firmware:release'] } });
    assertError(more, 400, /firmware:release/);
    const same = await door.call('POST', `/v1/products/${product.id}/team`, { token, json: { friendly_name: 'x', scopes: ['firmware:list'] } });
    assert.equal(same.status, 200, same.text);
});

test('whoever knows a token may end it', async () => {
    const made = await door.call('POST', `/v1/products/${product.id}/team`, { json: { friendly_name: 'short', scopes: ['devices:list'] } });
    const token = made.body.created.tokens[0].token;
    assert.deepEqual((await door.call('DELETE', `/v1/access_tokens/${token}`, { token: null })).body, { ok: true });
    assert.equal((await door.call('GET', '/v1/user', { token })).status, 401);
    assertError(await door.call('DELETE', `/v1/access_tokens/${token}`, { token: null }), 404);
});

// Of 127.0.0.0/8 every address is ours.
function logInFrom(localAddress, password) {
    const body = new URLSearchParams({ grant_type: 'password', username: 'admin', password, client_id: 'particle', client_secret: 'particle' }).toString();
    return new Promise((resolve, reject) => http.request(`${door.base}/oauth/token`, {
        method: 'POST', localAddress, headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length },
    }, (reply) => reply.resume().on('end', () => resolve(reply.statusCode))).on('error', reject).end(body));
}

test('ten wrong passwords lock a user for where they came from, and nowhere else', async () => {
    for (let i = 0; i < 9; i++) assert.equal(await logInFrom('127.0.0.66', `guess ${i}`), 400);
    assert.equal(await logInFrom('127.0.0.66', adminPassword), 200, 'nine are not too many, and start anew');
    for (let i = 0; i < 10; i++) assert.equal(await logInFrom('127.0.0.66', `guess ${i}`), 400);
    assert.equal(await logInFrom('127.0.0.66', adminPassword), 400);
    assert.equal(await logInFrom('127.0.0.1', adminPassword), 200);
    assert.equal((await door.call('GET', '/v1/user')).status, 200, 'tokens go on');
});

test('however many guess, others do not wait for them', async () => {
    const crowded = await startDoor();
    let checked = 0;
    const guesses = Array.from({ length: 400 }, () => crowded.call('POST', '/oauth/token', {
        token: null, form: { grant_type: 'password', username: 'nobody', password: 'guess', client_id: 'particle', client_secret: 'particle' },
    }).then((reply) => { checked += reply.status === 400; return reply; }));
    await Promise.race(guesses); // they are there
    assert.equal((await crowded.call('POST', '/v1/products', { json: { name: 'meanwhile', platform_id: BORON } })).status, 201);
    assert.ok(checked < 128, `${checked} of 400 guesses went first`);
    const replies = await Promise.all(guesses);
    for (const reply of replies) assert.ok(reply.status === 400 || (reply.status === 503 && reply.headers.get('retry-after')), reply.text);
    assert.ok(replies.filter((reply) => reply.status === 400).length >= 256, 'those who wait are served');
    await crowded.stop();
});

test('ping, functions, variables, signal', async () => {
    const at = (n, rest = '') => `/v1/products/${product.id}/devices/${deviceId(n)}${rest}`;
    assert.deepEqual((await door.call('PUT', at(1, '/ping'))).body, { online: true, ok: true });
    assert.deepEqual((await door.call('PUT', at(2, '/ping'))).body, { online: false, ok: true }, 'no answer in time');
    assert.deepEqual((await door.call('PUT', at(3, '/ping'))).body, { online: false, ok: true });
    const called = await door.call('POST', at(1, '/length'), { json: { args: 'four' } });
    assert.equal(called.body.return_value, 4);
    assert.equal((await door.call('POST', at(1, '/length'), { form: { arg: 'abc' } })).body.return_value, 3);
    assert.deepEqual((await door.call('POST', at(1, '/nothing'), { json: { args: '' } })).body, { ok: false, error: 'Function nothing not found' });
    assert.deepEqual((await door.call('POST', at(3, '/length'), { json: {} })).body, { ok: false, error: 'Timed out.' });
    assert.equal((await door.call('GET', at(1, '/length'))).body.result, 42);
    assert.equal((await door.call('GET', at(1, '/word?format=raw'))).text, 'hello');
    // A sensor that fails is often told as not a number, for which JSON has none.
    assert.equal((await door.call('GET', at(1, '/broken'))).body.result, null);
    assert.equal((await door.call('GET', at(1, '/broken?format=raw'))).text, 'null');
    assert.equal((await door.call('GET', at(1, '/huge'))).body.result, 1e300);
    const missing = await door.call('GET', at(1, '/other'));
    assert.deepEqual([missing.status, missing.body], [404, { ok: false, error: 'Variable not found' }]);
    assert.equal((await door.call('GET', at(2, '/word'))).status, 408);
    const signal = await door.call('PUT', at(1), { json: { signal: '1' } });
    assert.deepEqual(signal.body, { id: deviceId(1), connected: true, signaling: true });
    const both = await door.call('PUT', at(1), { json: { signal: '0', name: 'lamp', groups: ['lit'] } });
    const { updated_at: when, ...rest } = both.body;
    assert.deepEqual(rest, { id: deviceId(1), name: 'lamp', groups: ['lit'], connected: true, signaling: false });
    assert.match(when, /Z$/);
    assert.equal((await door.call('PUT', at(2), { json: { signal: '0' } })).status, 408);
});

test('many waits for devices at once do not block others', async () => {
    let ended = 0;
    const waits = Array.from({ length: 200 }, () => door.call('PUT', `/v1/devices/${deviceId(2)}/ping`).finally(() => { ended += 1; }));
    assert.equal((await door.call('GET', '/v1/products')).status, 200);
    assert.equal(ended, 0);
    for (const reply of await Promise.all(waits)) assert.equal(reply.body.online, false);
});

test('flash of a file to a device that is not there', async () => {
    const path = `/v1/products/${product.id}/devices/${deviceId(3)}`;
    const flash = (bytes, fields = { latest: 'true' }, name = '/tmp/x/app.bin', at = path) =>
        door.call('PUT', at, { form: uploadForm(bytes, fields, 'file', name) });
    for (const at of [path, `/v1/devices/${deviceId(3)}`]) {
        const away = await flash(module(BORON, product.id, 9), undefined, undefined, at);
        assert.equal(away.status, 500, away.text);
        assert.deepEqual(away.body, { ok: false, code: 500, errors: ['Request Timed Out'] });
    }
    // What could not be flashed to any device of the product is refused whether it is there or not.
    assertError(await flash(module(26, product.id, 9)), 400, /platform/);
    assertError(await flash('int main() {}', {}, 'main.ino'), 400);
    assertError(await flash(module(BORON, product.id, 9).subarray(0, 900)), 400);
    assertError(await flash(Buffer.alloc(0)), 400);
    assertError(await door.call('PUT', path, { form: uploadForm(null, { latest: 'true' }) }), 400);
    assertError(await flash(module(BORON, product.id, 9), undefined, undefined, `/v1/products/${product.id}/devices/${deviceId(0x999)}`), 403);
    assert.equal((await door.call('GET', `/v1/products/${product.id}/updates`)).body.updates.length, 0, 'nothing was begun');
});

test('keys of devices are registered as particle-cli does it', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    const json = { deviceID: deviceId(1), publicKey: pem, order: 'manual_1', filename: 'cli', algorithm: 'ec' };
    const reply = await door.call('POST', `/v1/provisioning/${deviceId(1)}`, { json });
    assert.equal(reply.status, 200, reply.text);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' });
    assertError(await door.call('POST', `/v1/provisioning/${deviceId(1)}`, { json: { ...json, publicKey: rsa } }), 400, /publicKey/);
    assertError(await door.call('POST', `/v1/provisioning/${deviceId(1)}`, { json: { ...json, algorithm: 'rsa' } }), 400, /algorithm/);
});

test('claims, for existing clients', async () => {
    const claim = await door.call('POST', '/v1/devices', { json: { id: deviceId(1), request_transfer: false } });
    assert.equal(claim.body.ok, true);
    assert.equal(claim.body.connected, false, 'it is not connected');
    const unknown = await door.call('POST', '/v1/devices', { json: { id: deviceId(0x999) } });
    assert.deepEqual([unknown.status, unknown.body], [404, { ok: false, errors: ['device does not exist'] }]);
    assert.deepEqual((await door.call('DELETE', `/v1/devices/${deviceId(1)}`)).body, { ok: true });
});
