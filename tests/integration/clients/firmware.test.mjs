// Products, firmware and releases by particle-api-js, and the upload that the CI action sends.
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { BORON, adminToken, rejection, startServer } from './harness.mjs';

let server;
let api;
let product;
const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

before(async () => {
    server = await startServer();
    api = server.api();
    product = await server.createProduct('Tide gauge', { description: 'measures' });
});
after(() => server?.stop());

describe('products', () => {
    it('are listed at both addresses', async () => {
        const { body } = await api.listProducts({});
        const found = body.products.find((one) => one.id === product.id);
        assert.equal(found.name, 'Tide gauge');
        assert.equal(found.platform_id, BORON);
        assert.deepEqual((await api.get({ uri: '/v1/user/products' })).body, body);
    });

    it('are one object, by number or slug', async () => {
        const { body } = await api.getProduct({ product: product.id });
        assert.ok(!Array.isArray(body.product));
        assert.ok(product.id > 100, 'small numbers are platforms to some clients');
        assert.deepEqual(body.product.groups, []);
        assert.equal(body.product.settings.quarantine, true);
        assert.deepEqual((await api.getProduct({ product: product.slug })).body, body);
    });

    it('are missed politely', async () => {
        for (const name of [65000, 'no-such-slug']) {
            const error = await rejection(api.getProduct({ product: name }));
            assert.equal(error.statusCode, 404);
            assert.deepEqual([error.body.ok, error.body.error], [false, 'Product not found.']);
        }
    });
});

describe('an upload', () => {
    it('from a path, sent in chunks', async () => {
        const file = server.module(1);
        const { body, statusCode } = await api.uploadProductFirmware({
            product: product.id, version: 1, title: 'first', description: 'the first one', file,
        });
        assert.equal(statusCode, 201);
        assert.match(body._id, /^[0-9a-f]{24}$/);
        assert.equal(body.version, 1);
        assert.equal(body.title, 'first');
        assert.equal(body.description, 'the first one');
        assert.equal(body.name, 'firmware.bin');
        assert.equal(body.size, readFileSync(file).length);
        assert.equal(body.product_id, product.id);
        assert.deepEqual([body.product_default, body.current, body.groups], [false, false, []]);
        assert.equal(body.uploaded_by.username, 'admin');
        assert.match(body.uploaded_on, iso);
        assert.match(body.updated_at, iso);
    });

    it('from memory, without a description', async () => {
        const { body, statusCode } = await api.uploadProductFirmware({
            product: product.slug, version: 2, title: 'second', file: readFileSync(server.module(2)),
        });
        assert.equal(statusCode, 201);
        assert.deepEqual([body.version, body.description], [2, '']);
    });

    it('as the firmware upload action sends it', async () => {
        const path = server.module(7);
        const form = new FormData();
        form.append('binary', new Blob([readFileSync(path)], { type: 'application/octet-stream' }), basename(path));
        form.append('version', '7');
        form.append('title', 'Firmware v7');
        form.append('description', '');
        const reply = await fetch(`${server.url}/v1/products/${product.id}/firmware`, {
            method: 'POST',
            body: form,
            headers: {
                Authorization: `Bearer ${adminToken}`,
                Accept: 'application/json',
                'User-Agent': 'particle-firmware-upload-action',
                'X-Particle-Tool': 'particle-firmware-upload-action',
                'X-Api-Version': '1.2.0',
            },
        });
        const body = await reply.json();
        assert.equal(reply.status, 201, JSON.stringify(body));
        assert.equal(body.title, 'Firmware v7');
        assert.equal(body.uploaded_by.username, 'admin');
        assert.equal(body.name, basename(path));
    });

    it('by an API user that may do only this', async () => {
        const { body } = await api.post({
            uri: `/v1/products/${product.id}/team`,
            data: { friendly_name: 'pipeline', scopes: ['firmware:create'] },
        });
        const pipeline = server.api(body.created.tokens[0].token);
        const made = await pipeline.uploadProductFirmware({
            product: product.id, version: 8, title: 'from CI', file: server.module(8),
        });
        assert.equal(made.body.uploaded_by.username, body.created.username);
        const error = await rejection(pipeline.releaseProductFirmware({ product: product.id, version: 8 }));
        assert.deepEqual([error.statusCode, error.body.error], [400, 'unauthorized']);
    });

    const refused = (what, fields, pattern) => it(`is refused: ${what}`, async () => {
        const error = await rejection(api.uploadProductFirmware({ product: product.id, title: 't', ...fields() }));
        assert.equal(error.statusCode, 400);
        assert.ok(error.body.error);
        assert.match(error.shortErrorDescription, pattern);
    });
    refused('that version exists', () => ({ version: 1, file: server.module(1, { seed: 99 }) }),
        /^Firmware version already exists$/);
    refused('another version is compiled in', () => ({ version: 3, file: server.module(4) }), /version/i);
    refused('not a module', () => ({ version: 3, file: Buffer.from('hello') }), /\w/);
    refused('no title', () => ({ version: 3, title: undefined, file: server.module(3) }), /title/);
    refused('no version', () => ({ file: server.module(3) }), /version/);
    refused('a damaged module', () => {
        const file = readFileSync(server.module(3));
        file[file.length >> 1] ^= 1;
        return { version: 3, file };
    }, /CRC/i);
});

describe('firmware', () => {
    it('is listed as a bare array', async () => {
        const { body } = await api.listProductFirmware({ product: product.id });
        assert.deepEqual(body.map((one) => one.version).sort(), [1, 2, 7, 8]);
        for (const one of body) {
            for (const key of ['_id', 'title', 'description', 'name', 'size', 'product_default', 'groups',
                'device_count', 'immediate', 'intelligent', 'mandatory', 'uploaded_on', 'uploaded_by']) {
                assert.ok(key in one, key);
            }
        }
    });

    it('is read and edited', async () => {
        const { body } = await api.getProductFirmware({ product: product.id, version: 2 });
        assert.equal(body.title, 'second');
        const edited = await api.updateProductFirmware({
            product: product.id, version: 2, title: 'second, renamed', description: 'now with words',
        });
        assert.deepEqual([edited.body.title, edited.body.description], ['second, renamed', 'now with words']);
        const again = await api.updateProductFirmware({ product: product.id, version: 2, title: 'second' });
        assert.deepEqual([again.body.title, again.body.description], ['second', 'now with words']);
    });

    it('comes back byte for byte', async () => {
        const bytes = await api.downloadProductFirmware({ product: product.id, version: 1 });
        assert.ok(bytes.equals(readFileSync(server.module(1))));
    });

    it('is missed politely', async () => {
        const error = await rejection(api.getProductFirmware({ product: product.id, version: 500 }));
        assert.equal(error.statusCode, 404);
        const download = await rejection(api.downloadProductFirmware({ product: product.id, version: 500 }));
        assert.equal(download.statusCode, 404);
    });

    it('is deleted while it was never released', async () => {
        await server.upload(product.id, 9);
        const gone = await api.delete({ uri: `/v1/products/${product.id}/firmware/9` });
        assert.deepEqual(gone, { body: {}, statusCode: 204 });
        assert.equal((await rejection(api.getProductFirmware({ product: product.id, version: 9 }))).statusCode, 404);
    });
});

describe('a release', () => {
    const release = (fields) => api.releaseProductFirmware({ product: product.id, ...fields });
    const shown = async (version) => (await api.getProductFirmware({ product: product.id, version })).body;

    it('to the product', async () => {
        const { body } = await release({ version: 1, product_default: true });
        assert.deepEqual([body.version, body.product_default, body.groups], [1, true, []]);
        assert.equal(body.uploaded_by.username, 'admin');
        assert.equal((await shown(1)).product_default, true);
    });

    it('to groups, at once', async () => {
        for (const name of ['alpha', 'beta']) {
            const made = await api.post({ uri: `/v1/products/${product.id}/groups`, data: { name } });
            assert.equal(made.statusCode, 201);
        }
        const { body } = await release({
            version: 2, product_default: false, groups: ['alpha', 'beta'], intelligent: true,
        });
        assert.deepEqual([...body.groups].sort(), ['alpha', 'beta']);
        assert.equal(body.intelligent, true);
        const now = await shown(2);
        assert.deepEqual([now.immediate, now.intelligent, now.product_default], [true, true, false]);
        assert.equal((await shown(1)).product_default, true, 'the default stays');
    });

    it('takes a group from the version that had it', async () => {
        await release({ version: 7, groups: ['beta'] });
        assert.deepEqual((await shown(7)).groups, ['beta']);
        assert.deepEqual((await shown(2)).groups, ['alpha']);
        const { body } = await api.get({ uri: `/v1/products/${product.id}/groups/beta` });
        assert.equal(body.group.fw_version, 7);
        const product_ = (await api.getProduct({ product: product.id })).body.product;
        assert.deepEqual([...product_.groups].sort(), ['alpha', 'beta']);
    });

    it('moves the product default', async () => {
        await release({ version: 8, product_default: true });
        assert.deepEqual([(await shown(1)).product_default, (await shown(8)).product_default], [false, true]);
        await release({ version: 8, product_default: false });
        assert.equal((await shown(8)).product_default, false);
    });

    it('of a version alone, as older clients ask, is the default', async () => {
        await release({ version: 1 });
        assert.equal((await shown(1)).product_default, true);
    });

    it('tells beforehand whom it reaches', async () => {
        const { body } = await api.get({
            uri: `/v1/products/${product.id}/impact`,
            query: { action: 'edit_groups_for_firmware', firmware_version: 2, groups: 'alpha', product_default: false },
        });
        assert.deepEqual(body.devices.firmware_update, { total: 0, by_version: [] });
    });

    it('of what does not exist is refused', async () => {
        const version = await rejection(release({ version: 500, product_default: true }));
        assert.ok(version.statusCode === 400 || version.statusCode === 404);
        assert.match(version.shortErrorDescription, /version|firmware/i);
        const group = await rejection(release({ version: 1, groups: ['no-such'] }));
        assert.ok(group.statusCode === 400 || group.statusCode === 404);
        assert.match(group.shortErrorDescription, /no-such/);
        assert.deepEqual((await shown(2)).groups, ['alpha'], 'nothing moved');
    });

    it('makes its firmware undeletable', async () => {
        const error = await rejection(api.delete({ uri: `/v1/products/${product.id}/firmware/1` }));
        assert.ok(error.statusCode >= 400 && error.statusCode < 500);
        assert.match(error.shortErrorDescription, /release/);
    });
});

describe('what clients ask besides', () => {
    it('build targets', async () => {
        const { body } = await api.listBuildTargets({ onlyFeatured: true });
        assert.ok(Array.isArray(body.targets));
        assert.equal(body.platforms.Boron, 13);
        assert.equal(typeof body.default_versions, 'object');
        assert.ok(Array.isArray(await api.client({ auth: adminToken }).listBuildTargets()));
    });

    it('organizations, of which there are none', async () => {
        assert.deepEqual((await api.get({ uri: '/v1/orgs' })).body, { organizations: [] });
    });

    it('what does not exist, in JSON', async () => {
        const error = await rejection(api.get({ uri: '/v1/no/such/thing' }));
        assert.equal(error.statusCode, 404);
        assert.ok(error.body.error, 'the SDK could parse it');
        const method = await server.request('PATCH', '/v1/products');
        assert.equal(method.status, 405);
        assert.ok(method.headers.get('allow').includes('GET'));
    });

    it('with the headers of tools', async () => {
        const { body } = await api.listProducts({
            context: { tool: { name: 'mill', version: '1.0' }, project: { name: 'tide' } },
        });
        assert.ok(body.products.length > 0);
    });
});
