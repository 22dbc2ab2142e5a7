// GnuTLS's gnutls-cli and gnutls-serv.
'use strict';
const fs = require('fs');
const path = require('path');
const {
    pem, scratch, identity, psk, hex, suites, pskSuites, certificateSuites, ourServer, ourClient, publicKey,
} = require('../stage.js');
const chain = require('../chain.js');
const { established, inbound, outbound, device } = require('../runs.js');

const [client, server] = ['gnutls-cli', 'gnutls-serv'];
const priority = (suite, isRaw) =>
    `NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+${suites[suite][1]}:-CIPHER-ALL:+${suites[suite][2]}` +
    ':-GROUP-ALL:+GROUP-SECP256R1:+GROUP-SECP384R1' +
    (isRaw ? ':-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK' : '');
const cli = (suite, isRaw, ...args) => ['gnutls-cli', '--udp', '-p', 'PORT', 'localhost', '--priority',
    priority(suite, isRaw), ...args];
const serv = (suite, isRaw, ...args) => ['gnutls-serv', '--udp', '-p', 'PORT', '--echo', '--priority',
    priority(suite, isRaw), ...args];
const withPsk = (suite, name, key) => cli(suite, false, '--pskusername', name, '--pskkey', key);
const withRaw = (suite, key, pub) =>
    cli(suite, true, '--rawpkkeyfile', key, '--rawpkfile', pub, '--no-ca-verification');
const withCertificate = (suite, cert, key, ...args) => cli(suite, false, '--x509cafile', pem('authority'),
    '--x509certfile', cert, '--x509keyfile', key, ...args);
const passwords = path.join(scratch, 'passwords');
fs.writeFileSync(passwords, `${identity}:${hex(psk)}\n`);
const rawServer = (suite) => serv(suite, true, '--rawpkkeyfile', pem('server.key'), '--rawpkfile', publicKey('server'),
    '--require-client-cert');
const certifiedServer = (suite) => serv(suite, false, '--x509cafile', pem('authority'), '--x509certfile', pem('server'),
    '--x509keyfile', pem('server.key'), '--require-client-cert', '--verify-client-cert');

for (const suite of pskSuites) {
    inbound(client, 'PSK', suite, ourServer.psk, [withPsk(suite, identity, hex(psk))],
        { expect: established(suite, 'psk', identity) });
    outbound(server, 'PSK', suite, serv(suite, false, '--pskpasswd', passwords), ourClient.psk,
        { expect: established(suite, 'psk') });
}
for (const suite of certificateSuites) {
    inbound(client, 'raw public keys', suite, ourServer.raw,
        [withRaw(suite, pem('client.key'), publicKey('client'))], { expect: established(suite, 'raw') });
    inbound(client, 'X.509 both ways', suite, ourServer.x509,
        [withCertificate(suite, pem('client'), pem('client.key'))],
        { expect: established(suite, 'x509', 'device-0001') });
    outbound(server, 'raw public keys', suite, rawServer(suite), ourClient.raw, { expect: established(suite, 'raw') });
    outbound(server, 'X.509 both ways', suite, certifiedServer(suite), ourClient.x509,
        { expect: established(suite, 'x509', 'localhost') });
}
inbound(client, 'X.509, client on P-384', 'C02B', ourServer.x509,
    [withCertificate('C02B', pem('client384'), pem('client384.key'))],
    { expect: established('C02B', 'x509', 'device-0384') });
inbound(client, 'X.509, datagrams of 508 bytes', 'C02B', [...ourServer.x509, '--mtu', '508'],
    [withCertificate('C02B', pem('client'), pem('client.key'), '--mtu', '508')],
    { expect: established('C02B', 'x509', 'device-0001') });
inbound(client, 'resumption by session id', 'C0AE', [...ourServer.x509, '--resume'],
    [withCertificate('C0AE', pem('client'), pem('client.key'), '--resume')], { expect: /resumed=1/ });
outbound(server, 'resumption by session id', 'C0AE', certifiedServer('C0AE'), [...ourClient.x509, '--again'],
    { answer: /(content[^]*){2}/, expect: /resumed=1/ });
inbound(client, chain.what, 'C02B', [...ourServer.x509, '--trust', chain.root],
    [withCertificate('C02B', chain.client.all, chain.client.key)], { expect: established('C02B', 'x509', chain.name) });
outbound(server, chain.what, 'C02B', serv('C02B', false, '--x509cafile', pem('authority'), '--x509certfile',
    chain.server.all, '--x509keyfile', chain.server.key, '--require-client-cert', '--verify-client-cert'),
    [...ourClient.x509, '--trust', chain.root], { expect: established('C02B', 'x509', 'localhost') });
inbound(client, 'X.509, every suite offered', 'C02B', ourServer.x509,
    [withCertificate('C02B', pem('client'), pem('client.key')).map((arg) => arg.startsWith('NORMAL') ? 'NORMAL' : arg)],
    { expect: established('C02B', 'x509', 'device-0001') });
inbound(client, 'refused: renegotiation', 'C0AE', ourServer.x509,
    [withCertificate('C0AE', pem('client'), pem('client.key'), '--rehandshake')],
    { answer: /warning alert/, expect: established('C0AE', 'x509', 'device-0001') });
for (const seed of [3, 4]) {
    inbound(client, `raw public keys over a bad path (${seed})`, 'C0AE', ourServer.raw,
        [withRaw('C0AE', pem('client.key'), publicKey('client'))],
        { path: { seed }, expect: established('C0AE', 'raw') });
    outbound(server, `raw public keys over a bad path (${seed})`, 'C0AE', rawServer('C0AE'), ourClient.raw,
        { path: { seed }, expect: established('C0AE', 'raw') });
}

for (const suite of pskSuites) {
    device(client, 'PSK', suite, (daemon) => daemon.device(), (d) => withPsk(suite, d.id, d.psk));
}
for (const suite of certificateSuites) {
    device(client, 'X.509 both ways', suite, (daemon) => daemon.device(), (d) => withCertificate(suite, d.cert, d.key));
    device(client, 'raw public keys', suite, (daemon) => daemon.plainDevice(), (d) => withRaw(suite, d.key, d.pub));
}
