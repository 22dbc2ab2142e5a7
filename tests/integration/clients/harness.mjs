// A slipwayd and a fleet of slipway-sim for a suite, and the real clients pointed at them. Every
// suite has a server, a data folder and an administrator of its own, so suites can run side by side.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const require = createRequire(import.meta.url);
export const Particle = require('particle-api-js');

export const adminToken = '5a'.repeat(20);
export const password = 'correct horse battery';
export const BORON = 13;

// The platform's own package brings a node that is new enough for particle-cli.
export function modernNode() {
    const name = `node-${process.platform}-${process.arch}`;
    const program = new URL(`node_modules/${name}/bin/node`, import.meta.url).pathname;
    if (existsSync(program)) return program;
    return Number(process.versions.node.split('.')[0]) >= 22 ? process.execPath : null;
}

function program(name) {
    assert.ok(process.env.SLIPWAY_BUILD, 'SLIPWAY_BUILD names the folder of the programs');
    return join(process.env.SLIPWAY_BUILD, name);
}

export function run(name, ...args) {
    const done = spawnSync(program(name), args.map(String), { encoding: 'utf8' });
    assert.equal(done.status, 0, `${name} ${args.join(' ')}: ${done.stderr}`);
    return done.stdout;
}

// Asks until the answer is truthy. What it waited for is in the complaint.
export async function until(what, ask, seconds = 30) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (Date.now() > end) assert.fail(`not within ${seconds} s: ${what}`);
        await sleep(50);
    }
}

// What a promise was rejected with; a client's error is checked field by field.
export async function rejection(promise) {
    let value;
    try {
        value = await promise;
    } catch (error) {
        return error;
    }
    return assert.fail(`went well: ${JSON.stringify(value)}`);
}

export async function startServer(...options) {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-clients-'));
    const server = new Server(folder, options);
    try {
        await server.start();
    } catch (error) {
        server.child.kill('SIGKILL');
        throw error;
    }
    return server;
}

class Server {
    constructor(folder, options) {
        this.folder = folder;
        this.options = options;
        this.data = join(folder, 'data');
        this.http = '127.0.0.1:0';
        this.dtls = '127.0.0.1:0';
        this.fleets = [];
    }

    // Also starts it again on the same folder and ports.
    async start() {
        const args = ['--data', this.data, '--http', this.http, '--dtls', this.dtls];
        this.child = spawn(program('slipwayd'), [...args, ...this.options], {
            env: { ...process.env, SLIPWAY_ADMIN_TOKEN: adminToken, SLIPWAY_ADMIN_PASSWORD: password },
            stdio: ['ignore', 'pipe', openSync(join(this.folder, 'server.log'), 'a')],
        });
        this.exited = new Promise((resolve) =>
            this.child.once('exit', (code, signal) => resolve(code ?? signal)));
        let said = '';
        this.child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
        const ready = await until('the line that says that slipwayd is ready', () => {
            if (this.child.exitCode !== null) assert.fail(`slipwayd ended: ${this.log().slice(-2000)}`);
            return /^slipwayd ready.*$/m.exec(said);
        }, 20);
        this.http = /http=(\S+)/.exec(ready[0])[1];
        this.dtls = /dtls=(\S+)/.exec(ready[0])[1];
        this.url = `http://${this.http}`;
    }

    log() {
        return readFileSync(join(this.folder, 'server.log'), 'utf8');
    }

    // particle-api-js as an application uses it. Without a token it sends none.
    api(token = adminToken) {
        const api = new Particle({ baseUrl: this.url });
        if (token) api.setDefaultAuth(token);
        return api;
    }

    // A request without any client's help. The body is parsed where it is JSON.
    async request(method, path, { token = adminToken, json, form, headers = {} } = {}) {
        const all = { ...headers };
        if (token) all.authorization = `Bearer ${token}`;
        if (json !== undefined) all['content-type'] = 'application/json';
        const body = json === undefined ? form : JSON.stringify(json);
        const reply = await fetch(this.url + path, { method, headers: all, body });
        const text = await reply.text();
        const isJson = (reply.headers.get('content-type') ?? '').startsWith('application/json');
        return {
            status: reply.status,
            headers: reply.headers,
            text,
            body: isJson && text !== '' ? JSON.parse(text) : undefined,
        };
    }

    async createProduct(name, fields = {}) {
        const reply = await this.request('POST', '/v1/products', {
            json: { product: { name, platform_id: BORON, ...fields } },
        });
        assert.equal(reply.status, 201, reply.text);
        return reply.body.product;
    }

    // A module of a product as a file.
    module(version, { productId = BORON, size = 20000, seed = version } = {}) {
        const path = join(this.folder, `app-${productId}-${version}-${seed}.bin`);
        run('slipway-module', 'make', '--platform', BORON, '--product-id', productId, '--version',
            version, '--size', size, '--seed', seed, path);
        return path;
    }

    async upload(product, version) {
        const { body } = await this.api().uploadProductFirmware({
            product, version, title: `v${version}`, file: this.module(version),
        });
        return body;
    }

    // Devices that connect; members of the product from the start, unless it is null.
    async startFleet(product, ...options) {
        const fleet = new Fleet(this, this.fleets.length, options.map(String));
        if (product) {
            await this.api().post({ uri: `/v1/products/${product}/devices`, data: { ids: fleet.ids } });
        }
        fleet.start();
        this.fleets.push(fleet);
        return fleet;
    }

    // The fleet must have seen nothing that a device does not tolerate, and the server ends cleanly.
    async stop() {
        const complaints = [];
        for (const fleet of this.fleets) complaints.push(...(await fleet.stop()));
        this.child.kill('SIGTERM');
        const code = await this.exited;
        const log = this.log();
        if (!process.env.SLIPWAY_KEEP) rmSync(this.folder, { recursive: true, force: true });
        assert.equal(code, 0, `slipwayd ends cleanly: ${log.slice(-2000)}`);
        assert.deepEqual(complaints, [], 'the devices have nothing to complain about');
        assert.doesNotMatch(log, new RegExp(`${adminToken}|${password}`), 'no secret in the log');
    }
}

class Fleet {
    constructor(server, number, options) {
        this.server = server;
        this.options = options;
        this.log = join(server.folder, `fleet-${number}.log`);
        this.status = join(server.folder, `fleet-${number}.json`);
        this.ids = run('slipway-sim', '--print-ids', ...options).trim().split('\n');
    }

    start() {
        const log = openSync(this.log, 'w');
        this.child = spawn(program('slipway-sim'), [
            '--server', this.server.dtls, '--server-key', join(this.server.data, 'server_key.pub.pem'),
            '--control', '-', '--status-file', this.status, '--reboot-ms', '300', ...this.options,
        ], { stdio: ['pipe', log, log] });
        this.exited = new Promise((resolve) =>
            this.child.once('exit', (code, signal) => resolve(code ?? signal)));
    }

    // Orders: enable, disable, reboot, wake, cut; of one device or all.
    order(word, id = 'all') {
        this.child.stdin.write(`${word} ${id}\n`);
    }

    devices() {
        try {
            return JSON.parse(readFileSync(this.status, 'utf8')).devices;
        } catch {
            return []; /* not written yet */
        }
    }

    device(id) {
        return this.devices().find((device) => device.id === id) ?? {};
    }

    async connected() {
        await until('every simulated device is connected', () => {
            const devices = this.devices();
            return devices.length === this.ids.length && devices.every((one) => one.connected);
        });
    }

    async stop() {
        const seen = this.devices().flatMap((one) => one.violations);
        if (this.child.exitCode === null) this.child.kill('SIGTERM');
        const code = await this.exited;
        return code === 0 ? seen : [...seen, `slipway-sim ended with ${code}`];
    }
}

// Collects the events of a stream; next() takes the first that fits, whether it came already or not.
export function follow(stream) {
    const seen = [];
    stream.on('event', (event) => seen.push(event));
    return {
        seen,
        stream,
        async next(what, fits, seconds = 20) {
            const find = () => seen.find((event) => fits(event));
            await until(`the event: ${what}; seen: ${JSON.stringify(seen.map((e) => [e.name, e.data]))}`,
                find, seconds);
            return find();
        },
        close: () => stream.abort(),
    };
}
