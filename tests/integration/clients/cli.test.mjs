// particle-cli against the server, each command a process with a home folder of its own.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { adminToken, modernNode, password, rejection, startServer, until } from './harness.mjs';

const node = modernNode();
const program = new URL('node_modules/particle-cli/src/index.js', import.meta.url).pathname;
const skip = node ? false : 'particle-cli needs node 22, and there is no package of it for this machine';

let server;
let api;
let product;
let fleet;
let id;
let home;

before(async () => {
    if (skip) return;
    server = await startServer();
    api = server.api();
    product = (await server.createProduct('Windmill')).id;
    fleet = await server.startFleet(product, '--devices', 2, '--seed', 55, '--version', 1);
    [id] = fleet.ids;
    home = join(server.folder, 'home');
    mkdirSync(home);
});
after(() => server?.stop());

const environment = () => ({
    PATH: process.env.PATH, HOME: home, TMPDIR: process.env.TMPDIR ?? '/tmp', PARTICLE_DISABLE_UPDATE: 'true', CI: 'true',
});

// Ends well with what it printed, colours taken off, or is rejected with the same.
function particle(...args) {
    return new Promise((resolve, reject) => {
        const options = { cwd: home, env: environment(), timeout: 60000 };
        execFile(node, [program, ...args.map(String)], options, (error, stdout, stderr) => {
            const said = `${stdout}${stderr}`.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '');
            if (error) reject(Object.assign(new Error(`particle ${args.join(' ')}: ${said}`), { said }));
            else resolve(said);
        }).stdin.end();
    });
}

const config = () => JSON.parse(readFileSync(join(home, '.particle', 'particle.config.json'), 'utf8'));
const device = (deviceId = id) => api.getDevice({ product, deviceId }).then((reply) => reply.body);
const received = (path) => until('the device verified the file', () => fleet.device(id).verified_sha256
    ?.includes(createHash('sha256').update(readFileSync(path)).digest('hex')));

describe('particle profile, login, whoami', { skip }, () => {
    it('points at the server', async () => {
        await particle('profile', 'set', 'apiUrl', server.url);
        assert.equal(config().apiUrl, server.url);
    });

    it('does nothing before a login', async () => {
        await rejection(particle('whoami'));
    });

    it('logs in with name and password', async () => {
        assert.match(await particle('login', '--username', 'admin', '--password', password), /Successfully completed login/);
        assert.match(config().access_token, /^[0-9a-f]{40}$/);
        const left = (Date.parse(config().access_token_expires_at) - Date.now()) / 86400000;
        assert.ok(left > 89 && left < 91, `${left} days`);
        assert.match(await particle('whoami'), /admin/);
    });

    it('logs out, which ends the token', async () => {
        const { access_token: token } = config();
        await particle('logout');
        assert.equal((await rejection(server.api(token).getUserInfo({}))).statusCode, 401);
        assert.equal(config().access_token ?? null, null);
    });

    it('refuses a wrong password in words', async () => {
        const { said } = await rejection(particle('login', '--username', 'admin', '--password', 'wrong'));
        assert.match(said, /credentials are invalid/i);
    });

    it('logs in with a token', async () => {
        const { body } = await server.api(null).login({ username: 'admin', password });
        await particle('login', '--token', body.access_token);
        assert.equal(config().username, 'admin');
        assert.equal(config().access_token, body.access_token);
        assert.match(await particle('whoami'), /admin/);
    });

    it('revokes another token', async () => {
        const { body } = await server.api(null).login({ username: 'admin', password });
        assert.match(await particle('token', 'revoke', body.access_token, '--force'), /revoked/i);
        assert.equal((await rejection(server.api(body.access_token).getUserInfo({}))).statusCode, 401);
    });
});

describe('particle product device', { skip }, () => {
    const one = 'e00fce68aaaaaaaaaaaaaaaa';

    it('list', async () => {
        const said = await particle('product', 'device', 'list', product);
        for (const each of fleet.ids) assert.ok(said.includes(each), said);
    });

    it('list of one', async () => {
        assert.ok((await particle('product', 'device', 'list', product, id)).includes(id));
    });

    it('list with filters, as JSON', async () => {
        await api.put({ uri: `/v1/products/${product}/devices/${id}`, data: { groups: ['a'], name: 'device one' } });
        const said = await particle('product', 'device', 'list', product, '--groups', 'a', 'b', '--name', 'dev',
            '--page', 1, '--limit', 50, '--json');
        const json = JSON.parse(said.slice(said.indexOf('{')));
        const devices = json.data ?? json.devices;
        assert.deepEqual(devices.map((each) => each.id), [id]);
    });

    it('add by id', async () => {
        assert.match(await particle('product', 'device', 'add', product, one), /Success/i);
        assert.equal((await device(one)).product_id, product);
        assert.match(await particle('product', 'device', 'add', product, one), /Success/i);
    });

    it('add by file', async () => {
        const file = join(home, 'ids.txt');
        writeFileSync(file, 'e00fce68bbbbbbbbbbbbbbbb\ne00fce68cccccccccccccccc\n');
        await particle('product', 'device', 'add', product, '--file', file);
        assert.equal((await device('e00fce68cccccccccccccccc')).product_id, product);
    });

    it('add tells what it cannot add', async () => {
        const file = join(home, 'bad.txt');
        writeFileSync(file, 'rubbish\n');
        const error = await particle('product', 'device', 'add', product, '--file', file).catch((reason) => reason);
        assert.match(error.said ?? error, /rubbish/);
    });

    it('remove', async () => {
        assert.match(await particle('product', 'device', 'remove', product, one), /Success/i);
        assert.equal((await rejection(device(one))).statusCode, 403);
    });

    it('of a product that does not exist', async () => {
        const { said } = await rejection(particle('product', 'device', 'list', 65000));
        assert.match(said, /Product not found/);
    });
});

describe('particle with a device', { skip }, () => {
    before(() => fleet?.connected());

    it('list', async () => {
        const said = await particle('list');
        assert.ok(said.includes(id) && /online/i.test(said), said);
    });

    it('cloud name', async () => {
        await particle('cloud', 'name', id, 'miller');
        assert.equal((await device()).name, 'miller');
    });

    it('cloud flash', async () => {
        const file = join(home, 'app.bin');
        copyFileSync(server.module(2), file);
        await particle('cloud', 'flash', id, file);
        await received(file);
        await until('it runs 2', async () => (await device()).firmware_version === 2 && (await device()).online);
    });

    it('cloud flash by name', async () => {
        const file = join(home, 'app3.bin');
        copyFileSync(server.module(3), file);
        await particle('cloud', 'flash', 'miller', file);
        await received(file);
        await until('it runs 3', async () => (await device()).firmware_version === 3 && (await device()).online);
    });

    it('cloud flash --product, which makes it a development device', async () => {
        const file = join(home, 'app4.bin');
        copyFileSync(server.module(4), file);
        assert.equal((await device()).development, false);
        await particle('cloud', 'flash', id, file, '--product', product);
        await received(file);
        await until('it runs 4', async () => (await device()).firmware_version === 4 && (await device()).online);
        assert.equal((await device()).development, true);
    });

    it('flash --cloud', async () => {
        const file = join(home, 'app5.bin');
        copyFileSync(server.module(5), file);
        await particle('flash', '--cloud', id, file);
        await received(file);
        await until('it runs 5', async () => (await device()).firmware_version === 5 && (await device()).online);
    });

    it('cloud flash of an application that the CLI brings along', async () => {
        const tinker = new URL('node_modules/particle-cli/assets/knownApps/boron/tinker/', import.meta.url);
        const [file] = readdirSync(tinker).filter((name) => name.endsWith('.bin'));
        await particle('cloud', 'flash', id, 'tinker');
        await received(join(tinker.pathname, file));
        const { hellos } = fleet.device(id); /* the reset is still to come */
        await until('it started again', () => fleet.device(id).hellos > hellos && fleet.device(id).connected);
    });

    it('cloud flash of an absent device fails', async () => {
        const { said } = await rejection(particle('cloud', 'flash', 'e00fce68bbbbbbbbbbbbbbbb', join(home, 'app.bin')));
        assert.match(said, /Request Timed Out/i);
    });

    it('nyan', async () => {
        await particle('nyan', id, 'on', '--product', product);
        await particle('nyan', id, 'off', '--product', product);
    });

    it('function call and list', async () => {
        assert.match(await particle('function', 'call', id, 'echo', 'abcde', '--product', product), /^5$/m);
        assert.match(await particle('function', 'list'), /echo/);
    });

    it('get', async () => {
        assert.match(await particle('get', id, 'boots'), /^\d+$/m);
    });

    it('cloud claim and remove', async () => {
        assert.match(await particle('cloud', 'claim', id), /Success/i);
        await particle('cloud', 'remove', id, '--yes');
        assert.equal((await device()).product_id, product, 'the product keeps it');
    });
});

describe('particle with events', { skip }, () => {
    // Publishes until the process has ended: what comes before it listens is not for it.
    async function heard(args, act) {
        const child = spawn(node, [program, 'subscribe', ...args.map(String)], { cwd: home, env: environment() });
        let said = '';
        for (const pipe of [child.stdout, child.stderr]) pipe.setEncoding('utf8').on('data', (text) => (said += text));
        const ended = new Promise((resolve) => child.once('exit', resolve));
        await until('it listens', () => /Subscribing/.test(said));
        const timer = setInterval(act, 300);
        const code = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 30000, 'late'))]);
        clearInterval(timer);
        child.kill('SIGKILL');
        assert.equal(code, 0, said);
        return said;
    }

    it('publish', async () => {
        assert.match(await particle('publish', 'mill/turns', 'data', '--product', product), /Published event: mill\/turns/);
        assert.match(await particle('publish', 'mill/turns', 'data'), /Published event: mill\/turns/);
    });

    it('subscribe to a product', async () => {
        const said = await heard(['mill/', '--product', product, '--max', 1],
            () => api.publishEvent({ name: 'mill/grain', data: 'wheat', product }));
        const event = JSON.parse(/^\{.*\}$/m.exec(said)[0]);
        assert.deepEqual([event.name, event.data, event.productID], ['mill/grain', 'wheat', product]);
    });

    it('subscribe to a device until it was reset by its user', async () => {
        let asked = 0;
        const said = await heard(['--device', id, 'spark', '--until', 'user'],
            () => asked++ % 10 === 0 && fleet.order('reboot', id));
        assert.match(said, /Matching event received/);
    });
});

describe('particle webhook, integration', { skip }, () => {
    it('list', async () => {
        await api.createIntegration({ product, event: 'mill',
            settings: { integration_type: 'Webhook', url: 'http://127.0.0.1:9/', requestType: 'POST' } });
        await particle('webhook', 'list');
        assert.match(await particle('integration', 'list', '--product', product), /mill/);
    });
});

describe('particle keys', { skip }, () => {
    it('send', async () => {
        const file = join(home, 'device.pub.pem');
        const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
        assert.match(await particle('keys', 'send', 'e00fce68dddddddddddddddd', file), /succeeded/);
    });

    it('send of another kind of key is refused', async () => {
        const file = join(home, 'rsa.pub.pem');
        const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
        writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
        const { said } = await rejection(particle('keys', 'send', 'e00fce68dddddddddddddddd', file));
        assert.match(said, /algorithm/);
    });
});

describe('particle logout', { skip }, () => {
    it('ends the last token and not the administrator\'s', async () => {
        await particle('logout');
        await rejection(particle('whoami'));
        assert.equal((await server.api(adminToken).getUserInfo({})).body.username, 'admin');
    });
});
