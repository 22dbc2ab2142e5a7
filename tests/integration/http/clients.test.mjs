// OAuth clients: made for a product or the server, traded for tokens, limited, ended.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, assertError, adminToken } from './door.mjs';

let door, product, other, base;
before(async () => {
    door = await startDoor();
    product = await createProduct(door, 'clients');
    other = await createProduct(door, 'elsewhere');
    base = `/v1/products/${product.id}/clients`;
});
after(() => door.stop());

const create = async (fields = {}, path = base, token = adminToken) => {
    const reply = await door.call('POST', path, { token, json: { name: 'kiosk', type: 'installed', ...fields } });
    assert.equal(reply.status, 200, reply.text);
    return reply.body.client;
};
const ask = (client, extra = {}) => door.call('POST', '/oauth/token', {
    token: null,
    form: { grant_type: 'client_credentials', client_id: client.id, client_secret: client.secret, ...extra },
});
const tokenOf = async (client, extra) => {
    const reply = await ask(client, extra);
    assert.equal(reply.status, 200, reply.text);
    return reply.body;
};

test('a client buys tokens that act for its product', async () => {
    const client = await create();
    assert.match(client.id, /^kiosk-[0-9a-f]{10}$/);
    assert.match(client.secret, /^[0-9a-f]{40}$/);
    const made = await tokenOf(client, { expires_in: 60 });
    assert.equal(made.expires_in, 60);
    const token = made.access_token;
    assert.equal((await door.call('GET', `/v1/products/${product.id}/devices`, { token })).status, 200);
    assert.equal((await door.call('POST', `/v1/products/${product.id}/groups`, { token, json: { name: 'by-client' } })).status, 201);
    assertError(await door.call('GET', `/v1/products/${other.id}/devices`, { token }), 400, /API users are not allowed/);
    assert.equal((await door.call('GET', '/v1/access_tokens/current', { token })).body.client, client.id);
    const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64');
    const byBasic = await door.call('POST', '/oauth/token', { token: null, form: { grant_type: 'client_credentials' }, headers: { authorization: `Basic ${basic}` } });
    assert.equal(byBasic.status, 200, byBasic.text);
});

test('it makes no further way in', async () => {
    const { access_token: token } = await tokenOf(await create());
    const refused = [
        await door.call('POST', base, { token, json: { name: 'more', type: 'web' } }),
        await door.call('POST', `/v1/products/${product.id}/team`, { token, json: { friendly_name: 'x', scopes: [] } }),
    ];
    for (const reply of refused) assertError(reply, 400, /API users are not allowed/);
    assertError(await door.call('POST', base, { json: { name: 'x', type: 'web', scopes: ['teams.users:invite'] } }), 400, /scopes: /);
});

test('scopes narrow it, now and later', async () => {
    const client = await create({ scopes: ['groups:list'] });
    const { access_token: token } = await tokenOf(client);
    const groups = `/v1/products/${product.id}/groups`;
    assert.equal((await door.call('GET', groups, { token })).status, 200);
    assertError(await door.call('POST', groups, { token, json: { name: 'no' } }), 400, /API users are not allowed/);
    const edited = await door.call('PUT', `${base}/${client.id}`, { json: { name: 'renamed', scopes: ['groups:create'] } });
    assert.deepEqual(edited.body, { ok: true, client: { name: 'renamed', type: 'installed', id: client.id } });
    assertError(await door.call('GET', groups, { token }), 400, /API users are not allowed/);
    assert.equal((await door.call('POST', groups, { token, json: { name: 'now' } })).status, 201);
});

test('an API user makes no client that may more than it', async () => {
    const made = await door.call('POST', `/v1/products/${product.id}/team`, { json: { friendly_name: 'maker', scopes: ['clients:create', 'groups:list'] } });
    const token = made.body.created.tokens[0].token;
    const client = await create({}, base, token);
    const { access_token: own } = await tokenOf(client);
    assert.deepEqual((await door.call('GET', '/v1/access_tokens/current', { token: own })).body.scopes, ['groups:list']);
    assertError(await door.call('POST', base, { token, json: { name: 'x', type: 'web', scopes: ['devices:list'] } }), 400, /devices:list is not yours/);
});

test('only its own refresh tokens are of use to it', async () => {
    const client = await create();
    const rival = await create();
    const made = await tokenOf(client);
    const refresh = (who, refresh_token) => ask(who, { grant_type: 'refresh_token', refresh_token });
    const publicPair = { id: 'particle', secret: 'particle' };
    for (const thief of [rival, publicPair]) {
        assert.equal((await refresh(thief, made.refresh_token)).body.error, 'invalid_grant');
    }
    const fresh = await refresh(client, made.refresh_token);
    assert.equal(fresh.status, 200, fresh.text);
    assert.equal((await door.call('GET', '/v1/user', { token: made.access_token })).status, 401);
    assert.equal((await door.call('GET', '/v1/user', { token: fresh.body.access_token })).status, 200);
});

test('secrets are checked and customers are not invented', async () => {
    const client = await create();
    for (const secret of ['0'.repeat(40), 'x', client.secret.toUpperCase().replace(/[A-F]/g, '0')]) {
        const reply = await ask({ ...client, secret });
        assert.deepEqual([reply.status, reply.body.error], [400, 'invalid_client']);
    }
    assert.equal((await ask({ id: 'nobody-0', secret: client.secret })).body.error, 'invalid_client');
    assert.equal((await ask(client, { scope: 'customer=a@b.c' })).body.error, 'invalid_scope');
    assert.equal((await ask(client, { grant_type: 'password', username: 'admin', password: 'x' })).body.error, 'unauthorized_client');
});

test('its end is the end of its tokens', async () => {
    const client = await create();
    const { access_token: token } = await tokenOf(client);
    assertError(await door.call('DELETE', `/v1/products/${other.id}/clients/${client.id}`), 404, /Client not found/);
    assertError(await door.call('DELETE', `/v1/clients/${client.id}`), 404, /Client not found/);
    assert.equal((await door.call('DELETE', `${base}/${client.id}`)).status, 204);
    assert.equal((await door.call('GET', '/v1/user', { token })).status, 401);
    assert.equal((await ask(client)).body.error, 'invalid_client');
    assertError(await door.call('PUT', `${base}/${client.id}`, { json: { name: 'x' } }), 404);
});

test('it is on no team, and the team cannot change it', async () => {
    const client = await create();
    const team = `/v1/products/${product.id}/team`;
    assert.ok((await door.call('GET', team)).body.team.every((one) => one.username !== client.id));
    assertError(await door.call('PUT', `${team}/${client.id}`, { json: { scopes: [] } }), 404);
    assertError(await door.call('DELETE', `${team}/${client.id}`), 404);
    assert.equal((await ask(client)).status, 200);
});

test('a client of the server acts in every product', async () => {
    const client = await create({ type: 'web', redirect_uri: 'https://example.com/back' }, '/v1/clients');
    const { access_token: token } = await tokenOf(client);
    for (const one of [product, other]) {
        assert.equal((await door.call('GET', `/v1/products/${one.id}/devices`, { token })).status, 200);
    }
    const list = (await door.call('GET', '/v1/clients')).body.clients;
    assert.deepEqual(list, [{ name: 'kiosk', type: 'web', id: client.id, redirect_uri: 'https://example.com/back' }]);
    assert.ok((await door.call('GET', base)).body.clients.every((one) => one.id !== client.id && !('secret' in one)));
});

test('what a client cannot be is said', async () => {
    const bad = [
        [{}, /name/], [{ name: 'x' }, /type/], [{ name: '', type: 'web' }, /name/], [{ name: 'x', type: 'desktop' }, /type/],
        [{ name: 'x'.repeat(200), type: 'web' }, /name/], [{ name: 'x', type: 'web', scope: 'a' }, /scope/],
        [{ name: 'x', type: 'web', scopes: ['nonsense'] }, /scopes/], [{ name: 'x', type: 'web', redirect_uri: 5 }, /redirect_uri/],
    ];
    for (const [json, pattern] of bad) assertError(await door.call('POST', base, { json }), 400, pattern);
});
