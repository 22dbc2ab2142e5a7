// The whole daemon with a whole fleet: slipwayd and slipway-sim as processes on loopback, figures
// beside their goals. Wall times depend on what else the machine does; the daemon's CPU time beside
// each depends on that little.
//
//   SLIPWAY_BUILD=build/release node tests/bench/bench_fleet.mjs [--devices 10000] [--rate 1500]
//       [--settle 60] [--image 4096]
//
// rate: devices switched on per second; settle: seconds of quiet before memory is read; image: bytes.
import { spawn, spawnSync } from 'node:child_process';
import { createReadStream, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const numbers = parseArgs({
    options: {
        devices: { type: 'string', default: '10000' },
        rate: { type: 'string', default: '1500' },
        settle: { type: 'string', default: '60' },
        image: { type: 'string', default: '4096' },
    },
}).values;
const [count, rate, settle, imageBytes] = ['devices', 'rate', 'settle', 'image'].map((name) =>
    Number(numbers[name]));
const build = process.env.SLIPWAY_BUILD;
if (!build) throw new Error('SLIPWAY_BUILD names the folder of the programs');
const folder = mkdtempSync(join(tmpdir(), 'slipway-fleet-'));
const token = 'be'.repeat(20);
const BORON = 13;
const TICK_S = 1 / Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout);

// --- what is measured ---

const now = () => Number(process.hrtime.bigint() / 1000n) / 1000; // ms of the devices' clock

function cpuOf(path) {
    const fields = readFileSync(path, 'utf8').replace(/^.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_S;
}
const cpu = (pid) => cpuOf(`/proc/${pid}/stat`);

function cpuOfThreads(pid) {
    const threads = new Map();
    for (const id of readdirSync(`/proc/${pid}/task`)) {
        const name = readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim();
        threads.set(name, (threads.get(name) ?? 0) + cpuOf(`/proc/${pid}/task/${id}/stat`));
    }
    return threads;
}

const cpuMark = () => ({ all: cpu(server.pid), threads: cpuOfThreads(server.pid) });
const cpuSince = (mark) => ({
    all: cpu(server.pid) - mark.all,
    busiest: busiest(mark.threads, cpuOfThreads(server.pid)),
});

function busiest(before, after) {
    return [...after]
        .map(([name, s]) => [name, s - (before.get(name) ?? 0)])
        .filter(([, s]) => s >= 0.02)
        .sort((a, b) => b[1] - a[1])
        .map(([name, s]) => `${name} ${s.toFixed(2)} s`)
        .join(', ');
}

function memory(pid) {
    const read = (name) =>
        Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
    return { all: read('VmRSS'), own: read('RssAnon') };
}

// How many of the sockets that talk to the server hold something unread.
function socketsWithMail() {
    const port = Number(dtls.split(':').pop()).toString(16).toUpperCase().padStart(4, '0');
    const unread = new RegExp(`^ *\\d+: \\S+ [0-9A-F]{8}:${port} \\S+ \\S+:(?!00000000)`);
    return readFileSync('/proc/net/udp', 'utf8').split('\n').filter((line) => unread.test(line)).length;
}

function print(what, figure, goal = '', more = '') {
    console.log(`${what.padEnd(52)} ${figure.padStart(12)}  ${goal.padEnd(12)} ${more}`);
}
const mib = (value) => `${value.toFixed(1)} MiB`;
const seconds = (value) => `${value.toFixed(2)} s`;
const perDevice = (value) => `${((value * 1e6) / count).toFixed(0)} us CPU a device`;

// --- the programs ---

let http = '127.0.0.1:0';
let dtls = '127.0.0.1:0';
let server, devices;

async function startServer() {
    const config = join(folder, 'slipway.conf');
    writeFileSync(config, `[updates]\ntransfers = ${count}\n[log]\nlevel = unusual\n`);
    server = spawn(
        join(build, 'slipwayd'),
        ['--data', join(folder, 'data'), '--config', config, '--http', http, '--dtls', dtls],
        {
            env: { ...process.env, SLIPWAY_ADMIN_TOKEN: token },
            stdio: ['ignore', 'pipe', openSync(join(folder, 'server.log'), 'a')],
        });
    const ended = new Promise((resolve) => server.once('exit', resolve));
    const ready = await Promise.race([
        createInterface({ input: server.stdout })[Symbol.asyncIterator]().next(),
        ended.then(() => { throw new Error(readFileSync(join(folder, 'server.log'), 'utf8')); }),
    ]);
    http = /http=(\S+)/.exec(ready.value)[1];
    dtls = /dtls=(\S+)/.exec(ready.value)[1];
    server.ended = ended;
}

async function api(method, path, body) {
    const isForm = body instanceof FormData;
    const reply = await fetch(`http://${http}${path}`, {
        method,
        headers: {
            authorization: `Bearer ${token}`,
            ...(body && !isForm ? { 'content-type': 'application/json' } : {}),
        },
        body: body && !isForm ? JSON.stringify(body) : body,
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path} answered ${reply.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
}

function run(name, ...args) {
    const done = spawnSync(join(build, name), args.map(String), { encoding: 'utf8', maxBuffer: 1 << 28 });
    if (done.status !== 0) throw new Error(`${name}: ${done.stderr}`);
    return done.stdout;
}

// What the devices tell goes to a file and is read when asked for: reading along would cost the
// processors that are measured.
const toldPath = join(folder, 'told.jsonl');
const simArgs = ['--devices', count, '--seed', 7, '--platform', BORON].map(String);

function startDevices() {
    devices = spawn(
        join(build, 'slipway-sim'),
        [...simArgs, '--server', dtls, '--server-key', join(folder, 'data', 'server_key.pub.pem'),
            '--start-rate', rate, '--own-addresses', '--json', '--control', '-'].map(String),
        { stdio: ['pipe', openSync(toldPath, 'w'), 'inherit'] });
    devices.ended = new Promise((resolve) => devices.once('exit', resolve));
}

async function told(since) {
    const words = new Map();
    for await (const line of createInterface({ input: createReadStream(toldPath) })) {
        if (!line.startsWith('{"event"')) continue;
        const word = /"event":"([a-z_]+)"/.exec(line)[1];
        const ms = Number(/"ms":(\d+)/.exec(line)[1]);
        if (ms < Math.floor(since)) continue;
        const all = words.get(word) ?? { ids: new Set(), count: 0, first: ms, last: ms, each: [] };
        all.ids.add(/"device":"([0-9a-f]+)"/.exec(line)[1]);
        all.count++;
        all.each.push(ms);
        all.last = ms;
        words.set(word, all);
    }
    return words;
}

// Until that many devices told the word. Reading is done at intervals, so it disturbs little.
async function untilTold(word, since, limit) {
    const end = Date.now() + limit * 1000;
    for (;;) {
        const words = await told(since);
        const all = words.get(word);
        if (all && all.ids.size >= count) return { words, all };
        if (Date.now() > end) {
            throw new Error(`${all ? all.ids.size : 0} of ${count} devices told "${word}" in ${limit} s`);
        }
        await sleep(1000);
    }
}

// How many handshakes the devices have made so far, by their own account.
async function handshakes() {
    const accounts = () => readFileSync(toldPath, 'utf8').split('\n').filter((line) => line && !line.startsWith('{"event"'));
    const before = accounts().length;
    devices.stdin.write('status\n');
    for (let tries = 0; accounts().length === before || !accounts().at(-1).endsWith('}'); tries++) {
        if (tries > 100) throw new Error('the devices give no account');
        await sleep(200);
    }
    return JSON.parse(accounts().at(-1)).devices.reduce((sum, device) => sum + device.handshakes, 0);
}

const lost = (words) => words.get('lost')?.count ?? 0;
const at = (all, part) => all.each.sort((a, b) => a - b)[Math.floor((all.each.length - 1) * part)];

// --- the phases ---

async function idle() {
    await startServer(); // makes the database, which leaves traces in memory
    server.kill('SIGTERM');
    await server.ended;
    await startServer();
    await sleep(2000);
    const { all, own } = memory(server.pid);
    print('resident memory, no devices', mib(all), '<= 16 MiB', `${mib(own)} of it not files`);
}

async function connect() {
    const made = await api('POST', '/v1/products', { product: { name: 'fleet', platform_id: BORON } });
    const ids = run('slipway-sim', ...simArgs, '--print-ids').trim().split('\n');
    for (let n = 0; n < ids.length; n += 5000) {
        await api('POST', `/v1/products/${made.product.id}/devices`, { ids: ids.slice(n, n + 5000) });
    }
    const since = now();
    const mark = cpuMark();
    startDevices();
    const { words, all } = await untilTold('connected', since, 300);
    const spent = cpuSince(mark);
    print(`${count} devices switched on, the last one connected`, seconds((all.last - since) / 1000), '',
        `half ${seconds((at(all, 0.5) - since) / 1000)}; ${seconds(spent.all)} CPU, ` +
        `${perDevice(spent.all)}; ${lost(words)} sessions lost`);
    print('  handshakes with Hello a second of CPU', (count / spent.all).toFixed(0), '', spent.busiest);
    return made.product.id;
}

async function quiet(what) {
    const first = memory(server.pid);
    const before = cpu(server.pid);
    await sleep(settle * 1000);
    const { all, own } = memory(server.pid);
    const spent = cpu(server.pid) - before;
    print(`resident memory, ${count} devices ${what}`, mib(all), '<= 30 MiB',
        `${mib(own)} of it not files; ${mib(first.all)} ${settle} s before; ` +
        `${((spent / settle) * 100).toFixed(1)} % of a core meanwhile`);
}

async function release(product) {
    const path = join(folder, 'app.bin');
    run('slipway-module', 'make', '--platform', BORON, '--product-id', product, '--version', 2, '--size',
        imageBytes, path);
    const form = new FormData();
    form.append('version', '2');
    form.append('title', 'two');
    form.append('file', new Blob([readFileSync(path)]), 'app.bin');
    await api('POST', `/v1/products/${product}/firmware`, form);
    await sleep(1000);
    // The devices answer when all were offered it, as those at the end of a longer line would: what
    // is in their sockets until then tells to how many it was sent.
    const mark = cpuMark();
    devices.kill('SIGSTOP');
    const since = now();
    await api('PUT', `/v1/products/${product}/firmware/release`,
        { version: 2, product_default: true, intelligent: true });
    const answered = now();
    let offered = 0;
    let half = 0;
    while (offered < count && now() - since < 10000) {
        await sleep(20);
        offered = socketsWithMail();
        half = half === 0 && offered >= count / 2 ? now() : half;
    }
    const took = now() - since;
    const spent = cpuSince(mark);
    devices.kill('SIGCONT');
    print('immediate release, UpdateStart sent to the last', seconds(took / 1000), '<= 1 s',
        `${offered} of ${count}; half ${seconds((half - since) / 1000)}, REST reply ` +
        `${seconds((answered - since) / 1000)}`);
    print('  CPU from the request on', seconds(spent.all), '', `${perDevice(spent.all)}: ${spent.busiest}`);
    const { words, all: ended } = await untilTold('committed', since, 300);
    print('  the last device committed', seconds((ended.last - since) / 1000), '',
        `${perDevice(cpuSince(mark).all)} from plan to commit; ` +
        `${words.get('violation')?.count ?? 0} violations`);
    await untilTold('booted', ended.first, 60);
}

async function crash() {
    const shaken = await handshakes();
    const killed = now();
    server.kill('SIGKILL');
    await server.ended;
    await startServer();
    const ready = now();
    const before = cpu(server.pid);
    devices.stdin.write('wake all\n');
    const { words, all } = await untilTold('connected', ready, 120);
    const spent = cpu(server.pid) - before;
    print('kill -9 to ready again', seconds((ready - killed) / 1000));
    print(`  all ${count} devices, woken at once, served`, seconds((all.last - ready) / 1000), '',
        `half ${seconds((at(all, 0.5) - ready) / 1000)}; ${seconds(spent)} CPU, ${perDevice(spent)}; ` +
        `${(await handshakes()) - shaken} sessions lost`);
}

async function main() {
    await idle();
    const product = await connect();
    await quiet('connected');
    await release(product);
    await quiet('updated');
    await crash();
}

try {
    await main();
} catch (error) {
    console.error(error.message);
    console.error(readFileSync(join(folder, 'server.log'), 'utf8').split('\n').slice(-10).join('\n'));
    process.exitCode = 1;
} finally {
    devices?.kill('SIGKILL');
    server?.kill('SIGKILL');
    await Promise.all([devices?.ended, server?.ended]);
    if (!process.env.SLIPWAY_KEEP) rmSync(folder, { recursive: true, force: true });
}
