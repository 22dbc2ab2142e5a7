// The release workflow by particle-api-js with simulated devices at the other end: what the API
// says is compared with what the devices received.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { follow, rejection, startServer, until } from './harness.mjs';

let server;
let api;
let product;
let fleet;
let events;

before(async () => {
    server = await startServer();
    api = server.api();
    product = (await server.createProduct('River gauge')).id;
    events = follow(await api.getEventStream({ product }));
    fleet = await server.startFleet(product, '--devices', 4, '--seed', 21, '--version', 1, '--functions', 2);
    await fleet.connected();
});
after(async () => {
    events?.close();
    await server?.stop();
});

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const device = (deviceId) => api.getDevice({ product, deviceId }).then((reply) => reply.body);
const runs = (deviceId, version) => until(`${deviceId} runs ${version}`, async () => {
    const now = await device(deviceId);
    return now.online && now.firmware_version === version;
});
// The device itself says that it has verified the bytes of this file.
const received = (deviceId, path) => until(`${deviceId} verified ${path}`,
    () => fleet.device(deviceId).verified_sha256?.includes(sha256(path)));

describe('connected devices', () => {
    it('are online, with what they said of themselves', async () => {
        const { body } = await api.listDevices({ product, sortAttr: 'deviceId', sortDir: 'asc' });
        assert.deepEqual(body.devices.map((one) => one.id), [...fleet.ids].sort());
        for (const one of body.devices) {
            assert.deepEqual([one.online, one.firmware_version, one.platform_id], [true, 1, 13]);
            assert.equal(one.last_ip_address, '127.0.0.1');
        }
        const one = await until('a description', async () => {
            const now = await device(fleet.ids[0]);
            return now.functions?.includes('echo') && now;
        });
        assert.deepEqual(one.variables, { boots: 'int32' });
        assert.deepEqual([one.connected, one.status, one.firmware_updates_enabled], [true, 'normal', true]);
    });

    it('get the events that they asked for', async () => {
        await api.publishEvent({ product, name: 'sim/all', data: 'one' });
        await api.publishEvent({ product, name: 'other', data: 'nobody asked' });
        await api.publishEvent({ name: 'sim/of-no-product', data: 'two' });
        for (const id of fleet.ids) {
            await until(`${id} got both`, () => fleet.device(id).events === 2);
        }
    });

    it('answer a ping', async () => {
        for (const uri of [`/v1/products/${product}/devices/${fleet.ids[0]}/ping`, `/v1/devices/${fleet.ids[0]}/ping`]) {
            assert.deepEqual((await api.put({ uri })).body, { online: true, ok: true });
        }
    });

    it('blink', async () => {
        for (const scope of [{ product }, {}]) {
            const on = await api.signalDevice({ ...scope, deviceId: fleet.ids[0], signal: true });
            assert.deepEqual(on.body, { id: fleet.ids[0], connected: true, signaling: true });
        }
        const off = await api.signalDevice({ product, deviceId: fleet.ids[0], signal: false });
        assert.equal(off.body.signaling, false);
    });

    it('are called', async () => {
        const { body } = await api.callFunction({ product, deviceId: fleet.ids[0], name: 'echo', argument: 'twelve chars' });
        assert.deepEqual([body.id, body.connected, body.return_value], [fleet.ids[0], true, 12]);
        const mine = await api.callFunction({ deviceId: fleet.ids[0], name: 'echo', argument: '' });
        assert.equal(mine.body.return_value, 0);
        const error = await rejection(api.callFunction({ product, deviceId: fleet.ids[0], name: 'nothing', argument: '' }));
        assert.equal(error.statusCode, 404);
        assert.deepEqual([error.body.ok, error.body.error], [false, 'Function nothing not found']);
    });

    it('are read', async () => {
        const { body } = await api.getVariable({ product, deviceId: fleet.ids[0], name: 'boots' });
        assert.equal(body.name, 'boots');
        assert.ok(Number.isInteger(body.result) && body.result > 0);
        assert.equal(body.coreInfo.deviceID, fleet.ids[0]);
        assert.equal(body.coreInfo.connected, true);
        assert.equal((await api.getVariable({ deviceId: fleet.ids[0], name: 'boots' })).body.result, body.result);
        const error = await rejection(api.getVariable({ product, deviceId: fleet.ids[0], name: 'nothing' }));
        assert.deepEqual([error.statusCode, error.body.error], [404, 'Variable not found']);
    });

    it('send their vitals when asked', async () => {
        const [id] = fleet.ids;
        const uri = `/v1/products/${product}/diagnostics/${id}`;
        assert.deepEqual((await api.post({ uri: `${uri}/update` })).body, { ok: true });
        const told = await events.next('vitals', (one) => one.name === 'spark/device/diagnostics/update' && one.coreid === id);
        const { body } = await api.get({ uri: `${uri}/last` });
        assert.deepEqual(body.diagnostics.payload, JSON.parse(told.data));
        const { system, network, power } = body.diagnostics.payload.device;
        assert.deepEqual([system, network.signal.strength], [{ uptime: 60, memory: { used: 40000 } }, 75]);
        assert.deepEqual(power.battery.charge, { err: -120 });
    });

    it('serve several clients, one after the other', async () => {
        const calls = ['', 'a', 'ab', 'abc', 'abcd', 'abcde'].map((argument) =>
            api.callFunction({ product, deviceId: fleet.ids[0], name: 'echo', argument }));
        const reads = [1, 2, 3].map(() => api.getVariable({ product, deviceId: fleet.ids[0], name: 'boots' }));
        const replies = await Promise.all(calls);
        assert.deepEqual(replies.map((reply) => reply.body.return_value), [0, 1, 2, 3, 4, 5]);
        assert.equal(new Set((await Promise.all(reads)).map((reply) => reply.body.result)).size, 1);
    });
});

describe('one device', () => {
    it('is flashed through its product', async () => {
        const id = fleet.ids[0];
        const file = server.module(2);
        await api.markAsDevelopmentDevice({ product, deviceId: id });
        const { body } = await api.flashDevice({ product, deviceId: id, files: { 'fw.bin': readFileSync(file) } });
        assert.deepEqual([body.id, body.status], [id, 'Update started']);
        await received(id, file);
        await runs(id, 2);
        const story = events.seen.filter((event) => event.coreid === id && event.name === 'spark/flash/status');
        assert.deepEqual(story.map((event) => event.data), ['started ', 'success ']);
        assert.ok(story.every((event) => event.userid !== ''), 'a flash by hand has its user');
    });

    it('is flashed as a device of the user, from a file with a path', async () => {
        const id = fleet.ids[0];
        const file = server.module(3);
        const { body } = await api.flashDevice({ deviceId: id, files: { 'dir/fw.bin': file }, targetVersion: '4.0.1' });
        assert.equal(body.status, 'Update started');
        await received(id, file);
        await runs(id, 3);
    });

    it('takes no source code and no rubbish', async () => {
        const error = await rejection(api.flashDevice({
            product, deviceId: fleet.ids[0], files: { 'main.ino': Buffer.from('void loop() {}') },
        }));
        assert.equal(error.statusCode, 400);
        assert.ok(error.shortErrorDescription);
    });

    it('is locked, and flashed now', async () => {
        const id = fleet.ids[1];
        await server.upload(product, 4);
        await api.lockDeviceProductFirmware({ product, deviceId: id, desiredFirmwareVersion: 4, flash: true });
        await received(id, server.module(4));
        await runs(id, 4);
        const of = (name) => events.seen.filter((event) => event.coreid === id && event.name === name);
        assert.ok(of('spark/status').some((event) => event.data === 'auto-update'));
        assert.deepEqual(of('spark/flash/status').map((event) => event.data), ['started ', 'success ']);
        await events.next('online with the new version', (event) =>
            event.coreid === id && event.name === 'spark/status' && event.data === 'online' && event.version === 4);
        const { body } = await api.getProductFirmware({ product, version: 4 });
        assert.equal(body.device_count, 1);
    });
});

describe('a release', () => {
    it('waits for the next session of a device', async () => {
        const [, locked, first, second] = fleet.ids;
        await server.upload(product, 5);
        await api.releaseProductFirmware({ product, version: 5, product_default: true });
        const told = await events.next('particle/firmware/release', (event) => event.name === 'particle/firmware/release');
        assert.equal(told.coreid, 'api');
        assert.equal(JSON.parse(told.data).version, 5);
        assert.equal((await device(first)).targeted_firmware_release_version, 5);
        assert.equal((await device(first)).firmware_version, 1, 'nothing moved yet');
        fleet.order('wake', first);
        await received(first, server.module(5));
        await runs(first, 5);
        assert.equal((await device(second)).firmware_version, 1);
        assert.equal((await device(locked)).firmware_version, 4);
    });

    it('at once goes to the devices of a group', async () => {
        const [development, locked, first, second] = fleet.ids;
        await server.upload(product, 6);
        for (const id of fleet.ids) await api.put({ uri: `/v1/products/${product}/devices/${id}`, data: { groups: ['beta'] } });
        const { body } = await api.get({
            uri: `/v1/products/${product}/impact`,
            query: { action: 'edit_groups_for_firmware', firmware_version: 6, groups: 'beta', product_default: false },
        });
        assert.equal(body.devices.firmware_update.total, 2, 'neither the locked one nor the one in development');
        await api.releaseProductFirmware({ product, version: 6, product_default: false, groups: ['beta'], intelligent: true });
        for (const id of [first, second]) {
            await received(id, server.module(6));
            await runs(id, 6);
        }
        assert.equal((await device(locked)).firmware_version, 4);
        assert.equal((await device(development)).firmware_version, 3);
    });

    it('reaches a device that was unlocked', async () => {
        const id = fleet.ids[1];
        await api.unlockDeviceProductFirmware({ product, deviceId: id });
        fleet.order('wake', id);
        await received(id, server.module(6));
        await runs(id, 6);
    });

    it('waits for a device that disabled updates, unless it is forced', async () => {
        const id = fleet.ids[2];
        fleet.order('disable', id);
        await until('the server knows', async () => (await device(id)).firmware_updates_enabled === false);
        await server.upload(product, 8);
        await api.lockDeviceProductFirmware({ product, deviceId: id, desiredFirmwareVersion: 8, flash: true });
        await until('the device knows that one is pending', () => fleet.device(id).updates_pending);
        assert.equal((await device(id)).firmware_version, 6);
        const forced = await api.put({
            uri: `/v1/products/${product}/devices/${id}`, data: { firmware_updates_forced: true },
        });
        assert.equal(forced.body.firmware_updates_forced, true);
        await received(id, server.module(8));
        await runs(id, 8);
    });
});

describe('what happened', () => {
    it('was told in events that clients know', () => {
        const names = new Set(events.seen.map((event) => event.name));
        for (const name of ['spark/status', 'spark/flash/status', 'particle/firmware/create', 'particle/firmware/release',
            'particle/device/updates/enabled', 'spark/device/last_reset']) {
            assert.ok(names.has(name), `${name} among ${[...names]}`);
        }
        for (const event of events.seen) {
            assert.deepEqual(Object.keys(event).filter((key) => key !== 'name'),
                ['data', 'ttl', 'published_at', 'coreid', 'userid', 'version', 'public', 'productID']);
            assert.equal(event.productID, product);
            assert.equal(typeof event.version, 'number');
            assert.equal(typeof event.ttl, 'number');
        }
    });
});
