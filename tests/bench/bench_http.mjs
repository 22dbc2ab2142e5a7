// The figures of the REST door, beside libmicrohttpd's own hello world in the same run:
//
//     cmake --build --preset release && node tests/bench/bench_http.mjs [rounds] [devices] [parts]
//
// parts: any of requests,impact,import,uploads; else all.
// Server CPU is what /proc says of the process, so that neighbours disturb less; the servers run on
// CPU 0 and wrk on CPU 1. The database with its fleet is made once for each schema and kept in the
// build folder; every run works on a copy.
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.BUILD ?? join(root, 'build/release');
const rounds = Number(process.argv[2] ?? 5);
const devices = Number(process.argv[3] ?? 1000000);
const parts = (process.argv[4] ?? 'requests,impact,import,uploads').split(',');
const SECONDS = 3;
const THREADS = 1; // slipwayd's default on one processor
const TOKEN = 'ad'.repeat(20);
const P2 = 32;
const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-http-'));
const running = [];

// --- the fleet ---

function fleetPath() {
    const hash = createHash('sha256');
    for (const name of readdirSync(join(root, 'migrations')).sort()) {
        hash.update(readFileSync(join(root, 'migrations', name)));
    }
    hash.update(readFileSync(join(root, 'tests/bench/bench_http_fleet.c')));
    const place = join(build, 'bench-fleet', `${hash.digest('hex').slice(0, 16)}-${devices}`);
    const path = join(place, 'slipway.db');
    if (!existsSync(path)) {
        console.log(`making ${path} (once, about a minute) ...`);
        rmSync(join(build, 'bench-fleet'), { recursive: true, force: true });
        mkdirSync(place, { recursive: true });
        execFileSync(join(build, 'tests/bench/bench_http_fleet'), [`${path}.new`, String(devices)], { stdio: 'inherit' });
        renameSync(`${path}.new`, path);
    }
    return path;
}

// --- processes ---

function firstLine(child) {
    return new Promise((resolve, reject) => {
        let text = '';
        child.stdout.on('data', (data) => {
            text += data;
            if (text.includes('\n')) resolve(text);
        });
        child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
}

async function startHello() {
    const child = spawn('taskset', ['-c', '0', join(build, 'tests/bench/bench_http_hello'), String(THREADS)],
        { stdio: ['pipe', 'pipe', 'inherit'] });
    running.push(child);
    return { pid: child.pid, base: `http://127.0.0.1:${Number(await firstLine(child))}` };
}

// With the access log on, as it is by default, into a file.
async function startSlipway(data, pinned) {
    const log = join(folder, 'slipwayd.log');
    const program = [join(build, 'slipwayd'), '--data', data, '--http', '127.0.0.1:0', '--dtls', '127.0.0.1:0'];
    const command = `exec ${pinned ? 'taskset -c 0 ' : ''}${program.join(' ')} 2>>${log}`;
    const child = spawn('sh', ['-c', command],
        { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SLIPWAY_ADMIN_TOKEN: TOKEN, SLIPWAY_ADMIN_PASSWORD: 'bench-password' } });
    running.push(child);
    const ready = await firstLine(child);
    return { pid: child.pid, base: `http://${/http=(\S+)/.exec(ready)[1]}`, child };
}

function stop(server) {
    return new Promise((resolve) => {
        server.child.once('exit', resolve);
        server.child.kill('SIGTERM');
    });
}

function cpuSeconds(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
}

function statusKib(pid, name) {
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

// --- wrk ---

const scripts = {
    get: `
        function request()
            local i = math.random(0, ${devices - 1})
            return wrk.format("GET", string.format("/v1/products/101/devices/e00fce68%08x%08x", (i * 2654435761) % 4294967296, i))
        end`,
    list: `
        local sorts = {"deviceId", "deviceName", "firmwareVersion", "lastConnection"}
        local ways = {"asc", "desc"}
        function request()
            return wrk.format("GET", string.format(
                "/v1/products/101/devices?groups=group-%02d&sortAttr=%s&sortDir=%s&perPage=100",
                math.random(0, 19), sorts[math.random(4)], ways[math.random(2)]))
        end`,
};

const milliseconds = (text) => {
    const [, number, unit] = /([\d.]+)(us|ms|s|m)$/.exec(text);
    return Number(number) * { us: 0.001, ms: 1, s: 1000, m: 60000 }[unit];
};

function wrk(server, connections, script) {
    const args = ['-c', '1', 'wrk', '-t1', `-c${connections}`, `-d${SECONDS}s`, '--latency', '-H', `Authorization: Bearer ${TOKEN}`];
    if (script) {
        const path = join(folder, `${script}.lua`);
        writeFileSync(path, `math.randomseed(${Date.now() % 100000})\n${scripts[script]}`);
        args.push('-s', path);
    }
    const before = cpuSeconds(server.pid);
    const text = execFileSync('taskset', [...args, server.base], { encoding: 'utf8' });
    const cpu = cpuSeconds(server.pid) - before;
    if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
    const requests = Number(/(\d+) requests in/.exec(text)[1]);
    return {
        perCpuSecond: requests / cpu,
        perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
        p50: milliseconds(/^ +50% +(\S+)/m.exec(text)[1]),
        p99: milliseconds(/^ +99% +(\S+)/m.exec(text)[1]),
    };
}

const figures = [];
function figure(what, value, goal, ok) {
    figures.push([what, value, goal, ok ? 'reached' : 'MISSED']);
    console.log(`${what}: ${value} (goal ${goal}) ${ok ? '' : 'MISSED'}`);
}

const pick = (results, key) => median(results.map((result) => result[key]));
const span = (values, digits) => `${median(values).toFixed(digits)} [${Math.min(...values).toFixed(digits)}..${Math.max(...values).toFixed(digits)}]`;

async function requests(hello, slipway) {
    const results = { hello: [], get: [], list: [] };
    wrk(slipway, 64, 'get'); // the first pages of the file come into memory
    for (let round = 0; round < rounds; round++) {
        results.hello.push(wrk(hello, 64));
        results.get.push(wrk(slipway, 64, 'get'));
        results.list.push(wrk(slipway, 16, 'list'));
    }
    const ratios = results.get.map((get, i) => get.perCpuSecond / results.hello[i].perCpuSecond);
    const walls = results.get.map((get, i) => get.perSecond / results.hello[i].perSecond);
    console.log(`hello: ${span(results.hello.map((r) => 1e6 / r.perCpuSecond), 2)} us of CPU, ${pick(results.hello, 'perSecond').toFixed(0)}/s, p99 ${pick(results.hello, 'p99').toFixed(2)} ms`);
    console.log(`get:   ${span(results.get.map((r) => 1e6 / r.perCpuSecond), 2)} us of CPU, ${pick(results.get, 'perSecond').toFixed(0)}/s (${span(walls, 2)} of hello)`);
    console.log(`list:  ${span(results.list.map((r) => 1e6 / r.perCpuSecond), 0)} us of CPU, ${pick(results.list, 'perSecond').toFixed(0)}/s`);
    figure('GET a device / hello, requests per CPU second', span(ratios, 2), '>= 0.5', median(ratios) >= 0.5);
    const p99 = results.get.map((r) => r.p99);
    figure('GET a device, p99 at 64 connections, ms', `${span(p99, 2)}; hello ${span(results.hello.map((r) => r.p99), 2)}`, '<= 2', median(p99) <= 2);
    const lists = results.list.map((r) => r.perCpuSecond);
    figure('list page of 100, per CPU second', span(lists, 0), '>= 3000', median(lists) >= 3000);
    const listP99 = results.list.map((r) => r.p99);
    figure('list page of 100, p99 at 16 connections, ms', span(listP99, 1), '<= 20', median(listP99) <= 20);
}

// --- single operations ---

const call = (server, path, options = {}) =>
    fetch(server.base + path, { ...options, headers: { authorization: `Bearer ${TOKEN}`, ...options.headers } });

async function timed(server, act) {
    const cpu = cpuSeconds(server.pid);
    const start = performance.now();
    await act();
    return { ms: performance.now() - start, cpu: (cpuSeconds(server.pid) - cpu) * 1000 };
}

async function impact(slipway) {
    const queries = ['firmware_version=25', 'firmware_version=25&groups=group-01,group-02,group-03',
        'firmware_version=20&product_default=false', 'firmware_version=30&product_default=true&groups=group-00'];
    const times = [];
    for (let i = 0; i < 40; i++) {
        times.push(await timed(slipway, async () => {
            const reply = await call(slipway, `/v1/products/101/impact?${queries[i % queries.length]}`);
            if (reply.status !== 200) throw new Error(await reply.text());
            await reply.json();
        }));
    }
    const ms = times.map((time) => time.ms);
    figure(`impact of a release on ${devices} devices, ms`, span(ms, 1), '<= 100', median(ms) <= 100);
}

async function imports(slipway) {
    const walls = [];
    const cpus = [];
    for (let round = 0; round < 3; round++) {
        const ids = Array.from({ length: 100000 }, () => `e00fce69${randomBytes(8).toString('hex')}`);
        const form = new FormData();
        form.set('file', new Blob([`${ids.join('\n')}\n`]), 'devices.txt');
        const time = await timed(slipway, async () => {
            const reply = await call(slipway, '/v1/products/101/devices', { method: 'POST', body: form });
            const result = await reply.json();
            if (result.updated !== ids.length) throw new Error(JSON.stringify(result).slice(0, 300));
        });
        walls.push(time.ms / 1000);
        cpus.push(time.cpu / 1000);
    }
    figure(`import of 100000 devices into ${devices}, s`, `${span(walls, 2)}, of CPU ${span(cpus, 2)}`, '<= 3', median(walls) <= 3);
}

async function uploads() {
    const data = join(folder, 'empty');
    mkdirSync(data);
    const slipway = await startSlipway(data, false);
    const made = await call(slipway, '/v1/products', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ product: { name: 'uploads', platform_id: P2 } }),
    });
    const product = (await made.json()).product.id;
    const files = Array.from({ length: 100 }, (_, i) => {
        const path = join(folder, 'module.bin');
        execFileSync(join(build, 'slipway-module'), ['make', '--platform', String(P2), '--product-id', String(product),
            '--version', String(i + 1), '--size', '1048576', '--seed', String(i), path]);
        return readFileSync(path);
    });
    await call(slipway, '/v1/user');
    const idle = { rss: statusKib(slipway.pid, 'VmRSS'), anon: statusKib(slipway.pid, 'RssAnon') };
    let peak = { rss: 0, anon: 0 };
    const sampler = setInterval(() => {
        peak = { rss: Math.max(peak.rss, statusKib(slipway.pid, 'VmRSS')), anon: Math.max(peak.anon, statusKib(slipway.pid, 'RssAnon')) };
    }, 1);
    const time = await timed(slipway, () => Promise.all(files.map(async (bytes, i) => {
        const form = new FormData();
        form.set('version', String(i + 1));
        form.set('title', `upload ${i + 1}`);
        form.set('file', new Blob([bytes]), 'module.bin');
        const reply = await call(slipway, `/v1/products/${product}/firmware`, { method: 'POST', body: form });
        if (reply.status !== 201) throw new Error(await reply.text());
    })));
    clearInterval(sampler);
    const hwm = statusKib(slipway.pid, 'VmHWM');
    const mib = (hwm - idle.rss) / 1024;
    figure('100 uploads of 1 MiB at once, MiB above idle', `${mib.toFixed(1)} (idle ${(idle.rss / 1024).toFixed(1)}; anonymous +${((peak.anon - idle.anon) / 1024).toFixed(1)}), in ${(time.ms / 1000).toFixed(1)} s`, '<= 64', mib <= 64);
    await stop(slipway);
}

async function main() {
    const data = join(folder, 'fleet');
    const fleet = fleetPath();
    mkdirSync(data);
    execFileSync(join(build, 'slipwayd'), ['key', '--data', data]);
    writeFileSync(join(data, 'session_key'), randomBytes(32));
    copyFileSync(fleet, join(data, 'slipway.db'));
    if (parts.includes('requests') || parts.includes('impact')) {
        const slipway = await startSlipway(data, true);
        if (parts.includes('requests')) await requests(await startHello(), slipway);
        if (parts.includes('impact')) await impact(slipway);
        await stop(slipway);
    }
    if (parts.includes('import')) {
        const slipway = await startSlipway(data, false);
        await imports(slipway);
        await stop(slipway);
    }
    if (parts.includes('uploads')) await uploads();
    console.log('\n| what | measured, median [min..max] | goal | |\n| --- | --- | --- | --- |');
    for (const row of figures) console.log(`| ${row.join(' | ')} |`);
    console.log(`\nLimits: loopback, wrk and the servers share 2 CPUs with whatever else runs; ${rounds} rounds of ${SECONDS} s; the access log is written to a file. Load averages now: ${loadavg().map((load) => load.toFixed(1)).join(' ')}; above 2, wall times and p99 measure the neighbours.`);
}

try {
    await main();
} finally {
    for (const child of running) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
}
