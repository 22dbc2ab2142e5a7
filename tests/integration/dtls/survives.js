// A foreign client whose slipwayd ends and starts again: it goes on with the session that it had.
'use strict';
const fs = require('fs');
const path = require('path');
const { pki, scratch, program, until, Program } = require('./stage.js');
const { Forwarder } = require('./forwarder.js');
const { Daemon, hello } = require('./slipwayd.js');

const patience = 20000;
// What the client is told to send, in hexadecimal, and among it CoAP's ping.
const line = (message) => `${Buffer.from(message).toString('hex')}\n`;
const ping = (id) => [0x40, 0, 0x50, id];
const early = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5];
const lastEarly = /received 600050f5/;

// It pings until it is answered, and answers pings itself: after a crash slipwayd knocks so.
async function survives(test) {
    const folder = fs.mkdtempSync(path.join(scratch, 'survives-'));
    const daemon = new Daemon(program('slipwayd'), pki, folder);
    await daemon.start();
    const d = await daemon.device();
    const forwarder = await new Forwarder(daemon.port).start();
    const [command, ...args] = test.client(d);
    const client = new Program(command, args.map((arg) => arg.replace('PORT', forwarder.port)));
    let isRunning = true;
    const failed = (what) => `${what}; client: ${client.output}; slipwayd: ${daemon.log.slice(-900)}`;
    try {
        if (!await client.until(/established/, patience)) return failed('no handshake');
        client.say(line(hello(d.id)));
        if (!await client.until(test.answer, patience)) return failed('not acknowledged');
        // Few numbers are taken before the session is on disk: once these are answered, it is.
        for (const id of early) client.say(line(ping(id)));
        if (!await client.until(lastEarly, patience)) return failed('not on disk');
        isRunning = false;
        await daemon.stop(test.signal);
        if (test.moves) await forwarder.rise();
        const before = client.output.length;
        await daemon.start();
        isRunning = true;
        let [pings, replied] = [0, 0];
        const isAnswered = () => /received 600050/.test(client.output.slice(before));
        const speaking = setInterval(() => client.say(line(ping(pings += 1))), 500);
        const good = await until(() => {
            const asked = client.output.slice(before).match(/received 4000(\w{4})$/gm) || [];
            for (; replied < asked.length; replied += 1) client.say(`7000${asked[replied].slice(-4)}\n`);
            return isAnswered();
        }, patience);
        clearInterval(speaking);
        if (!good) return failed('not heard again');
        if (client.output.match(/established/g).length > 1) return failed('another handshake');
        return await until(() => daemon.isServed(d.id), patience) ? null : failed('not online');
    } finally {
        await client.stop();
        forwarder.close();
        if (isRunning) await daemon.stop();
    }
}

module.exports = { survives, line, ping };
