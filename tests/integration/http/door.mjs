// Starts the door for a test file and talks to it. Every suite has a door, a folder and an
// administrator of its own, so suites can run side by side.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { Contract } from './openapi.mjs';

export const program = process.env.HTTP_DOOR;
export const adminToken = 'ad'.repeat(20);
export const adminPassword = "admin's password"; // the door's own

// What doors that were not stopped leave behind goes with the suite.
const folders = [];
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

// log: what it writes to its log is kept in door.log() instead of being shown.
export async function startDoor(settings = [], token = adminToken, { tls = false, log = '' } = {}) {
    assert.ok(program, 'HTTP_DOOR names the program');
    const folder = mkdtempSync(join(tmpdir(), 'slipway-http-'));
    folders.push(folder);
    const child = spawn(program, ['serve', folder, ...settings], {
        env: {
            ...process.env,
            SLIPWAY_ADMIN_TOKEN: token,
            ...(log ? { HTTP_DOOR_LOG: log } : {}),
        },
        stdio: ['pipe', 'pipe', log ? 'pipe' : 'inherit'],
    });
    let logged = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => (logged += text));
    const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    const port = await new Promise((resolve, reject) => {
        child.stdout.once('data', (data) => resolve(Number(String(data).trim())));
        child.once('exit', (code) => reject(new Error(`the door ended with ${code}`)));
    });
    const base = `http://127.0.0.1:${port}`;
    // Every reply of every suite is held against the description.
    const contract = tls ? null : new Contract(await (await fetch(`${base}/v1/openapi.json`)).json());
    return {
        port,
        base,
        folder,
        pid: child.pid,
        log: () => logged,
        async call(method, path, options) {
            const reply = await call(base, method, path, options);
            if (method !== 'HEAD') contract.checkReply(method, new URL(base + path).pathname, reply);
            return reply;
        },
        // Ends it and insists on a clean end: a sanitizer's complaint is an exit code too.
        async stop() {
            child.stdin.end();
            const code = await exited;
            rmSync(folder, { recursive: true, force: true });
            assert.equal(code, 0, 'the door ends cleanly');
        },
    };
}

// One request. options: token (null = none), json, form, body, headers. The reply's body is parsed
// where it is JSON.
async function call(base, method, path, options = {}) {
    const headers = { ...options.headers };
    const token = options.token === undefined ? adminToken : options.token;
    if (token) headers.authorization = `Bearer ${token}`;
    let body = options.body;
    if (options.json !== undefined) {
        headers['content-type'] = 'application/json';
        body = JSON.stringify(options.json);
    } else if (options.form !== undefined) {
        body = options.form instanceof FormData ? options.form : new URLSearchParams(options.form);
    }
    // An empty body makes node 18 contradict the length that it announced.
    if (!(body instanceof FormData) && String(body ?? '') === '') body = undefined;
    const response = await fetch(base + path, { method, headers, body, redirect: 'manual' });
    const bytes = Buffer.from(await response.arrayBuffer());
    const type = response.headers.get('content-type') ?? '';
    const text = bytes.toString();
    return {
        status: response.status,
        headers: response.headers,
        bytes,
        text,
        body: type.startsWith('application/json') && text !== '' ? JSON.parse(text) : undefined,
    };
}

export function listRoutes() {
    const made = spawnSync(program, ['routes']);
    assert.equal(made.status, 0);
    return String(made.stdout).trim().split('\n').map((line) => JSON.parse(line));
}

export function module(platform, product, version, size = 5000) {
    const made = spawnSync(program, ['module', platform, product, version, size].map(String), {
        maxBuffer: 64 * 1024 * 1024,
    });
    assert.equal(made.status, 0, 'a module is made');
    return made.stdout;
}

export function uploadForm(bytes, fields, part = 'file', name = 'firmware.bin') {
    const form = new FormData();
    for (const [key, value] of Object.entries(fields)) form.append(key, String(value));
    if (bytes) form.append(part, new Blob([bytes], { type: 'application/octet-stream' }), name);
    return form;
}

export const BORON = 13;

export async function createProduct(door, name, fields = {}) {
    const reply = await door.call('POST', '/v1/products', {
        json: { product: { name, platform_id: BORON, ...fields } },
    });
    assert.equal(reply.status, 201, reply.text);
    return reply.body.product;
}

export async function upload(door, product, version, fields = {}, token) {
    const form = uploadForm(module(product.platform_id, product.id, version), {
        version,
        title: `version ${version}`,
        ...fields,
    });
    const reply = await door.call('POST', `/v1/products/${product.id}/firmware`, { form, token });
    assert.equal(reply.status, 201, reply.text);
    return reply.body;
}

// A reply that is an error in one of the dialect's shapes, and whose text matches.
export function assertError(reply, status, pattern) {
    assert.equal(reply.status, status, reply.text);
    assert.ok(reply.headers.get('content-type').startsWith('application/json'), 'errors are JSON');
    assert.ok(reply.body && (reply.body.error || reply.body.errors), reply.text);
    if (pattern) assert.match(reply.body.error_description ?? reply.body.error ?? '', pattern);
}

export const deviceId = (n) => n.toString(16).padStart(24, '0');
