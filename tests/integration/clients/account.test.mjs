// Who may ask: particle-api-js logs in, shows, lists and ends tokens; API users and their scopes.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Particle, adminToken, password, rejection, startServer } from './harness.mjs';

const hex40 = /^[0-9a-f]{40}$/;
let server;
let api;
before(async () => {
    server = await startServer();
    api = server.api();
});
after(() => server?.stop());

const login = (extra = {}) => server.api(null).login({ username: 'admin', password, ...extra });

describe('a person', () => {
    it('logs in for 90 days, as the SDK asks', async () => {
        const { body, statusCode } = await login();
        assert.equal(statusCode, 200);
        assert.equal(body.token_type, 'bearer');
        assert.match(body.access_token, hex40);
        assert.match(body.refresh_token, hex40);
        assert.equal(body.expires_in, 7776000);
        const me = await server.api(body.access_token).getUserInfo({});
        assert.equal(me.body.username, 'admin');
    });

    it('logs in for as long as it wants', async () => {
        const { body } = await login({ tokenDuration: 60 });
        assert.equal(body.expires_in, 60);
        const now = await server.request('GET', '/v1/access_tokens/current', { token: body.access_token });
        const left = Date.parse(now.body.expires_at) - Date.now();
        assert.ok(left > 0 && left <= 61000, `${left} ms are left`);
        assert.equal(now.body.client, 'particle-api');
        assert.deepEqual([now.body.scopes, now.body.orgs], [[], []]);
    });

    it('is told that the password is wrong', async () => {
        const error = await rejection(server.api(null).login({ username: 'admin', password: 'no' }));
        assert.equal(error.statusCode, 400);
        assert.equal(error.body.error, 'invalid_grant');
        assert.equal(error.shortErrorDescription, 'User credentials are invalid');
    });

    it('learns no more of a name that does not exist', async () => {
        const error = await rejection(server.api(null).login({ username: 'nobody', password: 'no' }));
        assert.equal(error.statusCode, 400);
        assert.equal(error.shortErrorDescription, 'User credentials are invalid');
    });

    it('has an identity for tracking', async () => {
        const { body } = await api.trackingIdentity({});
        assert.equal(body.email, 'admin');
        assert.ok(body.id);
    });

    it('renews a token, once', async () => {
        const { body } = await login();
        const renew = () => server.request('POST', '/oauth/token', {
            token: null,
            form: new URLSearchParams({
                grant_type: 'refresh_token', refresh_token: body.refresh_token,
                client_id: 'particle', client_secret: 'particle',
            }),
        });
        const fresh = await renew();
        assert.equal(fresh.status, 200, fresh.text);
        assert.match(fresh.body.access_token, hex40);
        assert.notEqual(fresh.body.access_token, body.access_token);
        const again = await renew();
        assert.equal(again.status, 400);
        assert.equal(again.body.error, 'invalid_grant');
    });

    it('lists tokens by name and password', async () => {
        const basic = Buffer.from(`admin:${password}`).toString('base64');
        const reply = await server.request('GET', '/v1/access_tokens', {
            token: null, headers: { authorization: `Basic ${basic}` },
        });
        assert.equal(reply.status, 200, reply.text);
        assert.ok(Array.isArray(reply.body) && reply.body.length > 0);
        for (const token of reply.body) assert.ok('expires_at' in token && 'client' in token);
    });
});

describe('a token', () => {
    it('is ended by who uses it', async () => {
        const { body } = await login();
        const own = server.api(body.access_token);
        assert.deepEqual((await own.deleteCurrentAccessToken({})).body, { ok: true });
        const error = await rejection(own.getUserInfo({}));
        assert.equal(error.statusCode, 401);
        assert.equal(error.body.error, 'invalid_token');
        assert.equal(error.shortErrorDescription, 'The access token provided is invalid.');
    });

    it('is ended by who knows it, without another one', async () => {
        const { body } = await login();
        const reply = await server.api(null).deleteAccessToken({ token: body.access_token });
        assert.deepEqual(reply.body, { ok: true });
        assert.equal((await rejection(server.api(body.access_token).getUserInfo({}))).statusCode, 401);
        assert.equal((await rejection(server.api(null).deleteAccessToken({ token: 'abc' }))).statusCode, 404);
    });

    it('travels in the header, the query, or the form', async () => {
        const query = await server.request('GET', `/v1/user?access_token=${adminToken}`, { token: null });
        assert.equal(query.body.username, 'admin');
        const form = await server.request('POST', '/v1/devices/events', {
            token: null, form: new URLSearchParams({ name: 'from/form', data: 'x', access_token: adminToken }),
        });
        assert.deepEqual(form.body, { ok: true });
    });

    it('is asked for', async () => {
        const error = await rejection(server.api(null).getUserInfo({}));
        assert.equal(error.statusCode, 400);
        assert.equal(error.body.error, 'invalid_request');
        assert.equal(error.shortErrorDescription, 'The access token was not found');
    });

    it('expires', async () => {
        const { body } = await login({ tokenDuration: 1 });
        await new Promise((resolve) => setTimeout(resolve, 1200));
        const error = await rejection(server.api(body.access_token).getUserInfo({}));
        assert.equal(error.statusCode, 401);
        assert.equal(error.shortErrorDescription, 'The access token provided has expired.');
    });
});

describe('a second factor', () => {
    it('is not known here', async () => {
        const error = await rejection(server.api(null).sendOtp({ mfaToken: 'mt', otp: '123456' }));
        assert.deepEqual([error.statusCode, error.body.error], [400, 'unsupported_grant_type']);
    });
});

describe('a client alone', () => {
    it('gets nothing for the public pair', async () => {
        const error = await rejection(server.api(null).loginAsClientOwner({}));
        assert.equal(error.statusCode, 400);
        assert.equal(error.body.error, 'invalid_client');
    });

    it('is refused with a pair that nobody gave out', async () => {
        const reply = await server.request('POST', '/oauth/token', {
            token: null,
            form: new URLSearchParams({
                grant_type: 'password', username: 'admin', password, client_id: 'x', client_secret: 'y',
            }),
        });
        assert.equal(reply.status, 400);
        assert.equal(reply.body.error, 'invalid_client');
    });
});

describe('a product team', () => {
    let product;
    before(async () => (product = (await server.createProduct('Team')).id));

    it('lists people', async () => {
        const { body } = await api.listTeamMembers({ product });
        assert.equal(body.ok, true);
        assert.deepEqual(body.team.map((one) => [one.username, one.role.name]), [['admin', 'Administrator']]);
    });

    it('has API users that can do what their scopes say', async () => {
        const uri = `/v1/products/${product}/team`;
        const made = await api.post({ uri, data: { friendly_name: 'ci', scopes: ['firmware:list'] } });
        const { created } = made.body;
        assert.match(created.username, /^ci\+[a-z0-9]+@/);
        assert.equal(created.is_programmatic, true);
        const [{ token }] = created.tokens;
        assert.match(token, hex40);
        const limited = server.api(token);
        assert.deepEqual((await limited.listProductFirmware({ product })).body, []);
        const refused = await rejection(limited.listDevices({ product }));
        assert.equal(refused.statusCode, 400);
        assert.equal(refused.body.error, 'unauthorized');
        assert.equal(refused.shortErrorDescription, 'API users are not allowed to call this endpoint');

        const edited = await api.put({
            uri: `${uri}/${encodeURIComponent(created.username)}`,
            data: { friendly_name: 'ci', scopes: ['devices:list'] },
        });
        const [fresh] = (edited.body.updated ?? edited.body.created).tokens;
        assert.notEqual(fresh.token, token);
        assert.equal((await rejection(limited.listProductFirmware({ product }))).statusCode, 401);
        assert.equal((await server.api(fresh.token).listDevices({ product })).statusCode, 200);

        const { body } = await api.listTeamMembers({ product });
        assert.ok(body.team.some((one) => one.is_programmatic && one.username === created.username));
        const gone = await api.removeTeamMember({ product, username: encodeURIComponent(created.username) });
        assert.ok([200, 204].includes(gone.statusCode));
        assert.equal((await rejection(server.api(fresh.token).listDevices({ product }))).statusCode, 401);
    });

    it('takes a person that exists', async () => {
        const reply = await api.inviteTeamMember({ product, username: 'admin' });
        assert.equal(reply.body.ok, true);
        const error = await rejection(api.inviteTeamMember({ product, username: 'stranger@example.com' }));
        assert.ok(error.statusCode >= 400 && error.statusCode < 500);
    });
});

describe('an OAuth client', () => {
    it('is made, listed, used, renamed and removed, for a product', async () => {
        const product = (await server.createProduct('Clients')).id;
        const made = await api.createOAuthClient({ product, name: 'kiosk', type: 'installed' });
        assert.equal(made.body.ok, true);
        const { client } = made.body;
        assert.deepEqual([client.name, client.type], ['kiosk', 'installed']);
        assert.ok(client.id && client.secret);
        const { body } = await api.listOAuthClients({ product });
        assert.equal(body.ok, true);
        const [listed] = body.clients.filter((one) => one.id === client.id);
        assert.equal(listed.name, 'kiosk');
        assert.equal(listed.secret, undefined, 'the secret is shown once');
        const own = new Particle({ baseUrl: server.url, clientId: client.id, clientSecret: client.secret });
        const { body: { access_token: token } } = await own.loginAsClientOwner({});
        assert.match(token, hex40);
        assert.deepEqual((await server.api(token).listDevices({ product })).body.devices, []);
        const renamed = await api.updateOAuthClient({ product, clientId: client.id, name: 'booth' });
        assert.equal(renamed.body.client.name, 'booth');
        assert.equal((await api.deleteOAuthClient({ product, clientId: client.id })).statusCode, 204);
        assert.equal((await rejection(server.api(token).listDevices({ product }))).statusCode, 401);
        assert.deepEqual((await api.listOAuthClients({ product })).body.clients, []);
    });
});

describe('all tokens of a person', () => {
    it('end together', async () => {
        const [first, second] = [(await login()).body, (await login()).body];
        const reply = await server.api(first.access_token).deleteActiveAccessTokens({});
        assert.deepEqual(reply.body, { ok: true });
        assert.equal((await rejection(server.api(second.access_token).getUserInfo({}))).statusCode, 401);
    });
});
