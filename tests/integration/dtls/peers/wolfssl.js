// wolfSSL, in a program of ours.
'use strict';
const { program, identity, psk, word, hex, ourServer } = require('../stage.js');
const { established, inbound, device, silent } = require('../runs.js');
const { hello } = require('../slipwayd.js');

const client = (name, key, message) =>
    [program('dtls_wolf'), 'PORT', name, key, 'ECDHE-PSK-AES128-GCM-SHA256', message];
const answer = new RegExp(`received ${hex(word)}`);
const talk = client(identity, hex(psk), hex(word));

inbound('wolfSSL', 'PSK', 'D001', ourServer.psk, [talk], { answer, expect: established('D001', 'psk', identity) });
inbound('wolfSSL', 'PSK over a bad path', 'D001', ourServer.psk, [talk],
    { path: { seed: 8 }, answer, expect: established('D001', 'psk', identity) });
device('wolfSSL', 'PSK', 'D001', (daemon) => daemon.device(),
    (d) => client(d.id, d.psk, hello(d.id).toString('hex')), silent);
