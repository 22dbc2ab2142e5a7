// The three ways in which a foreign program meets ours, and the list of all cases.
'use strict';
const { Program, program, word, sleep, until, takePort, isBound } = require('./stage.js');
const { Forwarder } = require('./forwarder.js');
const { hello, acknowledged } = require('./slipwayd.js');

const echo = program('dtls_echo');
const patience = 20000;
const unservedFor = 2000;
const pace = 400;
const grace = 200;

// Runs body with the port to speak to: the server's own, or that of a path that leads there.
async function onPath(test, server, body) {
    if (!test.path) return body(server);
    const forwarder = await new Forwarder(server, test.path).start();
    try {
        return await body(forwarder.port) || forwarder.problem();
    } finally {
        forwarder.close();
    }
}

const fill = (args, port) => args.map((a) => a.replace('PORT', port).replace('BELOW', port - 1));

// Tells a program on its standard input one thing after the other: a line after some time, one with
// `after` when its output has that. What is returned ends it.
function converse(program, lines) {
    let isOver = false;
    (async () => {
        for (const line of lines) {
            await (line.after ? until(() => isOver || line.after.test(program.output), patience) : sleep(pace));
            if (isOver) return;
            program.say(line.text || line);
        }
    })();
    return () => { isOver = true; };
}

// Foreign clients, one after the other, each typing one word, against our server.
async function againstOurServer(test) {
    const port = await takePort();
    const server = new Program(echo, ['server', `${port}`, ...test.server]);
    const talk = async (to) => {
        let said = '';
        for (const [command, ...args] of test.clients) {
            const client = new Program(command, fill(args, to));
            const typing = converse(client, [test.types || `${word}\n`].flat());
            const before = server.output.length;
            const good = test.refused
                ? await server.until(test.refused, patience)
                : await client.until(test.answer, patience);
            typing();
            await client.stop(grace);
            await sleep(50);
            said = server.output.slice(before);
            if (!good) return `no answer; client: ${client.output.slice(-600)}; server: ${server.output}`;
        }
        return test.refused || test.expect.test(said) ? null : `unexpected: ${said}`;
    };
    try {
        return await server.until(/ready/, patience) ? await onPath(test, port, talk) : 'our server did not start';
    } finally {
        await server.stop();
    }
}

// Our client against a foreign server. libcoap's listens for DTLS one port above the plain one.
async function againstForeignServer(test) {
    const port = await takePort();
    const [command, ...args] = fill(test.start, port);
    const server = new Program(command, args);
    let typing = () => {};
    const talk = async (to) => {
        const client = new Program(echo, ['client', `${to}`, test.text || word, ...test.client]);
        if (test.types) typing = converse(server, [test.types].flat());
        const good = await client.until(test.answer, patience);
        await client.stop(grace);
        if (!good) return `no answer; client: ${client.output}; server: ${server.output.slice(-600)}`;
        if (test.told && !await server.until(test.told, patience)) return `not told: ${server.output.slice(-600)}`;
        return test.expect.test(client.output) ? null : `unexpected: ${client.output}`;
    };
    try {
        return await until(() => isBound(port), patience) ? await onPath(test, port, talk)
            : `their server did not start: ${server.output}`;
    } finally {
        typing();
        await server.stop();
    }
}

// The client is acknowledged, and is no more: its server does not know.
async function crashes(test, device, client) {
    const typing = converse(client, test.says(device));
    const good = await client.until(test.answer, patience);
    typing();
    client.child.kill('SIGKILL');
    await client.ended;
    return good;
}

// A foreign client as a device of slipwayd's: it says Hello, is acknowledged, and is served.
async function againstSlipwayd(test, daemon) {
    const device = await test.device(daemon);
    const talk = async (port) => {
        const [command, ...args] = fill(test.client(device), port);
        if (test.crashes && !await crashes(test, device, new Program(command, args))) return 'not served before';
        const client = new Program(command, args);
        const typing = converse(client, test.says ? test.says(device) : []);
        try {
            if (test.refused) {
                const told = await client.until(test.refused, patience);
                if (await daemon.isServed(device.id)) return 'it is served';
                return told ? null : `not told; client: ${client.output.slice(-600)}`;
            }
            const isServed = await until(() => daemon.isServed(device.id), test.unserved ? unservedFor : patience);
            if (isServed === Boolean(test.unserved)) {
                return `${isServed ? '' : 'not '}served; client: ${client.output.slice(-600)}; ` +
                    `slipwayd: ${daemon.log.slice(-300)}`;
            }
            if (test.answer && !await client.until(test.answer, patience)) {
                return `not acknowledged; client: ${client.output}`;
            }
            if (!test.lastly) return null;
            client.say(test.lastly);
            if (test.told) return await client.until(test.told, patience) ? null : `not told: ${client.output}`;
            return await until(async () => !await daemon.isServed(device.id), patience) ? null : 'still online';
        } finally {
            typing();
            await client.stop(grace);
        }
    };
    return onPath(test, daemon.port, talk);
}

// A case whose command is not there is skipped, for the reason that it gives.
const cases = [];
const common = { skipped: 'not installed' };
const established = (suite, proof, name = '') =>
    new RegExp(`established suite=${suite.toLowerCase()} proof=${proof} name=${name}`);
const inbound = (peer, what, suite, server, clients, more) => cases.push({
    ...common, direction: 'their client, our server', peer, what, suite, server, clients,
    answer: new RegExp(`^${word}`, 'm'), command: clients[0][0], run: againstOurServer, ...more,
});
const outbound = (peer, what, suite, start, client, more) => cases.push({
    ...common, direction: 'our client, their server', peer, what, suite, start, client,
    answer: new RegExp(`content ${word}`), command: start[0], run: againstForeignServer, ...more,
});
const device = (peer, what, suite, make, client, more) => cases.push({
    ...common, direction: 'their client, slipwayd', peer, what, suite, device: make, client,
    says: (d) => [hello(d.says || d.id)], answer: acknowledged, run: againstSlipwayd, needsDaemon: true,
    command: client({ id: '', psk: '', key: '', cert: '', pub: '', both: '', text: '' })[0], ...more,
});
// For programs that say Hello without being told to, or never get that far.
const silent = { says: undefined, answer: undefined };

module.exports = { cases, established, inbound, outbound, device, silent };
