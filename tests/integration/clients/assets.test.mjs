// Asset bundles by particle-api-js: from the upload to the store of a simulated device.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { BORON, rejection, run, startServer, until } from './harness.mjs';

let server;
let api;
let product;
let fleet;
let id;
const files = {};
before(async () => {
    server = await startServer();
    api = server.api();
    product = (await server.createProduct('Bird feeder')).id;
    for (const [name, bytes] of [['cat.jpg', 30000], ['sensor.bin', 2000], ['sound.wav', 700]]) {
        files[name] = join(server.folder, name);
        writeFileSync(files[name], Buffer.alloc(bytes, name));
    }
    fleet = await server.startFleet(product, '--devices', 1, '--platform', BORON);
    id = fleet.ids[0];
    await fleet.connected();
});
after(() => server?.stop());

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

// An application that depends on some assets, and a bundle that has some.
function bundle(version, needed, packed = needed) {
    const application = join(server.folder, `application-${version}.bin`);
    const zip = join(server.folder, `bundle-${version}.zip`);
    run('slipway-module', 'make', '--platform', BORON, '--version', version, '--size', 9000,
        ...needed.flatMap((name) => ['--asset', files[name]]), application);
    run('slipway-module', 'bundle', zip, application, ...packed.map((name) => files[name]));
    return { application, zip };
}

const assets = async () => (await api.getDevice({ deviceId: id, product })).body.assets;

async function arrived(version) {
    await until(`the device runs version ${version} and has its assets`, async () => {
        const { body } = await api.getDevice({ deviceId: id, product });
        return body.firmware_version === version && body.assets.length > 0 &&
            body.assets.every((one) => one.status === 'available');
    }, 60);
}

describe('a bundle', () => {
    it('is taken, and given back as it was', async () => {
        const { zip } = bundle(2, ['cat.jpg', 'sensor.bin']);
        const { body, statusCode } = await api.uploadProductFirmware({
            product, version: 2, title: 'with a cat', file: zip,
        });
        assert.equal(statusCode, 201);
        assert.equal(body.size, readFileSync(zip).length);
        const reply = await api.downloadProductFirmware({ product, version: 2 });
        assert.deepEqual(Buffer.from(reply), readFileSync(zip));
    });

    it('must have what the application depends on', async () => {
        const { zip } = bundle(3, ['cat.jpg', 'sensor.bin'], ['cat.jpg']);
        const error = await rejection(api.uploadProductFirmware({
            product, version: 3, title: 'half of it', file: zip,
        }));
        assert.equal(error.statusCode, 400);
        assert.match(error.body.error_description, /needs the asset "sensor\.bin", which is not in it/);
    });

    it('must not be left out', async () => {
        const { application } = bundle(4, ['cat.jpg']);
        const error = await rejection(api.uploadProductFirmware({
            product, version: 4, title: 'alone', file: application,
        }));
        assert.equal(error.statusCode, 400);
        assert.match(error.body.error_description, /needs 1 assets: upload the bundle/);
    });
});

describe('a device', () => {
    it('gets the assets of a release, then its application', async () => {
        assert.deepEqual(await assets(), []);
        await api.put({
            uri: `/v1/products/${product}/firmware/release`,
            data: { version: 2, product_default: true, intelligent: true },
        });
        await arrived(2);
        assert.deepEqual(await assets(), [
            { name: 'cat.jpg', hash: sha256(files['cat.jpg']), status: 'available' },
            { name: 'sensor.bin', hash: sha256(files['sensor.bin']), status: 'available' },
        ]);
        const { body } = await server.request('GET', `/v1/products/${product}/devices/${id}/updates`);
        const [update] = body.updates;
        assert.equal(update.state, 'succeeded');
        const steps = update.timeline.map((step) => step.reason).filter((reason) => reason);
        assert.deepEqual(steps, ['asset_stored', 'asset_stored']);
        assert.equal(update.timeline.filter((step) => step.to === 'rebooting').length, 3);
    });

    it('gets only what it lacks when a bundle is flashed to it', async () => {
        const { zip } = bundle(5, ['cat.jpg', 'sensor.bin', 'sound.wav']);
        const { body } = await api.flashDevice({ deviceId: id, product, files: { file: zip } });
        assert.equal(body.status, 'Update started');
        const flashed = await until('the flash succeeds', async () => {
            const { body: { updates } } =
                await server.request('GET', `/v1/products/${product}/devices/${id}/updates`);
            return updates.find((one) => one.cause === 'flash' && one.state === 'succeeded');
        }, 60);
        await arrived(5);
        assert.equal(flashed.timeline.filter((step) => step.reason === 'asset_stored').length, 1);
        assert.equal((await assets()).length, 3);
    });
});
