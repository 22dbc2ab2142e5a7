// The devices of a product by particle-api-js, none of them connected.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { rejection, startServer } from './harness.mjs';

const id = (n) => `e00fce68${n.toString(16).padStart(16, '0')}`;
let server;
let api;
let product;
before(async () => {
    server = await startServer();
    api = server.api();
    product = (await server.createProduct('Weather buoy')).id;
});
after(() => server?.stop());

const names = (list) => list.body.devices.map((device) => device.id);

describe('devices are added', () => {
    it('by id, in any letter case', async () => {
        const { body } = await api.addDeviceToProduct({ product, deviceId: id(1).toUpperCase() });
        assert.equal(body.updated, 1);
        assert.deepEqual(body.updatedDeviceIds, [id(1)]);
        for (const key of ['existingDeviceIds', 'nonmemberDeviceIds', 'invalidDeviceIds']) {
            assert.deepEqual(body[key], []);
        }
    });

    it('again, which changes nothing', async () => {
        const { body } = await api.addDeviceToProduct({ product, deviceId: id(1) });
        assert.equal(body.updated, 0);
        assert.deepEqual(body.existingDeviceIds, [id(1)]);
        assert.deepEqual([body.nonmemberDeviceIds, body.invalidDeviceIds], [[], []]);
    });

    it('by a file, sent in chunks', async () => {
        const file = join(server.folder, 'devices.txt');
        writeFileSync(file, `${id(2)}\r\n${id(3)}\r\n\r\n`);
        const { body } = await api.addDeviceToProduct({ product, file });
        assert.deepEqual([...body.updatedDeviceIds].sort(), [id(2), id(3)]);
    });

    it('by a file from memory, with what is no id in it', async () => {
        const file = Buffer.from(`${id(4)}\nrubbish\n${id(1)}`);
        const { body } = await api.addDeviceToProduct({ product, file });
        assert.deepEqual(body.updatedDeviceIds, [id(4)]);
        assert.deepEqual(body.existingDeviceIds, [id(1)]);
        assert.deepEqual(body.invalidDeviceIds, ['rubbish']);
    });

    it('by a list', async () => {
        const { body } = await api.post({
            uri: `/v1/products/${product}/devices`, data: { ids: [5, 6, 7].map(id) },
        });
        assert.equal(body.updated, 3);
    });
});

describe('a device is read', () => {
    const summary = ['denied', 'desired_firmware_version', 'development', 'firmware_product_id', 'groups', 'iccid',
        'id', 'imei', 'last_handshake_at', 'last_iccid', 'last_ip_address', 'name', 'notes', 'online', 'owner',
        'platform_id', 'product_id', 'quarantined', 'serial_number', 'system_firmware_version',
        'targeted_firmware_release_version', 'user_id', 'firmware_version'];
    const detail = ['cellular', 'connected', 'current_build_target', 'default_build_target', 'functions', 'last_app',
        'last_heard', 'mobile_secret', 'status', 'variables', 'firmware_updates_enabled', 'firmware_updates_forced'];

    it('with every field that clients know', async () => {
        const { body } = await api.getDevice({ product, deviceId: id(1) });
        for (const key of [...summary, ...detail]) assert.ok(key in body, key);
        assert.equal(body.id, id(1));
        assert.equal(body.product_id, product);
        assert.deepEqual([body.online, body.connected, body.development], [false, false, false]);
        assert.deepEqual(body.groups, []);
        const list = await api.listDevices({ product });
        for (const key of summary) assert.ok(key in list.body.devices[0], key);
    });

    it('without naming the product', async () => {
        const { body } = await api.getDevice({ deviceId: id(1) });
        assert.equal(body.product_id, product);
        const all = await api.listDevices({});
        assert.ok(Array.isArray(all.body));
        assert.equal(all.body.length, 7);
    });

    it('at an address that ends with a slash', async () => {
        const { body } = await api.get({ uri: `/v1/products/${product}/devices/` });
        assert.equal(body.devices.length, 7);
    });

    it('or missed politely', async () => {
        for (const fields of [{ product, deviceId: id(99) }, { deviceId: id(99) }]) {
            const error = await rejection(api.getDevice(fields));
            assert.equal(error.statusCode, 403);
            assert.equal(error.body.error, 'Permission Denied');
            assert.match(error.body.info, /^I didn't recognize that device name or ID/);
        }
    });
});

describe('a device is changed', () => {
    const iso = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
    const device = () => api.getDevice({ product, deviceId: id(1) }).then((reply) => reply.body);

    it('renamed', async () => {
        const { body } = await api.renameDevice({ product, deviceId: id(1), name: 'north' });
        assert.deepEqual(Object.keys(body).sort(), ['id', 'name', 'updated_at']);
        assert.equal(body.name, 'north');
        assert.match(body.updated_at, iso);
        assert.equal((await device()).name, 'north');
        assert.equal((await api.getDevice({ deviceId: 'north' })).body.id, id(1), 'and found by its name');
    });

    it('given notes', async () => {
        const { body } = await api.setDeviceNotes({ product, deviceId: id(1), notes: 'two\nlines' });
        assert.equal(body.notes, 'two\nlines');
        assert.equal((await device()).notes, 'two\nlines');
    });

    it('marked for development, and not any more', async () => {
        const marked = await api.markAsDevelopmentDevice({ product, deviceId: id(1) });
        assert.equal(marked.body.development, true);
        assert.equal((await device()).development, true);
        const back = await api.markAsDevelopmentDevice({ product, deviceId: id(1), development: false });
        assert.equal(back.body.development, false);
    });

    it('locked and unlocked', async () => {
        await server.upload(product, 3);
        const locked = await api.lockDeviceProductFirmware({
            product, deviceId: id(1), desiredFirmwareVersion: 3, flash: true,
        });
        assert.deepEqual([locked.body.id, locked.body.desired_firmware_version], [id(1), 3]);
        assert.equal((await device()).desired_firmware_version, 3);
        const free = await api.unlockDeviceProductFirmware({ product, deviceId: id(1) });
        assert.equal(free.body.desired_firmware_version, null);
        const quiet = await api.lockDeviceProductFirmware({ product, deviceId: id(1), desiredFirmwareVersion: 3 });
        assert.equal(quiet.body.desired_firmware_version, 3);
        const form = await server.request('PUT', `/v1/products/${product}/devices/${id(1)}`, {
            form: new URLSearchParams({ desired_firmware_version: 'null' }),
        });
        assert.equal(form.body.desired_firmware_version, null);
    });

    it('in one request', async () => {
        const { body } = await api.updateDevice({
            product, deviceId: id(2), name: 'south', notes: 'n', development: false, desiredFirmwareVersion: 3, flash: true,
        });
        assert.deepEqual([body.name, body.notes, body.development, body.desired_firmware_version],
            ['south', 'n', false, 3]);
    });

    it('not locked to what does not exist', async () => {
        const error = await rejection(api.lockDeviceProductFirmware({
            product, deviceId: id(1), desiredFirmwareVersion: 500,
        }));
        assert.ok(error.statusCode === 400 || error.statusCode === 404);
        assert.match(error.shortErrorDescription, /500|version/);
        assert.equal((await device()).desired_firmware_version, null);
    });

    it('put into groups, which come to be', async () => {
        const uri = `/v1/products/${product}/devices/${id(1)}`;
        const { body } = await api.put({ uri, data: { groups: ['a', 'b'] } });
        assert.deepEqual([...body.groups].sort(), ['a', 'b']);
        assert.match(body.updated_at, iso);
        assert.deepEqual([...(await device()).groups].sort(), ['a', 'b']);
        const listed = await api.get({ uri: `/v1/products/${product}/groups` });
        assert.deepEqual(listed.body.groups.map((group) => [group.name, group.device_count]), [['a', 1], ['b', 1]]);
        const form = await server.request('PUT', uri, {
            form: new URLSearchParams([['groups[]', 'b'], ['groups[]', 'c']]),
        });
        assert.deepEqual([...form.body.groups].sort(), ['b', 'c']);
        assert.deepEqual([...(await device()).groups].sort(), ['b', 'c']);
    });

    it('many at a time', async () => {
        const { body } = await api.put({
            uri: `/v1/products/${product}/devices`,
            data: { action: 'groups', devices: [id(5), id(6)], metadata: { add: ['b', 'd'], remove: ['c'] } },
        });
        assert.equal(body.ok, true);
        assert.deepEqual([...(await api.getDevice({ product, deviceId: id(6) })).body.groups].sort(), ['b', 'd']);
    });

    it('forced to take updates', async () => {
        const { body } = await api.put({ uri: `/v1/devices/${id(1)}`, data: { firmware_updates_forced: true } });
        assert.equal(body.id, id(1));
        assert.equal(body.firmware_updates_forced, true);
        await api.put({ uri: `/v1/devices/${id(1)}`, data: { firmware_updates_forced: false } });
    });
});

describe('devices are listed', () => {
    const list = (query) => api.listDevices({ product, ...query });

    it('in pages', async () => {
        const first = await list({ sortAttr: 'deviceId', sortDir: 'asc', page: 1, perPage: 3 });
        assert.deepEqual(names(first), [1, 2, 3].map(id));
        assert.deepEqual(first.body.meta, { total_pages: 3, total_records: 7 });
        assert.deepEqual(first.body.customers, []);
        const last = await list({ sortAttr: 'deviceId', sortDir: 'asc', page: 3, perPage: 3 });
        assert.deepEqual(names(last), [id(7)]);
        const back = await list({ sortAttr: 'deviceId', sortDir: 'desc', page: 1, perPage: 2 });
        assert.deepEqual(names(back), [7, 6].map(id));
        const documented = await api.get({ uri: `/v1/products/${product}/devices`, query: { perPage: 2, page: 4 } });
        assert.equal(documented.body.meta.total_pages, 4);
        assert.equal(documented.body.devices.length, 1);
    });

    it('by part of the id, part of the name, groups, and all of them', async () => {
        assert.deepEqual(names(await list({ deviceId: id(4).slice(-6) })), [id(4)]);
        assert.deepEqual(names(await list({ deviceName: 'ort' })), [id(1)]);
        assert.deepEqual(names(await list({ groups: ['c', 'd'], sortAttr: 'deviceId', sortDir: 'asc' })),
            [1, 5, 6].map(id));
        assert.deepEqual(names(await list({
            deviceId: 'e00f', deviceName: 'nor', groups: ['b'], sortAttr: 'deviceId', sortDir: 'asc', page: 1, perPage: 50,
        })), [id(1)]);
        const none = await list({ deviceName: 'nowhere' });
        assert.deepEqual(none.body.devices, []);
        assert.ok(none.body.meta.total_pages <= 1);
    });

    it('in the order of names, versions and connections', async () => {
        const byName = names(await list({ sortAttr: 'deviceName', sortDir: 'asc' }));
        assert.ok(byName.indexOf(id(1)) < byName.indexOf(id(2)), 'north before south');
        for (const sortAttr of ['firmwareVersion', 'lastConnection']) {
            assert.equal(names(await list({ sortAttr, sortDir: 'desc' })).length, 7);
        }
        const error = await rejection(list({ sortAttr: 'colour' }));
        assert.equal(error.statusCode, 400);
        assert.match(error.shortErrorDescription, /sortAttr/);
    });
});

describe('a device is removed', () => {
    it('from the product', async () => {
        const gone = await api.removeDevice({ product, deviceId: id(7) });
        assert.equal(gone.statusCode, 204);
        assert.equal((await rejection(api.getDevice({ product, deviceId: id(7) }))).statusCode, 403);
        assert.equal((await rejection(api.removeDevice({ product, deviceId: id(7) }))).statusCode, 403);
    });

    it('or denied', async () => {
        const gone = await api.removeDevice({ product, deviceId: id(6), deny: true });
        assert.equal(gone.statusCode, 204);
    });

    it('or its owner is, which it has none of', async () => {
        assert.deepEqual((await api.removeDeviceOwner({ product, deviceId: id(5) })).body, { ok: true });
    });

    it('claimed and given up by a person', async () => {
        const { body } = await api.claimDevice({ deviceId: id(5) });
        assert.deepEqual([body.id, body.ok], [id(5), true]);
        const unknown = await rejection(api.claimDevice({ deviceId: id(98) }));
        assert.equal(unknown.statusCode, 404);
        assert.deepEqual(unknown.body.errors, ['device does not exist']);
        assert.equal((await api.removeDevice({ deviceId: id(5) })).body.ok, true);
    });
});

describe('a device that is away', () => {
    const away = (promise) => rejection(promise);

    it('cannot be flashed', async () => {
        const error = await away(api.flashDevice({ product, deviceId: id(1), files: { 'fw.bin': server.module(3) } }));
        assert.equal(error.statusCode, 500);
        assert.deepEqual([error.body.ok, error.body.code, error.body.errors], [false, 500, ['Request Timed Out']]);
    });

    it('answers no function and no variable', async () => {
        const call = await away(api.callFunction({ product, deviceId: id(1), name: 'f', argument: 'a' }));
        assert.deepEqual([call.statusCode, call.body.error], [400, 'Timed out.']);
        const read = await away(api.getVariable({ product, deviceId: id(1), name: 'v' }));
        assert.deepEqual([read.statusCode, read.body.error], [408, 'Timed out.']);
    });

    it('says so to a ping', async () => {
        const { body } = await api.put({ uri: `/v1/products/${product}/devices/${id(1)}/ping` });
        assert.deepEqual(body, { online: false, ok: true });
    });
});

describe('the key of a device', () => {
    const pem = (type, options) => generateKeyPairSync(type, options).publicKey.export({ type: 'spki', format: 'pem' });

    it('is taken in advance', async () => {
        const key = pem('ec', { namedCurve: 'P-256' });
        const { body } = await api.sendPublicKey({ deviceId: id(1), key, algorithm: 'ec' });
        assert.equal(body.ok, true);
    });

    it('must be of the right kind', async () => {
        const rsa = await rejection(api.sendPublicKey({ deviceId: id(1), key: pem('rsa', { modulusLength: 1024 }) }));
        assert.deepEqual([rsa.statusCode, rsa.body.error], [400, 'invalid_request']);
        assert.match(rsa.shortErrorDescription, /algorithm/);
        const curve = pem('ec', { namedCurve: 'P-384' });
        const other = await rejection(api.sendPublicKey({ deviceId: id(1), key: curve, algorithm: 'ec' }));
        assert.match(other.shortErrorDescription, /publicKey/);
    });
});

describe('a serial number', () => {
    it('that nobody has is missed', async () => {
        const error = await rejection(api.lookupSerialNumber({ serialNumber: 'E00' }));
        assert.equal(error.statusCode, 404);
        assert.equal(error.body.ok, false);
    });
});

describe('integrations', () => {
    for (const kind of ['webhooks', 'integrations']) {
        it(`${kind} of a product are made, listed, read and removed`, async () => {
            const event = `reading/${kind}`;
            const url = 'http://127.0.0.1:9/hook';
            const made = kind === 'webhooks'
                ? await api.createWebhook({ product, event, url })
                : await api.createIntegration({ product, event, settings: { url, requestType: 'POST' } });
            assert.equal(made.statusCode, 201);
            assert.equal(made.body.ok, true);
            assert.equal(made.body.event, event);
            assert.equal(made.body.url, url);
            assert.match(made.body.created_at, /Z$/);
            const listed = kind === 'webhooks' ? await api.listWebhooks({ product }) : await api.listIntegrations({ product });
            const [found] = listed.body.filter((one) => one.id === made.body.id);
            assert.equal(found.event, event);
            assert.equal(found.integration_type, 'Webhook');
            const read = await api.get({ uri: `/v1/products/${product}/${kind}/${made.body.id}` });
            assert.equal((read.body.webhook ?? read.body.integration).event, event);
            const gone = kind === 'webhooks'
                ? await api.deleteWebhook({ product, hookId: made.body.id })
                : await api.deleteIntegration({ product, integrationId: made.body.id });
            assert.equal(gone.statusCode, 204);
            const error = await rejection(api.get({ uri: `/v1/products/${product}/${kind}/${made.body.id}` }));
            assert.equal(error.statusCode, 404);
        });
    }
});
