// Pre-shared keys of devices: set, replaced and removed, and never told again.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startDoor, createProduct, assertError, deviceId } from './door.mjs';

let door, product, other;
const device = deviceId(0x701);
const stranger = deviceId(0x702);
const path = (id = device, at = product) => `/v1/products/${at.id}/devices/${id}/psk`;
const secret = '00112233445566778899aabbccddeeff';

before(async () => {
    door = await startDoor();
    product = await createProduct(door, 'buoys');
    other = await createProduct(door, 'others');
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { id: device } });
});
after(() => door.stop());

test('a key that is given is not told again', async () => {
    const set = await door.call('PUT', path(), { json: { psk: secret } });
    assert.equal(set.status, 200, set.text);
    assert.deepEqual(set.body, { ok: true, id: device, identity: device });
    assert.equal(set.headers.get('cache-control'), 'no-store');
    const form = await door.call('PUT', path(), { form: { psk: secret.toUpperCase() } });
    assert.equal(form.status, 200, form.text);
    const shown = await door.call('GET', `/v1/products/${product.id}/devices/${device}`);
    assert.doesNotMatch(shown.text, new RegExp(secret, 'i'));
});

test('a key is made where none is given, another one each time', async () => {
    const first = await door.call('PUT', path());
    const second = await door.call('PUT', path(), { json: {} });
    assert.match(first.body.psk, /^[0-9a-f]{64}$/);
    assert.match(second.body.psk, /^[0-9a-f]{64}$/);
    assert.notEqual(first.body.psk, second.body.psk);
});

test('what is stored is sealed', async () => {
    assert.equal((await door.call('PUT', path(), { json: { psk: secret } })).status, 200);
    const bytes = Buffer.concat(readdirSync(door.folder).filter((name) => name.includes('.db') || name.includes('-wal'))
        .map((name) => readFileSync(join(door.folder, name))));
    assert.ok(bytes.includes(Buffer.from(device, 'hex')), 'the device is in the file');
    assert.ok(!bytes.includes(Buffer.from(secret, 'hex')), 'its key is not');
    assert.ok(!bytes.includes(Buffer.from(secret)), 'nor as text');
});

test('keys of other lengths and alphabets are refused', async () => {
    for (const psk of ['00'.repeat(15), '00'.repeat(65), `${secret}0`, 'g'.repeat(32), '', 7, null]) {
        const reply = await door.call('PUT', path(), { json: { psk } });
        if (psk === null) assert.equal(reply.status, 200, 'null is none');
        else assertError(reply, 400, /psk/);
    }
    for (const psk of ['ab'.repeat(16), 'ab'.repeat(64)]) {
        assert.equal((await door.call('PUT', path(), { json: { psk } })).status, 200);
    }
});

test('only devices of the product have keys', async () => {
    assertError(await door.call('PUT', path(stranger), { json: { psk: secret } }), 403);
    assertError(await door.call('PUT', path(device, other), { json: { psk: secret } }), 403);
    assertError(await door.call('DELETE', path(stranger)), 403);
});

test('a key can be removed once, and goes with its device', async () => {
    await door.call('PUT', path(), { json: { psk: secret } });
    assert.deepEqual((await door.call('DELETE', path())).body, { ok: true });
    assertError(await door.call('DELETE', path()), 404, /no pre-shared key/);
    await door.call('PUT', path(), { json: { psk: secret } });
    await door.call('DELETE', `/v1/products/${product.id}/devices/${device}`);
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { id: device } });
    assertError(await door.call('DELETE', path()), 404, /no pre-shared key/);
});
