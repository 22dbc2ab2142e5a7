// Whatever is wrong with a request, the answer is JSON of 4xx that names the field, and nothing has
// changed.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, upload, uploadForm, module, assertError, deviceId, BORON } from './door.mjs';

let door, product, device;
before(async () => {
    door = await startDoor(['upload=300000', 'body=65536']);
    product = await createProduct(door, 'bad input');
    await upload(door, product, 1);
    device = deviceId(0x501);
    await door.call('POST', `/v1/products/${product.id}/devices`, { json: { id: device } });
    await door.call('POST', `/v1/products/${product.id}/groups`, { json: { name: 'g' } });
});
after(() => door.stop());

// Everything that the bad requests could have changed.
async function state() {
    const parts = [];
    for (const path of ['/v1/products', `/v1/products/${product.id}/firmware`, `/v1/products/${product.id}/groups`,
        `/v1/products/${product.id}/devices`, `/v1/devices/${device}`, `/v1/products/${product.id}/team`,
        `/v1/products/${product.id}/releases`]) {
        const reply = await door.call('GET', path);
        assert.equal(reply.status, 200, path);
        parts.push(reply.text);
    }
    return parts.join('\n');
}

const P = () => `/v1/products/${product.id}`;
const D = () => `${P()}/devices/${device}`;

const cases = () => [
    // method, path, JSON, status, what the description says
    ['POST', '/v1/products', {}, 400, /^name: is required/],
    ['POST', '/v1/products', { product: [] }, 400, /^product: must be an object/],
    ['POST', '/v1/products', { product: { name: '', platform_id: 13 } }, 400, /^name: must not be empty/],
    ['POST', '/v1/products', { product: { name: 7, platform_id: 13 } }, 400, /^name: must be text/],
    ['POST', '/v1/products', { product: { name: 'x'.repeat(500), platform_id: 13 } }, 400, /^name: must be at most/],
    ['POST', '/v1/products', { product: { name: 'a\u0000b', platform_id: 13 } }, 400, /./],
    ['POST', '/v1/products', { product: { name: 'ok' } }, 400, /^platform_id: is required/],
    ['POST', '/v1/products', { product: { name: 'ok', platform_id: '13' } }, 400, /^platform_id: must be an integer/],
    ['POST', '/v1/products', { product: { name: 'ok', platform_id: 2 ** 31 } }, 400, /^platform_id/],
    ['POST', '/v1/products', { product: { name: 'ok', platform_id: 60000 } }, 400, /platform/],
    ['POST', '/v1/products', { product: { nmae: 'ok', platform_id: 13 } }, 400, /name: is required/],
    ['POST', '/v1/products', { product: { name: 'ok', platform_id: 13, descripton: 'x' } }, 400, /^descripton: .*description/],
    ['POST', '/v1/products', { product: { name: 'ok', platform_id: 13, settings: { quarantine: 'yes' } } }, 400, /^quarantine/],
    ['PUT', `${P()}/firmware/release`, {}, 400, /^version: is required/],
    ['PUT', `${P()}/firmware/release`, { version: null }, 400, /^version/],
    ['PUT', `${P()}/firmware/release`, { version: 0 }, 400, /^version/],
    ['PUT', `${P()}/firmware/release`, { version: 65535 }, 400, /^version/],
    ['PUT', `${P()}/firmware/release`, { version: 2 ** 53 }, 400, /^version/],
    ['PUT', `${P()}/firmware/release`, { version: 1.5 }, 400, /^version/],
    ['PUT', `${P()}/firmware/release`, { version: [1] }, 400, /^version/],
    ['PUT', `${P()}/firmware/release`, { version: 9 }, 404, /./],
    ['PUT', `${P()}/firmware/release`, { version: 1, product_default: 'maybe' }, 400, /^product_default/],
    ['PUT', `${P()}/firmware/release`, { version: 1, productdefault: true }, 400, /^productdefault: .*product_default/],
    ['PUT', `${P()}/firmware/release`, { version: 1, groups: 'g' }, 400, /^groups/],
    ['PUT', `${P()}/firmware/release`, { version: 1, groups: [5] }, 400, /^groups/],
    ['PUT', `${P()}/firmware/release`, { version: 1, groups: null }, 400, /^groups: must not be null/],
    ['PUT', `${P()}/firmware/release`, { version: 1, product_default: null }, 400, /^product_default: must not be null/],
    ['PUT', `${P()}/firmware/release`, { version: 1, groups: ['none-such'] }, 404, /./],
    ['PUT', `${P()}/firmware/1`, { title: '' }, 400, /^title/],
    ['PUT', `${P()}/firmware/1`, { mandatory: 3 }, 400, /^mandatory/],
    ['PUT', `${P()}/firmware/1`, {}, 400, /changes nothing: see title, description, mandatory/],
    ['PUT', `${P()}/firmware/1`, { title: null, version: 2 }, 400, /changes nothing/],
    ['PUT', `${P()}/firmware/1`, { titel: 'x' }, 400, /did you mean title/],
    ['PUT', P(), {}, 400, /changes nothing/],
    ['PUT', P(), { settings: { location: {} } }, 400, /changes nothing/],
    ['PUT', P(), { settings: { quarantin: true } }, 400, /did you mean quarantine/],
    ['PUT', `${P()}/groups/g`, {}, 400, /changes nothing/],
    ['PUT', `${P()}/firmware/9`, { title: 'x' }, 404, /./],
    ['PUT', `${P()}/firmware/x`, { title: 'x' }, 404, /./],
    ['PUT', `${P()}/firmware/2147483648`, { title: 'x' }, 404, /./],
    ['DELETE', `${P()}/firmware/9`, undefined, 404, /./],
    ['GET', `${P()}/firmware/65535/binary`, undefined, 404, /./],
    ['GET', `${P()}/firmware/9223372036854775808`, undefined, 404, /./],
    ['POST', `${P()}/groups`, {}, 400, /^name: is required/],
    ['POST', `${P()}/groups`, { name: 'Upper' }, 400, /^name/],
    ['POST', `${P()}/groups`, { name: 'a b' }, 400, /^name/],
    ['POST', `${P()}/groups`, { name: '../x' }, 400, /^name/],
    ['POST', `${P()}/groups`, { name: 'x'.repeat(65) }, 400, /^name/],
    ['POST', `${P()}/groups`, { name: 'h', color: 'red' }, 400, /^color: must be like #34495e/],
    ['POST', `${P()}/groups`, { name: 'h', color: '#zzzzzz' }, 400, /^color: must be like/],
    ['POST', `${P()}/groups`, { name: 'g' }, 400, /already exists/],
    ['GET', `${P()}/groups/none`, undefined, 404, /./],
    ['GET', `${P()}/devices?groups=%ff`, undefined, 400, /^groups: must be UTF-8/],
    ['GET', `${P()}/devices?deviceName=a%00b`, undefined, 400, /^deviceName: must be UTF-8/],
    ['GET', `${P()}/devices?%ff=1`, undefined, 400, /UTF-8/],
    ['GET', `${P()}/groups/..%2F..%2Fetc`, undefined, 404, /./],
    ['POST', `${P()}/devices`, {}, 400, /^id: is required/],
    ['POST', `${P()}/devices`, { id: 5 }, 400, /^id/],
    ['POST', `${P()}/devices`, { ids: 'x' }, 400, /^ids/],
    ['POST', `${P()}/devices`, { ids: [null] }, 400, /^ids/],
    ['PUT', D(), {}, 400, /changes nothing/],
    ['PUT', D(), { name: null }, 400, /./],
    ['PUT', D(), { name: 'x'.repeat(300) }, 400, /^name/],
    ['PUT', D(), { desired_firmware_version: 9 }, 404, /./],
    ['PUT', D(), { desired_firmware_version: 0 }, 400, /^desired_firmware_version/],
    ['PUT', D(), { desired_firmware_version: true }, 400, /^desired_firmware_version/],
    ['PUT', D(), { desired_firmware_vesion: 1 }, 400, /did you mean desired_firmware_version/],
    ['PUT', D(), { development: 'yes' }, 400, /^development/],
    ['PUT', D(), { groups: ['Bad Name'] }, 400, /^groups/],
    ['PUT', D(), { flash: true }, 400, /^flash/],
    ['PUT', D(), { signal: 'red' }, 400, /^signal/],
    ['PUT', `${P()}/devices/${deviceId(0x999)}`, { name: 'x' }, 403, /./],
    ['GET', `${P()}/devices/nonsense`, undefined, 403, /./],
    ['GET', `/v1/devices/${deviceId(0x999)}`, undefined, 403, /./],
    ['PUT', `${P()}/devices`, { action: 'fly', devices: [device], metadata: {} }, 400, /^action/],
    ['PUT', `${P()}/devices`, { action: 'groups', devices: ['zz'], metadata: { add: ['g'] } }, 400, /^devices/],
    ['PUT', `${P()}/devices`, { action: 'groups', devices: [device] }, 400, /^metadata/],
    ['PUT', `${P()}/devices`, { action: 'groups', devices: [device], metadata: { ad: ['g'] } }, 400, /changes nothing: see add, remove/],
    ['PUT', `${P()}/devices`, { action: 'groups', devices: [device, deviceId(0x998)], metadata: { add: ['g'] } }, 404, new RegExp(`^devices: ${deviceId(0x998)}`)],
    ['GET', `${P()}/devices?page=0`, undefined, 400, /^page/],
    ['GET', `${P()}/devices?page=x`, undefined, 400, /^page/],
    ['GET', `${P()}/devices?per_page=1001`, undefined, 400, /^per_page/],
    ['GET', `${P()}/devices?sortAttr=colour`, undefined, 400, /^sortAttr/],
    ['GET', `${P()}/devices?sortDir=up`, undefined, 400, /^sortDir/],
    ['GET', `${P()}/devices?quarantined=perhaps`, undefined, 400, /^quarantined/],
    ['GET', `${P()}/devices?after=xyz`, undefined, 400, /^after/],
    ['GET', `${P()}/devices?deviceNme=x`, undefined, 400, /^deviceNme: .*did you mean deviceName/],
    ['GET', `${P()}/devices?group=g`, undefined, 400, /did you mean groups/],
    ['GET', `${P()}/impact?firmware_version=1&product_defualt=false`, undefined, 400, /did you mean product_default/],
    ['GET', `${P()}/impact?action=other`, undefined, 400, /^action/],
    ['GET', `${P()}/impact?action=edit_groups_for_firmware`, undefined, 400, /^firmware_version/],
    ['GET', `${P()}/updates?device=zz`, undefined, 400, /^device: is not a device id/],
    ['GET', `${P()}/updates?deviceId=zz`, undefined, 400, /^deviceId: is not a device id/],
    ['GET', `${P()}/updates?state=asleep`, undefined, 400, /^state: must be one of planned, .*superseded$/],
    ['GET', '/v1/products/none-such', undefined, 404, /Product not found/],
    ['GET', '/v1/products/99999', undefined, 404, /Product not found/],
    ['DELETE', `${P()}/team/admin`, undefined, 400, /^username: the administrator/],
    ['DELETE', `${P()}/team/nobody`, undefined, 404, /User not found/],
    ['PUT', `${P()}/team/admin`, { scopes: [] }, 404, /User not found/],
    ['PUT', `${P()}/team/admin/token`, undefined, 404, /User not found/],
    ['DELETE', `${P()}/updates/77`, undefined, 404, /./],
    ['POST', `${P()}/team`, { friendly_name: 'x' }, 400, /^scopes/],
    ['POST', `${P()}/team`, { friendly_name: 'x', scopes: ['firmware:fly'] }, 400, /scope/],
    ['POST', `${P()}/events`, { data: 'x' }, 400, /^name/],
    ['POST', `${P()}/events`, { name: 'x'.repeat(65) }, 400, /^name/],
    ['POST', `${P()}/events`, { name: 'n', data: { a: 1 } }, 400, /^data/],
    ['POST', '/v1/provisioning/xyz', { publicKey: 'x' }, 403, /./],
    ['POST', `/v1/provisioning/${device}`, { publicKey: 'x' }, 400, /^publicKey/],
    ['GET', '/v1/nowhere', undefined, 404, /./],
    ['GET', '/', undefined, 404, /./],
    ['POST', `${P()}/firmware/1`, {}, 405, /Allowed/],
    ['GET', '/v1/%zz', undefined, 400, /./],
    ['GET', '/v1/events/a%00b', undefined, 400, /./],
    ['GET', '/v1/events/%ff', undefined, 400, /UTF-8/],
    ['GET', `${P()}/groups/%c3%28`, undefined, 400, /UTF-8/],
    ['DELETE', `${D()}?deny=perhaps`, undefined, 400, /^deny/],
];

test('requests that are wrong change nothing', async () => {
    const before = await state();
    for (const [method, path, json, status, says] of cases()) {
        const reply = await door.call(method, path, { json });
        const what = `${method} ${path} ${JSON.stringify(json)}: ${reply.text}`;
        assert.equal(reply.status, status, what);
        const text = reply.body?.error_description ?? reply.body?.error ?? '';
        assert.match(text, says, what);
    }
    assert.equal(await state(), before);
});

test('JSON that is declared as a form is told from a form', async () => {
    for (const body of ['{"name":"x","platform_id":13}', '[1]']) {
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        assertError(await door.call('POST', '/v1/products', { body, headers }), 400, /looks like JSON.*application\/json/);
    }
});

test('bodies that cannot be read change nothing', async () => {
    const before = await state();
    const json = { 'content-type': 'application/json' };
    const cases = [
        ['{', json, 400], ['[]', json, 400], ['7', json, 400], ['"x"', json, 400], ['{"a":1,"a":2}', json, 400],
        ['{"name":"\xff"}', json, 400], [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), json, 400],
        ['{"name":"x"} trailing', json, 400], ['{"name":1e999}', json, 400], ['{"name":99999999999999999999}', json, 400],
        ['['.repeat(30000), json, 400],
        ['name=x', { 'content-type': 'text/plain' }, 415], ['<a/>', { 'content-type': 'application/xml' }, 415],
        ['x', { 'content-type': 'application/json', 'content-encoding': 'gzip' }, 415],
        ['name=a&name=b', { 'content-type': 'application/x-www-form-urlencoded' }, 400],
        ['name=%ff%fe', { 'content-type': 'application/x-www-form-urlencoded' }, 400],
        ['name=a%00b', { 'content-type': 'application/x-www-form-urlencoded' }, 400],
        [`name=${'x'.repeat(100000)}`, { 'content-type': 'application/x-www-form-urlencoded' }, 413],
        [JSON.stringify({ name: 'x'.repeat(100000) }), json, 413],
        ['x', { 'content-type': 'multipart/form-data' }, 400],
        ['x', { 'content-type': 'multipart/form-data; boundary=B' }, 400],
    ];
    for (const [body, headers, status] of cases) {
        const reply = await door.call('POST', `${P()}/groups`, { body, headers });
        assertError(reply, status);
    }
    assert.equal(await state(), before);
});

test('uploads that are wrong change nothing', async () => {
    const before = await state();
    const good = module(BORON, product.id, 2);
    const flipped = Buffer.from(good);
    flipped[100] ^= 1;
    const cases = [
        [uploadForm(good, { title: 't' }), 400, /^version: is required/],
        [uploadForm(good, { version: 2 }), 400, /^title: is required/],
        [uploadForm(null, { version: 2, title: 't' }), 400, /^file: is required/],
        [uploadForm(good, { version: 'two', title: 't' }), 400, /^version/],
        [uploadForm(good, { version: 0, title: 't' }), 400, /^version/],
        [uploadForm(good, { version: 65535, title: 't' }), 400, /^version/],
        [uploadForm(good, { version: 3, title: 't' }), 400, /version/],
        [uploadForm(module(BORON, product.id, 1), { version: 1, title: 't' }), 400, /Firmware version already exists/],
        [uploadForm(module(12, product.id, 2), { version: 2, title: 't' }), 400, /platform/],
        [uploadForm(module(BORON, product.id + 1, 2), { version: 2, title: 't' }), 400, /product/],
        [uploadForm(flipped, { version: 2, title: 't' }), 400, /./],
        [uploadForm(good.subarray(0, 1000), { version: 2, title: 't' }), 400, /./],
        [uploadForm(Buffer.alloc(0), { version: 2, title: 't' }), 400, /^file: is empty/],
        [uploadForm('text', { version: 2, title: 't' }), 400, /./],
        [uploadForm(module(BORON, product.id, 2, 310000), { version: 2, title: 't' }), 413, /300000/],
        [uploadForm(good, { version: 2, title: 't', tilte: 'u' }), 400, /did you mean title/],
    ];
    const twoFiles = uploadForm(good, { version: 2, title: 't' });
    twoFiles.append('binary', new Blob([good]), 'b.bin');
    cases.push([twoFiles, 400, /more than one file/]);
    const twoVersions = uploadForm(good, { version: 2, title: 't' });
    twoVersions.append('version', '3');
    cases.push([twoVersions, 400, /^version: is given twice/]);
    for (const [form, status, says] of cases) {
        assertError(await door.call('POST', `${P()}/firmware`, { form }), status, says);
    }
    // Cut off before the closing boundary, at every interesting place.
    const whole = Buffer.concat([
        Buffer.from('--BB\r\nContent-Disposition: form-data; name="version"\r\n\r\n2\r\n--BB\r\n' +
            'Content-Disposition: form-data; name="title"\r\n\r\nt\r\n--BB\r\n' +
            'Content-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n'),
        good, Buffer.from('\r\n--BB--\r\n')]);
    const headers = { 'content-type': 'multipart/form-data; boundary=BB' };
    for (const cut of [1, 4, 30, 60, 100, 300, whole.length - 2000, whole.length - 9, whole.length - 7, whole.length - 5, whole.length - 4]) {
        const reply = await door.call('POST', `${P()}/firmware`, { body: whole.subarray(0, cut), headers });
        assert.equal(reply.status, 400, `cut at ${cut} of ${whole.length}: ${reply.text}`);
    }
    assert.equal(await state(), before);
    const reply = await door.call('POST', `${P()}/firmware`, { body: whole, headers });
    assert.equal(reply.status, 201, reply.text);
});
