// Diagnostics of devices: asked for, listed, as CSV, explained and summed up.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, assertError, deviceId } from './door.mjs';

let door, product, base, started;
before(async () => {
    door = await startDoor(['device_timeout=300']);
    product = await createProduct(door, 'vitals');
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { ids: [1, 3].map(deviceId) } });
    base = `/v1/products/${product.id}/diagnostics/${deviceId(1)}`;
    started = Date.now();
});
after(() => door.stop());

test('before the device said anything', async () => {
    assertError(await door.call('GET', `${base}/last`), 404, /no diagnostics yet/);
    assert.deepEqual((await door.call('GET', base)).body, { diagnostics: [] });
    const empty = (await door.call('GET', `${base}/summary`)).body.diagnostics_summary;
    assert.deepEqual([empty.count, empty.first_at, empty.values], [0, null, {}]);
    assert.equal((await door.call('POST', `/v1/products/${product.id}/diagnostics/${deviceId(3)}/update`)).status, 500);
});

test('what it sends when asked is the last, and history', async () => {
    for (let i = 0; i < 3; i++) {
        assert.deepEqual((await door.call('POST', `${base}/update`)).body, { ok: true });
    }
    const { diagnostics: last } = (await door.call('GET', `${base}/last`)).body;
    assert.equal(last.deviceID, deviceId(1));
    assert.ok(Date.parse(last.updated_at) >= started - 1000);
    assert.equal(last.payload.device.system.uptime, 60);
    assert.deepEqual(last.payload.service.device, { status: 'ok' });
    assert.equal(last.payload.device.network.signal.strength, 75);
    for (const path of [base, base.replace(/\/products\/\d+/, ''), base.replace(deviceId(1), deviceId(1).toUpperCase())]) {
        assert.equal((await door.call('GET', path)).body.diagnostics.length, 3);
    }
});

test('a span of time', async () => {
    const iso = (ms) => new Date(ms).toISOString();
    const count = async (query) => (await door.call('GET', `${base}?${query}`)).body.diagnostics.length;
    assert.equal(await count(`start_date=${iso(started - 60000)}&end_date=${iso(started + 3600000)}`), 3);
    assert.equal(await count(`end_date=${iso(started - 60000)}`), 0);
    assert.equal(await count(`start_date=${iso(started + 3600000)}`), 0);
    assert.equal(await count(`start_date=${encodeURIComponent(iso(started - 60000).replace('Z', '+00:00'))}`), 3);
    const refused = async (query) => {
        const reply = await door.call('GET', `${base}?${query}`);
        assert.equal(reply.status, 400, query);
        assert.equal(reply.body.error, 'bad_request');
        return reply.body.description;
    };
    for (const date of ['', 'invalid-date', '2026-02-30', '2026-13-01', '2026-01-01T25:00:00Z', '1700000000', '2026-01-01T00:00:00Zx', '99999999999999999999']) {
        assert.match(await refused(`end_date=${encodeURIComponent(date)}`), /must be ISO8601 formatted/);
        assert.match(await refused(`start_date=${encodeURIComponent(date)}`), /must be ISO8601 formatted/);
    }
    assert.match(await refused(`start_date=${iso(started - 40 * 86400000)}`), /must not be more than 30 days ago/);
    assert.match(await refused(`start_date=${iso(started)}&end_date=${iso(started - 1000)}`), /must not be before start_date/);
});

test('as a table', async () => {
    const reply = await door.call('GET', base, { headers: { accept: 'text/csv' } });
    assert.equal(reply.headers.get('content-type'), 'text/csv; charset=utf-8');
    const lines = reply.text.split('\r\n');
    const names = lines[0].split(',');
    assert.deepEqual(names.slice(0, 2), ['updated_at', 'deviceID']);
    assert.equal(lines.length, 5);
    assert.equal(lines[4], '');
    for (const line of lines.slice(1, 4)) {
        const cells = line.split(',');
        assert.equal(cells.length, names.length);
        assert.equal(cells[names.indexOf('device.system.uptime')], '60');
        assert.equal(cells[names.indexOf('device.network.signal.at')], 'Wi-Fi');
        assert.equal(cells[names.indexOf('device.power.source')], '');
    }
});

test('what the vitals mean, and how they went', async () => {
    const { diagnostics_metadata: meta } = (await door.call('GET', `${base}/metadata`)).body;
    assert.equal(meta.device.power.battery.charge.type, 'number');
    assert.equal(meta.device.power.battery.charge.units.title, '%');
    assert.equal(meta.device.network.signal.at.type, 'string');
    const { diagnostics_summary: sum } = (await door.call('GET', `${base}/summary`)).body;
    assert.equal(sum.count, 3);
    assert.deepEqual(sum.values['device.system.uptime'], { count: 3, min: 60, max: 60, mean: 60, last: 60 });
    assert.ok(!('device.network.signal.at' in sum.values));
});
