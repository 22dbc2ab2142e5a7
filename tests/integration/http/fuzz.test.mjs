// Requests made from the description: right, nearly right and wrong values in every place. Whatever
// is asked, the answer is one that the description knows, never a failure of the server's, and the
// door goes on. HTTP_FUZZ_SEED and HTTP_FUZZ_COUNT choose other runs.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, upload, module, adminToken, deviceId, BORON } from './door.mjs';

const seed = Number(process.env.HTTP_FUZZ_SEED ?? 1);
const count = Number(process.env.HTTP_FUZZ_COUNT ?? 4000);

const RECEIVER = 'http://127.0.0.1:9/receiver';
let door, product, document, binary, hooks, client;
before(async () => {
    door = await startDoor(['device_timeout=50', 'upload=200000', 'body=100000']);
    product = await createProduct(door, 'fuzz');
    await upload(door, product, 1);
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { ids: [1, 2, 3].map(deviceId) } });
    await door.call('POST', `/v1/products/${product.id}/groups`, { json: { name: 'g' } });
    hooks = [];
    for (const path of ['/v1/webhooks', `/v1/products/${product.id}/webhooks`]) {
        hooks.push((await door.call('POST', path, { json: { event: 'spark', url: RECEIVER } })).body.id);
    }
    client = (await door.call('POST', `/v1/products/${product.id}/clients`, { json: { name: 'kiosk', type: 'installed' } })).body.client.id;
    binary = module(BORON, product.id, 2, 300);
    document = (await door.call('GET', '/v1/openapi.json')).body;
});
after(() => door.stop());

// xorshift32: the same seed makes the same requests.
let state = seed >>> 0 || 1;
function random(n) {
    state ^= state << 13; state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5; state >>>= 0;
    return state % n;
}
const pick = (list) => list[random(list.length)];
// A schema without references, its parts put together.
const resolve = (node) => {
    while (node?.$ref) node = node.$ref.slice(2).split('/').reduce((at, key) => at[key], document);
    if (!node?.allOf) return node;
    const parts = node.allOf.map(resolve);
    return { ...Object.assign({}, ...parts), required: parts.flatMap((part) => part.required ?? []),
        properties: Object.assign({}, ...parts.map((part) => part.properties)) };
};

const NASTY = [null, true, false, 0, -1, 1, 1.5, 65535, 65536, 2147483647, 2147483648, 4294967296, 9007199254740993, -9223372036854775808,
    '', ' ', 'null', 'true', '0', '-1', '1e9', '9223372036854775808', 'a'.repeat(70), 'b'.repeat(1100), 'c'.repeat(70000), '../../etc/passwd', "'; DROP TABLE device; --",
    '%', '%00', '\u0000', '\u0007', '\ud800', '\u202e', '\u{1f600}', [], [[]], [null], {}, { a: {} }, ['a', 1, null], '<script>', '${jndi}', '\r\nX: y'];

// In a head; longer ones are refused by the HTTP library before they are ours.
const wellFormed = (value) => String(value).replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
const text = (value) => wellFormed(String(value).slice(0, 300));

function good(schema, name) {
    schema = resolve(schema);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return pick(schema.enum);
    const type = pick([schema.type ?? 'string'].flat());
    if (type === 'integer') return (schema.minimum ?? 0) + random(4);
    if (type === 'boolean') return random(2) === 1;
    if (type === 'null') return null;
    if (type === 'array') return Array.from({ length: random(3) }, () => good(schema.items ?? {}, name));
    if (type === 'object') {
        const value = {};
        for (const [key, inner] of Object.entries(schema.properties ?? {})) {
            if (schema.required?.includes(key) || random(3) === 0) value[key] = good(inner, key);
        }
        return value;
    }
    if (name === 'url') return RECEIVER;
    return pick(['g', 'new-group', 'x', deviceId(1 + random(4)), '#112233', 'admin', 'firmware:list', 'spark/x']);
}

function mutate(value) {
    if (value === null || typeof value !== 'object' || random(6) === 0) return pick(NASTY);
    const keys = Object.keys(value);
    const copy = Array.isArray(value) ? [...value] : { ...value };
    if (keys.length === 0 || random(5) === 0) {
        if (!Array.isArray(copy)) copy[pick(['extra', 'vrsion', 'access_token', '__proto__', 'groups[]', 'x'.repeat(200)])] = pick(NASTY);
        return copy;
    }
    const key = pick(keys);
    if (random(4) === 0) { if (Array.isArray(copy)) copy.splice(Number(key), 1); else delete copy[key]; } else copy[key] = mutate(value[key]);
    return copy;
}

const PATHS = { product: () => pick([product.id, product.slug]), version: () => pick([1, 2]), group: () => 'g', device: () => deviceId(1 + random(3)),
    id: () => deviceId(1 + random(5)), token: () => 'f'.repeat(40), username: () => 'nobody', update: () => 1 + random(3), prefix: () => 'spark',
    function: () => pick(['length', 'none']), variable: () => pick(['word', 'none']), serial: () => 'S1', image: () => 1, hook: () => pick(hooks),
    client: () => client, metric: () => pick(['online', 'events', 'integration', 'functions', 'variables']) };

function inPath(name) {
    assert.ok(PATHS[name], `the fuzzer has no value for {${name}}`);
    return PATHS[name]();
}

function request(template, method, operation, shared) {
    let path = template.replace(/\{(\w+)\}/g, (_, name) =>
        encodeURIComponent(random(8) === 0 ? text(pick(NASTY)) : inPath(name)));
    const query = new URLSearchParams();
    for (const parameter of [...(shared ?? []), ...(operation.parameters ?? [])].map(resolve)) {
        if (parameter.in === 'query' && random(3) === 0) {
            query.append(parameter.name, text(random(3) === 0 ? pick(NASTY) : good(parameter.schema, parameter.name)));
        }
    }
    if ([...query].length) path += `?${query}`;
    const options = { headers: {} };
    if (random(40) === 0) options.token = pick([null, 'f'.repeat(40), 'x']);
    if (random(10) === 0) options.headers['idempotency-key'] = pick(['a', 'b', 'c d', 'k'.repeat(300)]);
    if (random(15) === 0) options.headers['if-match'] = pick(['*', '"1-2"', 'nonsense']);
    const content = operation.requestBody?.content ?? (random(10) === 0 && method !== 'GET' ? { 'application/json': { schema: {} } } : undefined);
    if (!content || method === 'GET') return { path, options };
    const media = pick(Object.keys(content));
    let value = good({ ...resolve(content[media].schema), type: 'object' });
    while (random(2) === 0) value = mutate(value);
    if (media === 'application/json') {
        options.headers['content-type'] = media;
        options.body = JSON.stringify(value);
        if (random(12) === 0) options.body = options.body.slice(0, random(options.body.length + 1));
    } else {
        const fields = value !== null && typeof value === 'object' ? Object.entries(value) : [['v', value]];
        const multipart = media.startsWith('multipart');
        const form = multipart ? new FormData() : new URLSearchParams();
        for (const [key, one] of fields) {
            if (multipart && ['file', 'binary'].includes(key)) {
                const bytes = pick([binary, Buffer.alloc(random(3000), random(256)), Buffer.alloc(0), `${deviceId(7)}\n${deviceId(8)}\nx`]);
                form.append(key, new Blob([bytes]), pick(['f.bin', '../f', 'a'.repeat(300)]));
            } else {
                form.append(wellFormed(key), wellFormed(one));
            }
        }
        options.form = form;
    }
    return { path, options };
}

test(`${count} requests from seed ${seed}`, async () => {
    const operations = Object.entries(document.paths).flatMap(([template, item]) =>
        Object.entries(item).filter(([method]) => method !== 'parameters').map(([method, operation]) => [template, method.toUpperCase(), operation, item.parameters]))
        .filter(([template, , operation]) => !operation.tags.includes('events') || operation.requestBody)
        // Ending one's own token would end the test.
        .filter(([template, method]) => !(template.startsWith('/v1/access_tokens') && method === 'DELETE'));
    const statuses = {};
    const asked = new Set(), answered = new Set();
    for (let done = 0; done < count; done += 8) {
        const batch = Array.from({ length: 8 }, () => {
            const [template, method, operation, shared] = pick(operations);
            return { name: operation.operationId, method, ...request(template, method, operation, shared) };
        });
        await Promise.all(batch.map(async ({ name, method, path, options }) => {
            const what = `${method} ${path.slice(0, 600)} ${JSON.stringify(options.headers)} ${String(options.body ?? (options.form instanceof FormData ? "multipart" : options.form) ?? "").slice(0, 300)}`;
            const reply = await door.call(method, path, options).catch((error) => { throw new Error(`${what}: ${error.cause ?? error.message}`); });
            statuses[reply.status] = (statuses[reply.status] ?? 0) + 1;
            asked.add(name);
            if (reply.status < 300) answered.add(name);
            // 500 has one meaning that clients know: the device did not answer.
            assert.ok(reply.status < 500 || (reply.status === 500 && reply.body.code === 500 && reply.body.errors), `${what}: ${reply.status} ${reply.text}`);
        }));
    }
    if (count >= 4000) {
        assert.deepEqual(operations.map(([, , operation]) => operation.operationId).filter((name) => !asked.has(name)), []);
        assert.ok(answered.size > operations.length / 2, `only ${answered.size} of ${operations.length} ever answered with success`);
    }
    assert.ok(statuses[200] > count / 20, JSON.stringify(statuses));
    assert.ok(statuses[400] > count / 20, JSON.stringify(statuses));
    assert.equal((await door.call('GET', '/health')).status, 200);
});
