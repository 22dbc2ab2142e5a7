// api/openapi.yaml against the route table, both ways, and who may call what: every route with no
// token, a revoked one, an expired one, without its scope, and by another product's API user.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, listRoutes, assertError, deviceId, adminToken } from './door.mjs';

let door, product, other, document;
const routes = listRoutes();
const device = deviceId(0x601);

before(async () => {
    door = await startDoor(['device_timeout=300']);
    product = await createProduct(door, 'contract');
    other = await createProduct(door, 'other');
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { id: device } });
    document = (await door.call('GET', '/v1/openapi.json', { token: null })).body;
});
after(() => door.stop());

const template = (path) => path.replace(/:(\w+)/g, '{$1}');
const scopes = () => [...new Set(routes.map((r) => r.scope).filter(Boolean))];

function example(route) {
    const values = { product: product.id, version: 1, group: 'g', device, id: device, token: 'f'.repeat(40),
        username: 'nobody', update: 1, prefix: 'spark', function: 'f', variable: 'v', serial: 'S', image: 1, hook: 'a'.repeat(24), client: 'kiosk', metric: 'online' };
    return route.path.replace(/:(\w+)/g, (_, name) => values[name]);
}

async function apiUser(at, list) {
    const reply = await door.call('POST', `/v1/products/${at.id}/team`, { json: { friendly_name: 'ci', scopes: list } });
    assert.equal(reply.status, 200, reply.text);
    const token = reply.body.created.tokens[0].token;
    assert.match(token, /^[0-9a-f]{40}$/);
    return { token, username: reply.body.created.username };
}

// Streams do not end: one look at their head is enough.
async function ask(route, token) {
    if (!route.stream) return door.call(route.method, example(route), { token });
    const abort = new AbortController();
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(door.base + example(route), { headers, signal: abort.signal });
    const isStream = response.headers.get('content-type') === 'text/event-stream';
    const reply = { status: response.status, headers: response.headers, text: '', body: isStream ? {} : await response.json() };
    abort.abort();
    return reply;
}

test('the description has every route, and no other', () => {
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
        Object.keys(item).filter((key) => key !== 'parameters').map((method) => `${method.toUpperCase()} ${path}`));
    const served = routes.map((r) => `${r.method} ${template(r.path)}`);
    assert.deepEqual(described.sort(), served.sort());
});

test('scopes, open routes and body kinds are described as the table has them', () => {
    const seen = new Set();
    for (const route of routes) {
        const operation = document.paths[template(route.path)][route.method.toLowerCase()];
        const what = `${route.method} ${route.path}`;
        assert.equal(operation['x-scope'] ?? '', route.scope, what);
        assert.equal(Boolean(operation['x-any-user']), route.any, what);
        assert.equal(operation.security?.length === 0, route.open, what);
        const content = operation.requestBody?.content ?? {};
        assert.equal('multipart/form-data' in content, route.file, what);
        if (route.form) assert.deepEqual(Object.keys(content), ['application/x-www-form-urlencoded'], what);
        assert.ok(!seen.has(operation.operationId), `${operation.operationId} is there twice`);
        seen.add(operation.operationId);
        const named = (document.paths[template(route.path)].parameters ?? []).map((p) => p.$ref.split('/').pop());
        assert.deepEqual(named, [...route.path.matchAll(/:(\w+)/g)].map((m) => m[1]), what);
    }
});

// Of each path: what it answers to methods that it has not, and to OPTIONS without a token.
test('each path says which methods it has', async () => {
    const paths = [...new Set(routes.map((route) => example(route)))];
    for (const path of paths) {
        const options = await door.call('OPTIONS', path, { token: null });
        assert.equal(options.status, 204, path);
        const allowed = options.headers.get('allow').split(', ');
        const has = routes.filter((route) => example(route) === path).map((route) => route.method);
        assert.ok(has.length > 0 && has.every((method) => allowed.includes(method)), `${path}: ${allowed}`);
        assert.equal(allowed.includes('HEAD'), allowed.includes('GET'), path);
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']) {
            if (allowed.includes(method)) continue;
            const reply = await door.call(method, path);
            assert.equal(reply.status, 405, `${method} ${path}`);
            assert.equal(reply.headers.get('allow'), allowed.join(', '), `${method} ${path}`);
            if (method !== 'HEAD') assertError(reply, 405, /Allowed here/);
        }
    }
});

test('HEAD answers as GET would, on each route', async () => {
    for (const route of routes.filter((one) => one.method === 'GET')) {
        const get = await ask(route, adminToken);
        const head = await door.call('HEAD', example(route));
        assert.equal(head.status, get.status, route.path);
        assert.equal(head.bytes.length, 0, route.path);
        assert.equal(head.headers.get('content-type'), get.headers.get('content-type'), route.path);
    }
});

test('references in the description lead somewhere', () => {
    const walk = (node) => {
        if (node === null || typeof node !== 'object') return;
        if (typeof node.$ref === 'string') {
            const found = node.$ref.slice(2).split('/').reduce((at, key) => at?.[key], document);
            assert.ok(found, node.$ref);
        }
        Object.values(node).forEach(walk);
    };
    walk(document);
});

test('no route is open without saying so', async () => {
    for (const route of routes.filter((r) => !r.open)) {
        const what = `${route.method} ${route.path}`;
        const none = await ask(route, null);
        assert.equal(none.status, 400, what);
        assert.deepEqual(none.body, { error: 'invalid_request', error_description: 'The access token was not found' }, what);
        for (const token of ['f'.repeat(40), 'short', 'Z'.repeat(40)]) {
            const bad = await ask(route, token);
            assert.equal(bad.status, 401, what);
            assert.deepEqual(bad.body, { error: 'invalid_token', error_description: 'The access token provided is invalid.' }, what);
        }
    }
});

test('a token that has expired is said to have', async () => {
    const api = await apiUser(product, scopes());
    const reply = await door.call('POST', '/oauth/token', {
        token: null,
        form: { grant_type: 'client_credentials', client_id: api.username, client_secret: api.token, expires_in: 1 },
    });
    assert.equal(reply.status, 200, reply.text);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    for (const route of routes.filter((r) => !r.open)) {
        const late = await ask(route, reply.body.access_token);
        assert.equal(late.status, 401, route.path);
        assert.deepEqual(late.body, { error: 'invalid_token', error_description: 'The access token provided has expired.' }, route.path);
    }
});

test('each scope opens its own routes and no other', async () => {
    const refused = (reply) => reply.status === 400 && reply.body?.error === 'unauthorized';
    for (const scope of scopes()) {
        const { token } = await apiUser(product, [scope]);
        for (const route of routes.filter((r) => !r.open)) {
            const hasProduct = route.path.includes(':product') || route.path.includes(':device');
            const may = route.any || (route.scope === scope && hasProduct);
            if (may && route.method !== 'GET') continue; /* would do something */
            if (route.any && route.method !== 'GET') continue;
            const reply = await ask(route, token);
            assert.equal(refused(reply), !may, `${scope} at ${route.method} ${route.path}: ${reply.status} ${JSON.stringify(reply.body)}`);
        }
    }
});

test("another product's API user may nothing", async () => {
    const { token } = await apiUser(other, scopes());
    for (const route of routes.filter((r) => !r.open && !r.any)) {
        const reply = await ask(route, token);
        assertError(reply, 400, /API users are not allowed/);
    }
});

test('the token goes three ways', async () => {
    const token = (await apiUser(product, ['products:get', 'groups:create'])).token;
    const path = `/v1/products/${product.id}`;
    assert.equal((await door.call('GET', path, { token })).status, 200);
    assert.equal((await door.call('GET', `${path}?access_token=${token}`, { token: null })).status, 200);
    const form = await door.call('POST', `${path}/groups`, { token: null, form: { name: 'by-form', access_token: token } });
    assert.equal(form.status, 201, form.text);
    const bad = await door.call('POST', `${path}/groups`, { token: null, form: { name: 'x', access_token: 'f'.repeat(40) } });
    assert.equal(bad.status, 401);
    const none = await door.call('POST', `${path}/groups`, { token: null, form: { name: 'x' } });
    assert.equal(none.status, 400);
});
