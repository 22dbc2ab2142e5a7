// Devices that come before anybody imported them: seen, approved, denied by particle-api-js.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { rejection, startServer, until } from './harness.mjs';

let server;
let api;
let product;
let fleet;
before(async () => {
    server = await startServer();
    api = server.api();
    product = (await server.createProduct('Island')).id;
    fleet = await server.startFleet(null, '--devices', 3, '--seed', 91);
});
after(() => server?.stop());

const waiting = async () => (await api.get({ uri: `/v1/products/${product}/devices?quarantined=true` })).body.devices;
const member = (deviceId) => api.getDevice({ product, deviceId }).then((reply) => reply.body);

describe('a device that nobody imported', () => {
    it('waits, and gets nothing', async () => {
        const devices = await until('all wait', async () => {
            const now = await waiting();
            return now.length === 3 && now;
        });
        for (const one of devices) {
            assert.ok(fleet.ids.includes(one.id));
            assert.deepEqual([one.quarantined, one.denied, one.platform_id], [true, false, 13]);
            assert.ok(!('groups' in one));
        }
        assert.deepEqual((await api.listDevices({ product })).body.devices, []);
        assert.equal((await rejection(member(fleet.ids[0]))).statusCode, 403);
    });

    it('is approved, and then served', async () => {
        await server.upload(product, 1);
        await api.releaseProductFirmware({ product, version: 1, product_default: true });
        const { body } = await api.addDeviceToProduct({ product, deviceId: fleet.ids[0] });
        assert.deepEqual(body.updatedDeviceIds, [fleet.ids[0]]);
        await until('it runs the product default', () => fleet.device(fleet.ids[0]).version === 1, 60);
        await until('and says so', async () => (await member(fleet.ids[0])).firmware_version === 1);
    });

    it('is denied', async () => {
        const id = fleet.ids[1];
        assert.equal((await api.removeDevice({ product, deviceId: id, deny: true })).statusCode, 204);
        await until('it is shown as denied', async () => (await waiting()).find((one) => one.id === id)?.denied);
        assert.equal((await rejection(member(id))).statusCode, 403);
    });

    it('may be approved after all', async () => {
        const id = fleet.ids[1];
        await api.addDeviceToProduct({ product, deviceId: id });
        await until('it is served', () => fleet.device(id).version === 1, 60);
    });
});

describe('a member', () => {
    it('that is denied leaves and stays out', async () => {
        const id = fleet.ids[0];
        assert.equal((await api.removeDevice({ product, deviceId: id, deny: true })).statusCode, 204);
        assert.equal((await rejection(member(id))).statusCode, 403);
        fleet.order('reboot', id);
        await until('it is shown as denied', async () => (await waiting()).find((one) => one.id === id)?.denied);
        assert.deepEqual((await api.listDevices({ product })).body.devices.map((one) => one.id), [fleet.ids[1]]);
    });

    it('that is removed waits again when it comes back', async () => {
        const id = fleet.ids[1];
        await api.removeDevice({ product, deviceId: id });
        await until('it waits', async () => (await waiting()).some((one) => one.id === id && !one.denied), 60);
    });
});
