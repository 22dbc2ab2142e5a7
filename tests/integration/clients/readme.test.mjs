// The curl lines of README.md, as they stand there, one after the other in one shell.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';

import { adminToken, startServer, until } from './harness.mjs';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/^```\w*\n(.*?)^```$/gms)].map((match) => match[1]).filter((block) => /^curl /m.test(block));
const lines = blocks.flatMap((block) => block.replace(/\\\n/g, '').trim().split('\n'));
const isStream = (line) => /\/events" /.test(line);

let server;
let fleet;
before(async () => {
    server = await startServer();
    fleet = await server.startFleet(null, '--devices', 1, '--seed', 77);
    copyFileSync(server.module(1), join(server.folder, 'app.bin'));
});
after(() => server?.stop());

it('says how to drive it', () => {
    assert.ok(lines.filter((line) => line.startsWith('curl ')).length >= 5, readme);
});

it('tells lines that work', { timeout: 120000 }, async () => {
    const [id] = fleet.ids;
    const settings = [];
    for (const line of lines) {
        if (!line.startsWith('curl ')) {
            settings.push(line);
            continue;
        }
        const options = isStream(line) ? '--max-time 2' : '--max-time 20';
        const shell = `${settings.join('\n')}\ncurl() { command curl -sS --fail-with-body ${options} "$@"; }\n${line}`;
        const done = spawnSync('bash', ['-c', shell], {
            cwd: server.folder, encoding: 'utf8',
            env: { PATH: process.env.PATH, URL: server.url, TOKEN: adminToken, DEVICE: id },
        });
        const ended = isStream(line) ? 28 : 0; /* it is cut off after its time */
        assert.equal(done.status, ended, `${line}\n${done.stdout}${done.stderr}`);
        if (isStream(line)) assert.match(done.stdout, /^:ok\n/);
        else assert.equal(typeof JSON.parse(done.stdout), 'object');
        if (/flash=true/.test(line)) {
            await until('the device runs version 1', () => fleet.device(id).version === 1);
        }
    }
    const device = (await server.request('GET', `/v1/devices/${id}`)).body;
    assert.deepEqual([device.firmware_version, device.desired_firmware_version, device.groups], [1, null, ['beta']]);
    const firmware = (await server.request('GET', `/v1/products/${device.product_id}/firmware/1`)).body;
    assert.deepEqual([firmware.product_default, firmware.intelligent], [true, true]);
});
