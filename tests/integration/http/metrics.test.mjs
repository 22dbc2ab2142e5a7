// The fleet over time: events, calls, and what may be asked.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, assertError, deviceId } from './door.mjs';

let door, product, base;
before(async () => {
    door = await startDoor(['device_timeout=200']);
    product = await createProduct(door, 'metrics');
    base = `/v1/products/${product.id}`;
    await door.call('POST', `${base}/devices`, { json: { ids: [1, 3].map(deviceId) } });
    await door.call('POST', `${base}/groups`, { json: { name: 'beta' } });
    await door.call('PUT', `${base}/devices/${deviceId(1)}`, { json: { groups: ['beta'] } });
});
after(() => door.stop());

const read = async (metric, query = '') => {
    const reply = await door.call('GET', `${base}/metrics/${metric}?${query}`);
    assert.equal(reply.status, 200, reply.text);
    return reply.body;
};
const sum = (body, key) => body.buckets.reduce((all, one) => all + one[key], 0);
// Calls are counted soon, not at once.
const settled = async (metric, key, wanted, query) => {
    for (let i = 0; i < 100 && sum(await read(metric, query), key) !== wanted; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(sum(await read(metric, query), key), wanted, `${metric} ${key}`);
};

test('a day in hours is what comes when nothing is said', async () => {
    const body = await read('events');
    assert.equal(body.bucket_size, 3600);
    assert.ok(body.buckets.length >= 24 && body.buckets.length <= 25, String(body.buckets.length));
    assert.ok(body.buckets.every((one, i) => i === 0 || Date.parse(one.at) - Date.parse(body.buckets[i - 1].at) === 3600000));
    assert.equal((await read('online', `start_date=${new Date(Date.now() - 9 * 86400000).toISOString()}`)).bucket_size, 86400);
});

test('events are counted, and those of others are not', async () => {
    const other = await createProduct(door, 'other metrics');
    const count = sum(await read('events'), 'count');
    for (let i = 0; i < 5; i++) await door.call('POST', `${base}/events`, { json: { name: 'x', data: 'y' } });
    await door.call('POST', `/v1/products/${other.id}/events`, { json: { name: 'x' } });
    assert.equal(sum(await read('events'), 'count'), count + 5);
    assert.equal(sum(await read('events', 'bucket_size=5m'), 'count'), count + 5);
    assert.equal((await read('events', 'bucket_size=60&start_date=' + new Date(Date.now() - 600000).toISOString())).bucket_size, 60);
    const tomorrow = new Date(Date.now() + 86400000).toISOString();
    assert.equal(sum(await read('events', `start_date=${tomorrow}&end_date=${new Date(Date.now() + 90000000).toISOString()}`), 'count'), 0);
});

test('calls are counted with their outcome, by device', async () => {
    const at = (n) => `${base}/devices/${deviceId(n)}`;
    await door.call('POST', `${at(1)}/length`, { json: { args: 'abc' } });
    await door.call('POST', `${at(1)}/length`, { json: { args: 'abc' } });
    await door.call('POST', `${at(3)}/length`, { json: { args: 'abc' } });
    await door.call('GET', `${at(1)}/word`);
    await settled('functions', 'succeeded', 2);
    await settled('functions', 'failed', 1);
    await settled('variables', 'succeeded', 1);
    await settled('functions', 'failed', 0, 'device_group=beta');
    await settled('functions', 'succeeded', 2, 'device_group=beta&bucket_size=1d');
    await settled('functions', 'succeeded', 0, 'product_fw=7');
    await settled('functions', 'succeeded', 0, 'device_os_version=6.2.0');
    assert.equal(sum(await read('integration'), 'failed'), 0);
    assert.equal(sum(await read('online'), 'online'), 0);
});

test('what webhooks did is counted by its events', async () => {
    for (const name of ['hook-sent/a', 'hook-sent/b', 'hook-error/a', 'hook-response/a/0', 'hooked']) {
        assert.equal((await door.call('POST', `${base}/events`, { json: { name } })).status, 200);
    }
    const body = await read('integration');
    assert.deepEqual([sum(body, 'succeeded'), sum(body, 'failed')], [2, 1]);
});

test('what cannot be counted is said', async () => {
    const bad = [
        ['events', 'bucket_size=0', /bucket_size/], ['events', 'bucket_size=1w', /bucket_size/], ['events', 'bucket_size=-1h', /bucket_size/],
        ['events', 'bucket_size=90s', /whole minutes/], ['functions', 'bucket_size=5m', /whole hours/], ['events', 'bucket_size=99999999999999999999', /bucket_size/],
        ['events', 'bucket_size=1m&start_date=2026-01-01&end_date=2026-02-01', /1 to 1000 buckets/],
        ['events', 'product_fw=65536', /product_fw/], ['events', 'product_fw=x', /product_fw/], ['events', 'device_os_version=twelve', /device_os_version/],
    ];
    for (const [metric, query, pattern] of bad) assertError(await door.call('GET', `${base}/metrics/${metric}?${query}`), 400, pattern);
    for (const query of ['start_date=x', 'end_date=2026-02-30', 'start_date=2026-02-02&end_date=2026-02-01', 'start_date=2026-02-02&end_date=2026-02-02']) {
        const reply = await door.call('GET', `${base}/metrics/online?${query}`);
        assert.deepEqual([reply.status, reply.body.error], [400, 'bad_request'], query);
    }
    assertError(await door.call('GET', `${base}/metrics/weather`), 404, /metric/);
    assertError(await door.call('GET', `${base}/metrics/events?device_group=nobody`), 404, /nobody/);
});
