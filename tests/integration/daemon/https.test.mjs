// HTTPS: the certificate is renewed while the daemon serves, and a broken one changes nothing.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const program = join(process.env.SLIPWAY_BUILD, 'slipwayd');
let folder, server, port, log = '', exited;
const at = (name) => join(folder, name);

function makeCertificate(name) {
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
        '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost']);
    assert.equal(made.status, 0, String(made.stderr));
}

function install(certificate, key = certificate) {
    copyFileSync(at(`${certificate}.pem`), at('live.pem'));
    copyFileSync(at(`${key}.key`), at('live.key'));
}

async function said(pattern, times = 1) {
    for (let i = 0; i < 400; i++) {
        if ((log.match(new RegExp(pattern, 'g')) ?? []).length >= times) return;
        await sleep(25);
    }
    assert.fail(`${pattern} is not in: ${log}`);
}

before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slipway-https-'));
    for (const name of ['first', 'second', 'third']) makeCertificate(name);
    install('first');
    writeFileSync(at('slipway.conf'), `[http]\ntls_certificate = ${at('live.pem')}\ntls_key = ${at('live.key')}\n`);
    server = spawn(program, ['--data', at('data'), '--http', '127.0.0.1:0', '--dtls', '127.0.0.1:0', '--config', at('slipway.conf')],
        { stdio: ['ignore', 'pipe', 'pipe'] });
    exited = new Promise((resolve) => server.once('exit', (code, signal) => resolve(code ?? signal)));
    server.stderr.setEncoding('utf8').on('data', (text) => (log += text));
    port = await new Promise((resolve, reject) => {
        server.stdout.on('data', (text) => resolve(Number(/http=\S+:(\d+)/.exec(text)[1])));
        server.once('exit', () => reject(new Error(log)));
    });
});
after(async () => {
    server.kill('SIGTERM');
    assert.equal(await exited, 0, log);
    rmSync(folder, { recursive: true, force: true });
});

// Who answers, over a connection of that agent.
function ask(agent) {
    return new Promise((resolve, reject) => {
        https.get({ port, host: '127.0.0.1', path: '/health', agent, rejectUnauthorized: false }, (response) => {
            const { CN } = response.socket.getPeerCertificate().subject;
            response.resume().on('end', () => resolve({ status: response.statusCode, name: CN, port: response.socket?.localPort }));
        }).on('error', reject);
    });
}
const askAfresh = async () => {
    const agent = new https.Agent();
    try { return await ask(agent); } finally { agent.destroy(); }
};
const curl = (certificate) => spawnSync('curl', ['-sS', '--cacert', at(`${certificate}.pem`), '--resolve', `localhost:${port}:127.0.0.1`,
    '-o', '/dev/null', '-w', '%{http_code}', `https://localhost:${port}/health`]);

test('a renewed certificate is shown to new connections, and open ones live on', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    try {
        assert.equal((await ask(agent)).name, 'first');
        assert.equal(String(curl('first').stdout), '200');
        install('second');
        server.kill('SIGHUP');
        await said('reloaded');
        assert.deepEqual([(await askAfresh()).name, (await ask(agent)).name], ['second', 'first']);
        assert.equal(String(curl('second').stdout), '200');
        assert.notEqual(curl('first').status, 0, 'curl does not take the old one any more');
    } finally {
        agent.destroy();
    }
});

test('a certificate without its key changes nothing, and is said', async () => {
    install('third', 'first');
    server.kill('SIGHUP');
    await said('reload_refused.*certificate and its key cannot be used');
    assert.equal((await askAfresh()).name, 'second');
    writeFileSync(at('live.pem'), 'no certificate');
    server.kill('SIGHUP');
    await said('reload_refused.*cannot be used', 2);
    rmSync(at('live.pem'));
    server.kill('SIGHUP');
    await said('reload_refused.*live.pem cannot be read: No such file');
    assert.equal((await askAfresh()).name, 'second');
    install('third');
    server.kill('SIGHUP');
    await said('reloaded', 2);
    assert.equal((await askAfresh()).name, 'third');
});

test('HTTPS does not end without a restart', async () => {
    writeFileSync(at('slipway.conf'), '[http]\n');
    server.kill('SIGHUP');
    await said('reload_refused.*by a restart');
    assert.equal((await askAfresh()).name, 'third');
});

test('requests go on while it is renewed again and again', async () => {
    writeFileSync(at('slipway.conf'), `[http]\ntls_certificate = ${at('live.pem')}\ntls_key = ${at('live.key')}\n`);
    let going = true;
    const asking = Array.from({ length: 4 }, async () => {
        let count = 0;
        while (going) {
            assert.equal((await askAfresh()).status, 200);
            count++;
        }
        return count;
    });
    for (let i = 0; i < 20; i++) {
        install(['first', 'second', 'third'][i % 3]);
        server.kill('SIGHUP');
        await said('reloaded', 3 + i);
    }
    going = false;
    assert.ok((await Promise.all(asking)).every((count) => count > 0));
});
