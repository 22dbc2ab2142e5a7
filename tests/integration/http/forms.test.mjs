// Forms as the HTTP libraries of scripts write them: lists, objects, booleans and files in each of
// their spellings. What is misread here is released to the wrong devices.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, upload, module, assertError, deviceId, BORON } from './door.mjs';

let door, product, P;
const device = deviceId(0x701);
before(async () => {
    door = await startDoor();
    product = await createProduct(door, 'forms');
    P = `/v1/products/${product.id}`;
    await upload(door, product, 1);
    await door.call('POST', `${P}/devices`, { json: { id: device } });
    for (const name of ['a', 'b']) await door.call('POST', `${P}/groups`, { json: { name } });
});
after(() => door.stop());

const form = (text) => ({ body: text, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
const multipart = (...parts) => ({
    headers: { 'content-type': 'multipart/form-data; boundary=BB' },
    body: Buffer.concat([...parts.flatMap(([head, bytes]) => [
        Buffer.from(`--BB\r\nContent-Disposition: form-data; ${head}\r\n\r\n`), Buffer.from(bytes), Buffer.from('\r\n')]),
    Buffer.from('--BB--\r\n')]),
});

test('a list of groups is one in each of its spellings', async () => {
    for (const groups of ['groups[]=a&groups[]=b', 'groups[0]=a&groups[1]=b', 'groups%5B0%5D=a&groups%5B1%5D=b', 'groups=a,b', 'groups=a%2Cb']) {
        const reply = await door.call('PUT', `${P}/firmware/release`, form(`version=1&${groups}`));
        assert.equal(reply.status, 200, `${groups}: ${reply.text}`);
        assert.deepEqual(reply.body.groups, ['a', 'b'], groups);
        assert.equal(reply.body.product_default, false, `${groups} is not the whole product`);
        const edited = await door.call('PUT', `${P}/devices/${device}`, form(groups));
        assert.deepEqual(edited.body.groups, ['a', 'b'], groups);
        for (const none of ['groups=', 'groups[]=', 'groups[0]=']) {
            const cleared = await door.call('PUT', `${P}/firmware/release`, form(`version=1&${none}`));
            assert.equal(cleared.status, 200, `${none}: ${cleared.text}`);
            assert.deepEqual(cleared.body.groups, [], none);
            assert.equal(cleared.body.product_default, false, none);
            assert.deepEqual((await door.call('PUT', `${P}/devices/${device}`, form(none))).body.groups, [], none);
        }
    }
});

test('what is no list of groups releases nothing', async () => {
    const before = (await door.call('GET', `${P}/releases`)).text;
    for (const groups of ['groups[x]=a', 'groups[]=a&groups=b', 'groups=a&groups=b', 'groups=a&groups[]=b', 'groups[0][]=a', 'groups[]=a&groups[]=']) {
        const reply = await door.call('PUT', `${P}/firmware/release`, form(`version=1&${groups}`));
        assertError(reply, 400, /^groups: /);
    }
    assertError(await door.call('PUT', `${P}/firmware/release`, form('version[]=1')), 400, /^version: must be an integer/);
    assertError(await door.call('PUT', `${P}/firmware/release`, form('version=1&a[b][c][d][e]=x&version[a]=1')), 400, /^version: /);
    assert.equal((await door.call('GET', `${P}/releases`)).text, before);
});

test('objects come in forms too', async () => {
    const made = await door.call('POST', '/v1/products', form('product[name]=Nested&product[platform_id]=13&product[settings][quarantine]=false'));
    assert.equal(made.status, 201, made.text);
    assert.equal(made.body.product.name, 'Nested');
    assert.equal(made.body.product.settings.quarantine, false);
    const batch = await door.call('PUT', `${P}/devices`, form(`action=groups&devices[]=${device}&metadata[add][]=a&metadata[add][]=c`));
    assert.equal(batch.status, 200, batch.text);
    assert.deepEqual((await door.call('GET', `/v1/devices/${device}`)).body.groups, ['a', 'c']);
    const hook = await door.call('POST', `${P}/webhooks`, form('event=e&url=http://127.0.0.1:9/&json=true&headers[Accept]=text/plain'));
    assert.equal(hook.status, 201, hook.text);
    assert.equal(hook.body.json, true);
    assert.deepEqual(hook.body.headers, { Accept: 'text/plain' });
});

test('booleans as languages print them', async () => {
    for (const [text, value] of [['true', true], ['True', true], ['TRUE', true], ['1', true], ['false', false], ['False', false], ['0', false]]) {
        const reply = await door.call('PUT', `${P}/devices/${device}`, form(`development=${text}`));
        assert.equal(reply.body?.development, value, `${text}: ${reply.text}`);
        assert.equal((await door.call('GET', `${P}/devices?quarantined=${text}`)).status, 200, text);
    }
    for (const text of ['', 'yes', 'tru', 'truee', '2']) {
        assertError(await door.call('PUT', `${P}/devices/${device}`, form(`development=${text}`)), 400, /^development/);
    }
    assertError(await door.call('PUT', `${P}/devices/${device}`, { json: { development: 'true' } }), 400, /^development/);
});

test('a file without a name of its own is a file', async () => {
    const ids = [deviceId(0x711), deviceId(0x712)];
    const imported = await door.call('POST', `${P}/devices`, multipart(['name="file"', `${ids[0]}\r\n${ids[1]}\n`]));
    assert.equal(imported.status, 200, imported.text);
    assert.deepEqual(imported.body.updatedDeviceIds, ids);
    for (const [version, head] of [[2, 'name="file"'], [3, 'name="binary"'], [4, 'name="file"; filename=""']]) {
        const reply = await door.call('POST', `${P}/firmware`, multipart(['name="version"', String(version)], ['name="title"', 't'],
            [head, module(BORON, product.id, version)]));
        assert.equal(reply.status, 201, reply.text);
    }
    // Nor do all write names in quotes.
    const bare = await door.call('POST', `${P}/firmware`, multipart(['name=version', '6'], ['name=title', 't'],
        ['name=file; filename=six.bin', module(BORON, product.id, 6)]));
    assert.equal(bare.status, 201, bare.text);
    assert.equal(bare.body.name, 'six.bin');
    // Where no file is taken it is a field like others.
    assert.equal((await door.call('POST', `${P}/groups`, multipart(['name="name"', 'plain'], ['name="file"', 'x']))).status, 201);
    assertError(await door.call('POST', `${P}/devices`, multipart(['name="file"', ''])), 400, /^id: is required/);
    const two = multipart(['name="version"', '5'], ['name="title"', 't'], ['name="file"', module(BORON, product.id, 5)], ['name="binary"', 'x']);
    assertError(await door.call('POST', `${P}/firmware`, two), 400, /more than one file/);
});
