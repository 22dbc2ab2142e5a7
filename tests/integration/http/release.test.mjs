// The release workflow as a user drives it: products, firmware, groups, devices, releases, and what
// the precedence rules make of them.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startDoor, createProduct, upload, uploadForm, module, assertError, deviceId, BORON } from './door.mjs';

let door;
before(async () => { door = await startDoor(); });
after(() => door.stop());

const decision = async (product, id) => {
    const reply = await door.call('GET', `/v1/products/${product.id}/devices/${id}/decision`);
    assert.equal(reply.status, 200, reply.text);
    return reply.body;
};
const put = (product, id, json) => door.call('PUT', `/v1/products/${product.id}/devices/${id}`, { json });
const release = (product, json) => door.call('PUT', `/v1/products/${product.id}/firmware/release`, { json });
const importIds = async (product, ids) => {
    const reply = await door.call('POST', `/v1/products/${product.id}/devices`, { json: { ids } });
    assert.equal(reply.status, 200, reply.text);
    return reply.body;
};

test('health needs no token', async () => {
    const reply = await door.call('GET', '/health', { token: null });
    assert.equal(reply.status, 200);
    assert.equal(reply.body.ok, true);
});

test('products: create, get by id and slug, list, edit', async () => {
    const product = await createProduct(door, 'My First Product', { description: 'words' });
    assert.ok(product.id > 100 && product.id < 65535);
    assert.equal(product.slug, 'my-first-product');
    assert.equal(product.platform_id, BORON);
    assert.equal(product.settings.quarantine, true);
    assert.deepEqual(product.groups, []);
    for (const key of [product.id, product.slug]) {
        const reply = await door.call('GET', `/v1/products/${key}`);
        assert.equal(reply.status, 200);
        assert.equal(reply.body.product.id, product.id);
        assert.equal(reply.body.product.description, 'words');
    }
    for (const path of ['/v1/products', '/v1/user/products', '/v1/products/']) {
        const reply = await door.call('GET', path);
        assert.ok(reply.body.products.some((p) => p.id === product.id), path);
    }
    const edit = await door.call('PUT', `/v1/products/${product.id}`, {
        json: { product: { description: 'other', settings: { quarantine: false, require_tested_firmware: 'enforce' } } },
    });
    assert.equal(edit.status, 200, edit.text);
    assert.equal(edit.body.product.description, 'other');
    assert.equal(edit.body.product.settings.quarantine, false);
    assert.equal(edit.body.product.settings.require_tested_firmware, 'enforce');
    assert.equal(edit.body.product.name, 'My First Product');
});

test('firmware: upload, list, get, binary, edit, delete', async () => {
    const product = await createProduct(door, 'firmware');
    const bytes = module(BORON, product.id, 1);
    const made = await door.call('POST', `/v1/products/${product.id}/firmware`, {
        form: uploadForm(bytes, { version: 1, title: 'one', description: 'first' }, 'file', 'some/dir\\fw.bin'),
    });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.body.version, 1);
    assert.equal(made.body.title, 'one');
    assert.equal(made.body.description, 'first');
    assert.equal(made.body.name, 'fw.bin');
    assert.equal(made.body.size, bytes.length);
    assert.equal(made.body.product_id, product.id);
    assert.equal(made.body.uploaded_by.username, 'admin');
    assert.match(made.body._id, /^[0-9a-f]{24}$/);
    assert.equal(made.body.product_default, false);
    assert.deepEqual(made.body.groups, []);
    assert.match(made.body.uploaded_on, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

    // The upload action names its part otherwise and sends an empty description.
    const action = await door.call('POST', `/v1/products/${product.id}/firmware`, {
        form: uploadForm(module(BORON, BORON, 2), { version: 2, title: 'two', description: '' }, 'binary'),
    });
    assert.equal(action.status, 201, action.text);

    const list = await door.call('GET', `/v1/products/${product.id}/firmware`);
    assert.deepEqual(list.body.map((f) => f.version), [2, 1]);
    const one = await door.call('GET', `/v1/products/${product.slug}/firmware/1`);
    assert.equal(one.body.title, 'one');
    const binary = await door.call('GET', `/v1/products/${product.id}/firmware/1/binary`);
    assert.equal(binary.headers.get('content-type'), 'application/octet-stream');
    assert.ok(binary.bytes.equals(bytes), 'the same bytes come back');

    const edit = await door.call('PUT', `/v1/products/${product.id}/firmware/1`, { form: { title: 'uno', mandatory: 'true' } });
    assert.equal(edit.status, 200, edit.text);
    assert.equal(edit.body.title, 'uno');
    assert.equal(edit.body.description, 'first');
    assert.equal(edit.body.mandatory, true);

    const gone = await door.call('DELETE', `/v1/products/${product.id}/firmware/2`);
    assert.equal(gone.status, 204);
    assert.equal(gone.text, '');
    assertError(await door.call('GET', `/v1/products/${product.id}/firmware/2`), 404);
});

test('groups: create, list, get, rename, delete', async () => {
    const product = await createProduct(door, 'groups');
    const base = `/v1/products/${product.id}/groups`;
    const made = await door.call('POST', base, { json: { name: 'beta', description: 'd', color: '#34495e' } });
    assert.equal(made.status, 201, made.text);
    assert.deepEqual(
        { name: made.body.group.name, color: made.body.group.color, fw_version: made.body.group.fw_version, n: made.body.group.device_count },
        { name: 'beta', color: '#34495e', fw_version: null, n: 0 });
    const twice = await door.call('POST', base, { json: { name: 'beta' } });
    assert.equal(twice.status, 400);
    assert.match(twice.body.error, /already exists/);
    const renamed = await door.call('PUT', `${base}/beta`, { json: { name: 'field' } });
    assert.equal(renamed.status, 200, renamed.text);
    assert.equal(renamed.body.group.name, 'field');
    assertError(await door.call('GET', `${base}/beta`), 404);
    assert.equal((await door.call('GET', `${base}/field`)).body.group.description, 'd');
    assert.equal((await door.call('GET', `${base}?name=ie`)).body.groups.length, 1);
    assert.equal((await door.call('GET', `${base}?name=zz`)).body.groups.length, 0);
    assert.equal((await door.call('DELETE', `${base}/field`)).status, 204);
    assertError(await door.call('DELETE', `${base}/field`), 404);
});

test('devices: import in each form, list, get', async () => {
    const product = await createProduct(door, 'devices');
    const base = `/v1/products/${product.id}/devices`;
    const one = await door.call('POST', base, { json: { id: 'ABCDEF000000000000000001' } });
    assert.deepEqual(one.body, {
        updated: 1, updatedDeviceIds: ['abcdef000000000000000001'], existingDeviceIds: [],
        nonmemberDeviceIds: [], invalidDeviceIds: [], protectedDeviceIds: [],
    });
    const again = await door.call('POST', base, { form: { id: 'abcdef000000000000000001' } });
    assert.equal(again.body.updated, 0);
    assert.deepEqual(again.body.existingDeviceIds, ['abcdef000000000000000001']);
    const file = uploadForm(`${deviceId(16)}\r\n${deviceId(17).toUpperCase()}\n\nnonsense\n`, {}, 'file', 'file');
    const many = await door.call('POST', base, { form: file });
    assert.equal(many.status, 200, many.text);
    assert.deepEqual(many.body.updatedDeviceIds.sort(), [deviceId(16), deviceId(17)]);
    assert.deepEqual(many.body.invalidDeviceIds, ['nonsense']);
    const marked = await door.call('POST', base, { form: uploadForm(`\ufeff${deviceId(16)}\r\n`, {}) });
    assert.deepEqual(marked.body.existingDeviceIds, [deviceId(16)], 'a byte order mark is no part of an id');

    const list = await door.call('GET', `${base}?sortAttr=deviceId&sortDir=asc&page=1&per_page=2`);
    assert.equal(list.status, 200, list.text);
    assert.deepEqual(list.body.devices.map((d) => d.id), [deviceId(16), deviceId(17)]);
    assert.deepEqual(list.body.meta, { total_pages: 2, total_records: 3 });
    assert.deepEqual(list.body.customers, []);
    const second = await door.call('GET', `${base}?sortAttr=deviceId&sortDir=asc&page=2&perPage=2`);
    assert.deepEqual(second.body.devices.map((d) => d.id), ['abcdef000000000000000001']);
    const after = await door.call('GET', `${base}?after=${deviceId(16)}&per_page=1`);
    assert.deepEqual(after.body.devices.map((d) => d.id), [deviceId(17)]);
    assert.equal(after.body.meta.next_after, deviceId(17));
    assert.equal((await door.call('GET', `${base}?deviceId=abcdef`)).body.devices.length, 1);
    for (const [id, group] of [[16, 'here'], [17, 'there']]) await put(product, deviceId(id), { groups: [group] });
    for (const query of ['groups=here,there', 'groups=here%2Cthere', 'groups[]=here&groups[]=there', 'groups=here&groups=there', 'groups=,here,,there']) {
        assert.equal((await door.call('GET', `${base}?${query}`)).body.devices.length, 2, query);
    }
    assert.equal((await door.call('GET', `${base}?groups[]=here`)).body.devices.length, 1);

    const device = (await door.call('GET', `${base}/ABCDEF000000000000000001`)).body;
    for (const key of ['id', 'name', 'online', 'connected', 'groups', 'development', 'desired_firmware_version',
        'targeted_firmware_release_version', 'firmware_version', 'product_id', 'platform_id', 'functions',
        'variables', 'firmware_updates_enabled', 'firmware_updates_forced', 'quarantined', 'denied']) {
        assert.ok(key in device, key);
    }
    assert.equal(device.product_id, product.id);
    const plain = (await door.call('GET', '/v1/devices/abcdef000000000000000001')).body;
    assert.equal(plain.id, 'abcdef000000000000000001');
    assert.ok((await door.call('GET', '/v1/devices')).body.some((d) => d.id === plain.id));
});

test('devices in quarantine are filtered and paged like others', async () => {
    const product = await createProduct(door, 'waiting room');
    const P = `/v1/products/${product.id}`;
    const ids = Array.from({ length: 7 }, (_, i) => deviceId(0xab00 + i));
    await importIds(product, ids);
    for (const id of ids.slice(1)) assert.equal((await door.call('DELETE', `${P}/devices/${id}`, { json: { deny: true } })).status, 204);
    assert.equal((await door.call('DELETE', `${P}/devices/${ids[0]}?deny=true`)).status, 204, 'a DELETE may have no body');
    const list = async (query) => (await door.call('GET', `${P}/devices?quarantined=true${query}`)).body;
    const seen = [];
    for (let page = 1; page <= 3; page++) {
        const { devices, meta } = await list(`&page=${page}&per_page=3`);
        assert.equal(devices.length, page === 3 ? 1 : 3);
        assert.deepEqual(meta, { total_pages: 3, total_records: 7 });
        seen.push(...devices.map((device) => device.id));
    }
    assert.deepEqual(seen.sort(), ids);
    assert.deepEqual((await list('&page=4&per_page=3')).devices, []);
    const one = await list('&deviceId=AB03');
    assert.deepEqual(one.devices.map((device) => device.id), [ids[3]]);
    assert.deepEqual(one.meta, { total_pages: 1, total_records: 1 });
    for (const query of ['&deviceName=x', '&serialNumber=x', '&groups=x']) assert.deepEqual((await list(query)).devices, [], query);
    assert.equal((await list('&deviceName=&groups=')).devices.length, 7);
    assertError(await door.call('GET', `${P}/devices?quarantined=true&after=`), 400, /^after/);
});

test('device edits echo what they changed', async () => {
    const product = await createProduct(door, 'edits');
    await upload(door, product, 3);
    const id = deviceId(0x100);
    await importIds(product, [id]);
    const reply = await put(product, id.toUpperCase(), { name: 'n', notes: 'a\nb', development: true, desired_firmware_version: 3, groups: ['b', 'a'] });
    assert.equal(reply.status, 200, reply.text);
    const { updated_at: at, ...rest } = reply.body;
    assert.match(at, /Z$/);
    assert.deepEqual(rest, { id, name: 'n', notes: 'a\nb', development: true, desired_firmware_version: 3, groups: ['b', 'a'] });
    const byName = await door.call('GET', '/v1/devices/n');
    assert.equal(byName.body.id, id);
    assert.deepEqual(byName.body.groups, ['a', 'b']);
    for (const unlock of [{ json: { desired_firmware_version: null } }, { form: { desired_firmware_version: 'null' } }]) {
        await put(product, id, { desired_firmware_version: 3 });
        const freed = await door.call('PUT', `/v1/products/${product.id}/devices/${id}`, unlock);
        assert.equal(freed.status, 200, freed.text);
        assert.equal(freed.body.desired_firmware_version, null);
    }
    const form = await door.call('PUT', `/v1/products/${product.id}/devices/${id}`, {
        body: 'groups%5B%5D=x&groups%5B%5D=y&development=false', headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    assert.equal(form.status, 200, form.text);
    assert.deepEqual(form.body.groups, ['x', 'y']);
    assert.equal(form.body.development, false);
    const twice = await put(product, id, { groups: ['x', 'y', 'x'], notes: null });
    assert.deepEqual(twice.body.groups, ['x', 'y']);
    assert.equal(twice.body.notes, null);
    await put(product, id, { desired_firmware_version: 3 });
    const again = await put(product, id, { flash: true });
    assert.equal(again.body.desired_firmware_version, 3, 'a locked device can be flashed to its lock');
    const forced = await door.call('PUT', `/v1/devices/${id}`, { json: { firmware_updates_forced: true } });
    assert.equal(forced.body.firmware_updates_forced, true);
    assert.equal((await door.call('DELETE', `/v1/products/${product.id}/devices/${id}`, { json: {} })).status, 204);
    assertError(await put(product, id, { name: 'n' }), 403);
});

test('batch edits of groups', async () => {
    const product = await createProduct(door, 'batch');
    const ids = [0x201, 0x202, 0x203].map(deviceId);
    await importIds(product, ids);
    await put(product, ids[0], { groups: ['old'] });
    const reply = await door.call('PUT', `/v1/products/${product.id}/devices`, {
        json: { action: 'groups', devices: ids, metadata: { add: ['new'], remove: ['old'] } },
    });
    assert.deepEqual(reply.body, { ok: true });
    for (const id of ids) {
        assert.deepEqual((await door.call('GET', `/v1/devices/${id}`)).body.groups, ['new']);
    }
    const listed = await door.call('GET', `/v1/products/${product.id}/devices?groups=new%2Cother&sortAttr=deviceId&sortDir=asc`);
    assert.deepEqual(listed.body.devices.map((d) => d.id), ids);
    assert.equal(listed.body.meta.total_records, 3);

    // A group's devices come in every order, by page and by key.
    for (const [i, name] of ['bb', 'cc', 'aa'].entries()) await put(product, ids[i], { name });
    const list = async (query) => (await door.call('GET', `/v1/products/${product.id}/devices?groups=new&${query}`)).body.devices.map((d) => d.name);
    assert.deepEqual(await list('sortAttr=deviceName&sortDir=asc'), ['aa', 'bb', 'cc']);
    assert.deepEqual(await list('sortAttr=deviceName&sortDir=desc'), ['cc', 'bb', 'aa']);
    assert.deepEqual(await list('sortAttr=deviceId&sortDir=desc'), ['aa', 'cc', 'bb']);
    assert.deepEqual(await list('sortAttr=deviceName&sortDir=asc&per_page=2&page=2'), ['cc']);
    assert.deepEqual(await list('deviceName=c'), ['cc']);
    assert.deepEqual(await list(`after=${ids[0]}`), ['cc', 'aa']);
    assert.deepEqual((await door.call('GET', `/v1/products/${product.id}/devices?groups=none`)).body.meta, { total_pages: 1, total_records: 0 });
});

test('releases follow the precedence rules', async () => {
    const product = await createProduct(door, 'precedence');
    for (const version of [1, 2, 3]) await upload(door, product, version);
    const [plain, dev, locked, beta, both] = [0x301, 0x302, 0x303, 0x304, 0x305].map(deviceId);
    await importIds(product, [plain, dev, locked, beta, both]);
    await put(product, dev, { development: true, groups: ['beta'] });
    await put(product, locked, { desired_firmware_version: 1, groups: ['beta'] });
    await put(product, beta, { groups: ['beta'] });
    await put(product, both, { groups: ['beta', 'field'] });

    const first = await release(product, { version: 1, product_default: true });
    assert.equal(first.status, 200, first.text);
    assert.equal(first.body.product_default, true);
    assert.equal(first.body.version, 1);
    assert.equal(first.body.warnings.length, 1, 'nobody has run it');
    const second = await release(product, { version: 2, groups: ['beta'], intelligent: true });
    assert.equal(second.status, 200, second.text);
    assert.deepEqual(second.body.groups, ['beta']);
    assert.equal(second.body.intelligent, true);
    assert.equal(second.body.product_default, false);
    await door.call('POST', `/v1/products/${product.id}/groups`, { json: { name: 'field' } });
    assert.equal((await release(product, { version: 3, groups: ['field'] })).status, 200);

    const expected = [
        [plain, 1, 'product_default'], [dev, null, 'development'], [locked, 1, 'locked'], [beta, 2, 'group'], [both, 3, 'group'],
    ];
    for (const [id, version, rule] of expected) {
        const got = await decision(product, id);
        assert.equal(got.target_version, version, `${rule}: ${JSON.stringify(got)}`);
        assert.equal(got.rule, rule);
        assert.ok(got.explanation.length > 1);
        assert.equal(got.running_version, null);
        assert.ok('blocked_by' in got);
    }
    assert.equal((await door.call('GET', `/v1/devices/${beta}`)).body.targeted_firmware_release_version, 2);

    // A group belongs to one version: it moves.
    assert.deepEqual((await release(product, { version: 3, groups: ['beta', 'field'] })).body.groups, ['beta', 'field']);
    assert.deepEqual((await door.call('GET', `/v1/products/${product.id}/firmware/2`)).body.groups, []);
    assert.equal((await door.call('GET', `/v1/products/${product.id}/groups/beta`)).body.group.fw_version, 3);

    // The old clients' form releases as the default.
    assert.equal((await door.call('PUT', `/v1/products/${product.slug}/firmware/release`, { form: { version: 2 } })).body.product_default, true);
    assert.equal((await decision(product, plain)).target_version, 2);

    const history = await door.call('GET', `/v1/products/${product.id}/releases`);
    assert.equal(history.body.releases[0].version, 2);
    assert.equal(history.body.releases[0].by, 'admin');

    const impact = await door.call('GET', `/v1/products/${product.id}/impact?action=edit_groups_for_firmware&firmware_version=1&product_default=true&groups=beta`);
    assert.equal(impact.status, 200, impact.text);
    assert.equal(typeof impact.body.devices.firmware_update.total, 'number');
    assert.ok(Array.isArray(impact.body.devices.firmware_update.by_version));

    assertError(await door.call('DELETE', `/v1/products/${product.id}/firmware/2`), 400);
});

test('a group that is renamed keeps its devices and its release', async () => {
    const product = await createProduct(door, 'renames');
    const groups = `/v1/products/${product.id}/groups`;
    const [one, two] = [0x321, 0x322].map(deviceId);
    await upload(door, product, 1);
    await upload(door, product, 2);
    await importIds(product, [one, two]);
    await put(product, one, { groups: ['old', 'other'] });
    await put(product, two, { groups: ['other'] });
    assert.equal((await release(product, { version: 1, groups: ['old'] })).status, 200);
    assert.equal((await release(product, { version: 2, groups: ['other'] })).status, 200);

    const renamed = await door.call('PUT', `${groups}/old`, { json: { name: 'new' } });
    assert.deepEqual([renamed.body.group.name, renamed.body.group.fw_version, renamed.body.group.device_count], ['new', 1, 1]);
    const device = async (id) => (await door.call('GET', `/v1/products/${product.id}/devices/${id}`)).body;
    assert.deepEqual((await device(one)).groups.sort(), ['new', 'other']);
    assert.deepEqual((await device(two)).groups, ['other']);
    assert.deepEqual((await door.call('GET', `/v1/products/${product.id}/firmware/1`)).body.groups, ['new']);
    assert.equal((await decision(product, one)).target_version, 2);
    await put(product, one, { groups: ['new'] });
    assert.deepEqual([(await decision(product, one)).target_version, (await decision(product, one)).group], [1, 'new']);
    const listed = await door.call('GET', `/v1/products/${product.id}/devices?groups=new`);
    assert.deepEqual(listed.body.devices.map((d) => d.id), [one]);
    assert.equal((await door.call('GET', `/v1/products/${product.id}/devices?groups=old`)).body.devices.length, 0);

    // Into a name that is taken, one that cannot be, and its own.
    assertError(await door.call('PUT', `${groups}/new`, { json: { name: 'other' } }), 400, /already exists/);
    assertError(await door.call('PUT', `${groups}/new`, { json: { name: 'No Good' } }), 400, /name/);
    assert.equal((await door.call('PUT', `${groups}/new`, { json: { name: 'new', color: '#000000' } })).status, 200);
    // The old name is free again, and has nothing of the old group.
    const again = await door.call('POST', groups, { json: { name: 'old' } });
    assert.deepEqual([again.status, again.body.group.fw_version, again.body.group.device_count], [201, null, 0]);
    // With its group a release ends.
    assert.equal((await door.call('DELETE', `${groups}/new`)).status, 204);
    assert.deepEqual((await door.call('GET', `/v1/products/${product.id}/firmware/1`)).body.groups, []);
    assert.deepEqual((await device(one)).groups, []);
    assert.equal((await decision(product, one)).target_version, null);
});

test('releases are taken back, moved, and refused', async () => {
    const product = await createProduct(door, 'takes back');
    const firmware = async (version) => (await door.call('GET', `/v1/products/${product.id}/firmware/${version}`)).body;
    const id = deviceId(0x331);
    for (const version of [1, 2]) await upload(door, product, version);
    await importIds(product, [id]);
    await put(product, id, { groups: ['a', 'b'] });

    // The default moves, and goes.
    await release(product, { version: 1, product_default: true });
    await release(product, { version: 2, product_default: true, intelligent: true });
    assert.deepEqual([(await firmware(1)).product_default, (await firmware(2)).product_default, (await firmware(2)).intelligent], [false, true, true]);
    await release(product, { version: 2, product_default: true });
    assert.equal((await firmware(2)).intelligent, false, 'left out means not');
    const other = await release(product, { version: 1, product_default: false });
    assert.equal(other.body.changed, false, 'it was not the default');
    assert.equal((await firmware(2)).product_default, true);
    assert.equal((await release(product, { version: 2, product_default: false })).body.product_default, false);
    assert.equal((await decision(product, id)).rule, 'none');

    // The list of groups is absolute; without it, and with the default, it is empty; alone it leaves the default.
    assert.deepEqual((await release(product, { version: 1, groups: ['a', 'b', 'a'] })).body.groups, ['a', 'b']);
    assert.deepEqual((await release(product, { version: 1, groups: ['b'] })).body.groups, ['b']);
    assert.equal((await decision(product, id)).group, 'b');
    assert.deepEqual((await release(product, { version: 1, product_default: true })).body.groups, []);
    assert.equal((await decision(product, id)).rule, 'product_default');
    const kept = await release(product, { version: 1, groups: ['a'] });
    assert.deepEqual([kept.body.product_default, kept.body.groups], [true, ['a']]);
    assert.deepEqual((await release(product, { version: 1, groups: [] })).body.groups, []);

    // In a form: one group, several, and none.
    const form = (body) => door.call('PUT', `/v1/products/${product.id}/firmware/release`,
        { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    assert.deepEqual((await form('version=2&groups[]=a&groups[]=b&immediate=true')).body.groups, ['a', 'b']);
    assert.equal((await firmware(2)).immediate, true);
    assert.deepEqual((await form('version=2&groups=a&product_default=false')).body.groups, ['a']);

    // What cannot be released changes nothing.
    const history = async () => (await door.call('GET', `/v1/products/${product.id}/releases`)).body.releases.length;
    const before = await history();
    for (const json of [{ version: 9 }, { version: 1, groups: ['nobody'] }, { version: 1, groups: ['a', 'x y'] }, {}, { version: 0 },
        { version: 65535 }, { version: '1x' }, { version: 1, product_default: 'maybe' }, { version: 1, groups: { a: 1 } }]) {
        const reply = await release(product, json);
        assert.ok(reply.status === 400 || reply.status === 404, `${JSON.stringify(json)}: ${reply.status} ${reply.text}`);
        assertError(reply, reply.status);
    }
    assert.equal(await history(), before);
    assert.deepEqual((await firmware(2)).groups, ['a']);
    assertError(await door.call('DELETE', `/v1/products/${product.id}/firmware/1`), 400, /released/);
    // Once more changes nothing, but is written down: devices that failed get another chance.
    assert.equal((await release(product, { version: 2, groups: ['a'], product_default: false })).body.changed, false);
    assert.equal(await history(), before + 1);
});

test('a product can insist on tested firmware', async () => {
    const product = await createProduct(door, 'insists', { settings: { require_tested_firmware: 'enforce' } });
    await upload(door, product, 1);
    assertError(await release(product, { version: 1, product_default: true }), 400);
    assert.equal((await door.call('GET', `/v1/products/${product.id}/firmware/1`)).body.product_default, false);
});

test('tags guard against lost edits', async () => {
    const product = await createProduct(door, 'tags');
    await upload(door, product, 1);
    const path = `/v1/products/${product.id}/firmware/1`;
    const tag = (await door.call('GET', path)).headers.get('etag');
    assert.ok(tag);
    const edit = await door.call('PUT', path, { json: { title: 'a', description: 'of\nseveral\tlines' }, headers: { 'if-match': tag } });
    assert.equal(edit.status, 200, edit.text);
    assertError(await door.call('PUT', path, { json: { title: 'b' }, headers: { 'if-match': tag } }), 412);
    assert.equal((await door.call('GET', path)).body.title, 'a');
    assertError(await door.call('DELETE', path, { headers: { 'if-match': tag } }), 412);
    const now = edit.headers.get('etag');
    assert.equal((await door.call('GET', path)).headers.get('etag'), now, 'an edit tells the new tag');

    const id = deviceId(0x160);
    await importIds(product, [id]);
    const at = `/v1/products/${product.id}/devices/${id}`;
    const old = (await door.call('GET', at)).headers.get('etag');
    const renamed = await door.call('PUT', at, { json: { name: 'tagged' }, headers: { 'if-match': old } });
    assert.equal(renamed.status, 200, renamed.text);
    assertError(await door.call('PUT', at, { json: { name: 'lost' }, headers: { 'if-match': old } }), 412);
    assertError(await door.call('DELETE', at, { headers: { 'if-match': old } }), 412);
    assertError(await door.call('DELETE', at, { json: { deny: true }, headers: { 'if-match': old } }), 412);
    assert.equal((await door.call('GET', at)).body.name, 'tagged');
    const ifMatch = { 'if-match': `"other", ${renamed.headers.get('etag')}` };
    assert.equal((await door.call('DELETE', at, { headers: ifMatch })).status, 204);
    assert.equal((await door.call('DELETE', path, { headers: { 'if-match': now } })).status, 204);
});

test('a tag changes with whatever edits its object', async () => {
    const product = await createProduct(door, 'more tags');
    const P = `/v1/products/${product.id}`;
    for (const version of [1, 2]) await upload(door, product, version);
    for (const name of ['g', 'h']) await door.call('POST', `${P}/groups`, { json: { name } });
    const tag = async (path) => (await door.call('GET', P + path)).headers.get('etag');
    const changes = async (path, act) => {
        const before = await tag(path);
        const reply = await act();
        assert.ok(reply.status === 200 || reply.status === 204, reply.text);
        assert.notEqual(await tag(path), before, path);
        assertError(await door.call('DELETE', P + path, { headers: { 'if-match': before } }), 412);
    };
    const release = (json) => door.call('PUT', `${P}/firmware/release`, { json });
    await changes('/firmware/1', () => release({ version: 1, groups: ['g', 'h'] }));
    await changes('/firmware/1', () => release({ version: 2, groups: ['g'] }));
    await changes('/firmware/2', () => release({ version: 2, groups: [] }));
    await changes('/firmware/1', () => release({ version: 1, product_default: true, groups: ['h'] }));
    await changes('/firmware/1', () => release({ version: 2, product_default: true }));
    await changes('/firmware/2', () => release({ version: 2, product_default: false }));
    await changes('/firmware/1', () => door.call('PUT', `${P}/groups/h`, { json: { name: 'i' } }));
    await changes('/firmware/1', () => door.call('DELETE', `${P}/groups/i`));

    const id = deviceId(0x161);
    await importIds(product, [id]);
    const at = `/devices/${id}`;
    const regroup = (metadata) => door.call('PUT', `${P}/devices`, { json: { action: 'groups', devices: [id], metadata } });
    await changes(at, () => regroup({ add: ['g'] }));
    await changes(at, () => regroup({ remove: ['g'] }));
    const edit = await door.call('PUT', P + at, { json: { groups: ['g'], name: 'x' } });
    assert.equal(await tag(at), edit.headers.get('etag'));
});

test('tags are compared as HTTP wants it', async () => {
    const product = await createProduct(door, 'tag forms');
    const id = deviceId(1); // one that answers
    await importIds(product, [id]);
    const at = `/v1/products/${product.id}/devices/${id}`;
    const tag = (await door.call('GET', at)).headers.get('etag');
    const edit = (header, json = { notes: 'n' }) => door.call('PUT', at, { json, headers: { 'if-match': header } });
    for (const header of [`W/${tag}`, '"x"', `"x${tag.slice(1)}`, `${tag.slice(0, -1)}x"`, tag.slice(1, -1), '"*"', `"a" ${tag}`, `"a", W/${tag}`, 'x', '"']) {
        assertError(await edit(header), 412);
    }
    // Nothing that a PUT does happens then.
    assertError(await edit('"x"', { signal: '1' }), 412);
    const form = uploadForm(module(BORON, product.id, 1), {});
    assertError(await door.call('PUT', at, { form, headers: { 'if-match': '"x"' } }), 412);
    for (const header of ['*', ' * ']) assert.equal((await edit(header)).status, 200, header);
    for (const list of [(now) => `"x",${now}`, (now) => `W/"a", "b,c" ,${now} , "d"`, (now) => `,${now},`]) {
        const now = (await door.call('GET', at)).headers.get('etag');
        assert.equal((await edit(list(now))).status, 200, list(now));
    }
});

test('a firmware file that one has already is not sent again', async () => {
    const product = await createProduct(door, 'once more');
    await upload(door, product, 1);
    const path = `/v1/products/${product.id}/firmware/1/binary`;
    const first = await door.call('GET', path);
    const tag = first.headers.get('etag');
    assert.match(tag, /^"[0-9a-f]{24}"$/);
    for (const method of ['GET', 'HEAD']) {
        for (const header of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
            const again = await door.call(method, path, { headers: { 'if-none-match': header } });
            assert.equal(again.status, 304, header);
            assert.equal(again.bytes.length, 0);
            assert.equal(again.headers.get('etag'), tag);
        }
    }
    const other = await door.call('GET', path, { headers: { 'if-none-match': '"x"' } });
    assert.equal(other.status, 200);
    assert.deepEqual(other.bytes, first.bytes);
});

test('a key makes repeating harmless', async () => {
    const product = await createProduct(door, 'keys');
    const base = `/v1/products/${product.id}`;
    const ask = (path, json, key, method = 'POST') => door.call(method, base + path, { json, headers: { 'idempotency-key': key } });
    const first = await ask('/groups', { name: 'once' }, 'k1');
    assert.equal(first.status, 201, first.text);
    assert.equal(first.headers.get('idempotency-replayed'), null);
    for (let i = 0; i < 3; i++) {
        const again = await ask('/groups', { name: 'once' }, 'k1');
        assert.equal(again.status, 201, again.text);
        assert.equal(again.text, first.text);
        assert.equal(again.headers.get('idempotency-replayed'), 'true');
    }
    assertError(await ask('/groups', { name: 'other' }, 'k1'), 409, /another request/);
    assert.equal((await ask('/groups', { name: 'once' }, 'k2')).status, 400, 'another key is another request');
    // What was refused changed nothing: the key is free again.
    assertError(await ask('/firmware/release', { version: 1 }, 'k3', 'PUT'), 404);
    await upload(door, product, 1);
    assert.equal((await ask('/firmware/release', { version: 1 }, 'k3', 'PUT')).status, 200);
    // Of many at once, one is done.
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask('/events', { name: 'e', data: 'd' }, 'k4')));
    assert.ok(replies.every((r) => r.status === 200 || r.status === 409), JSON.stringify(replies.map((r) => r.status)));
    assert.ok(replies.some((r) => r.status === 200));
    // Uploads too, by content; framing does not matter.
    const bytes = module(BORON, product.id, 2);
    const up = (title) => door.call('POST', `${base}/firmware`, { form: uploadForm(bytes, { version: 2, title }), headers: { 'idempotency-key': 'k5' } });
    const made = await up('t');
    assert.equal(made.status, 201, made.text);
    assert.equal((await up('t')).text, made.text);
    assertError(await up('u'), 409);
    // With what its head said of the thing.
    const edit = () => ask('/firmware/2', { title: 'new' }, 'k7', 'PUT');
    for (const [one, two, name] of [[made, await up('t'), 'location'], [await edit(), await edit(), 'etag']]) {
        assert.ok(one.headers.get(name), name);
        assert.equal(two.headers.get('idempotency-replayed'), 'true');
        assert.equal(two.headers.get(name), one.headers.get(name));
    }
    // Secrets are not kept.
    const member = { friendly_name: 'x', scopes: ['firmware:list'] };
    assert.equal((await ask('/team', member, 'k6')).status, 200);
    assertError(await ask('/team', member, 'k6'), 409, /secret/);
    assert.equal((await door.call('GET', `${base}/team`)).body.team.filter((m) => m.is_programmatic).length, 1);
    assertError(await ask('/groups', { name: 'x' }, 'a b'), 400, /^Idempotency-Key/);
    assertError(await ask('/groups', { name: 'x' }, 'k'.repeat(256)), 400, /^Idempotency-Key/);
});
