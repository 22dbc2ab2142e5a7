// OpenSSL's s_client and s_server.
'use strict';
const path = require('path');
const {
    pem, scratch, identity, psk, word, hex, suites, pskSuites, certificateSuites, ourServer, ourClient,
} = require('../stage.js');
const chain = require('../chain.js');
const { established, inbound, outbound, device, silent } = require('../runs.js');

const [client, server] = ['OpenSSL s_client', 'OpenSSL s_server'];
const sClient = (suite, ...args) => ['openssl', 's_client', '-dtls1_2', '-quiet', '-connect', '127.0.0.1:PORT',
    '-cipher', suites[suite][0], ...args];
const withPsk = (suite, name, key) => sClient(suite, '-psk', key, '-psk_identity', name);
const withCertificate = (suite, cert, key, ...args) => sClient(suite, '-cert', cert, '-key', key, '-CAfile',
    pem('authority'), '-verify_return_error', ...args);
const certified = (suite, name, ...args) => withCertificate(suite, pem(name), pem(`${name}.key`), ...args);
const sServer = (suite, ...args) => ['openssl', 's_server', '-dtls1_2', '-accept', 'PORT', '-cipher', suites[suite][0],
    ...args];
const pskServer = (suite) => sServer(suite, '-psk', hex(psk), '-psk_identity', identity, '-nocert');
const certifiedServer = (suite, ...args) => sServer(suite, '-cert', pem('server'), '-key', pem('server.key'), '-CAfile',
    pem('authority'), '-Verify', '2', '-verify_return_error', ...args);
// It gives nothing back but what is typed.
const types = [`${word}\n`, `${word}\n`];

for (const suite of pskSuites) {
    inbound(client, 'PSK', suite, ourServer.psk, [withPsk(suite, identity, hex(psk))],
        { expect: established(suite, 'psk', identity) });
    outbound(server, 'PSK', suite, pskServer(suite), ourClient.psk, { types, expect: established(suite, 'psk') });
}
for (const suite of certificateSuites) {
    inbound(client, 'X.509 both ways', suite, ourServer.x509, [certified(suite, 'client')],
        { expect: established(suite, 'x509', 'device-0001') });
    outbound(server, 'X.509 both ways', suite, certifiedServer(suite), ourClient.x509,
        { types, expect: established(suite, 'x509', 'localhost') });
}
inbound(client, 'X.509, client on P-384', 'C0AE', ourServer.x509, [certified('C0AE', 'client384')],
    { expect: established('C0AE', 'x509', 'device-0384') });
inbound(client, 'X.509, datagrams of 508 bytes', 'C0AE', [...ourServer.x509, '--mtu', '508'],
    [certified('C0AE', 'client', '-mtu', '400')], { expect: established('C0AE', 'x509', 'device-0001') });
outbound(server, 'X.509, datagrams of 508 bytes', 'C0AE', certifiedServer('C0AE', '-mtu', '400'),
    [...ourClient.x509, '--mtu', '508'], { types, expect: established('C0AE', 'x509', 'localhost') });
const saved = path.join(scratch, 'session.pem');
inbound(client, 'resumption by session id', 'C0AE', [...ourServer.x509, '--resume'],
    [certified('C0AE', 'client', '-no_ticket', '-sess_out', saved),
        certified('C0AE', 'client', '-no_ticket', '-sess_in', saved)],
    { expect: /name=device-0001 cid=0 resumed=1/ });
inbound(client, 'resumption by session id, tickets offered', 'C0AE', [...ourServer.x509, '--resume'],
    [certified('C0AE', 'client', '-sess_out', `${saved}2`), certified('C0AE', 'client', '-sess_in', `${saved}2`)],
    { expect: /name=device-0001 cid=0 resumed=1/ });
outbound(server, 'resumption by session id', 'C0AE', certifiedServer('C0AE'), [...ourClient.x509, '--again'],
    { types: Array(8).fill(`${word}\n`), answer: /(content[^]*){2}/, expect: /resumed=1/ });
outbound(server, 'X.509 after its HelloVerifyRequest', 'C0AE', certifiedServer('C0AE', '-listen'), ourClient.x509,
    { types, expect: established('C0AE', 'x509', 'localhost') });
outbound(server, 'refused: renegotiation', 'C0AE', certifiedServer('C0AE'), ourClient.x509,
    { types: { after: /CIPHER is/, text: 'r\n' }, answer: /closed/, told: /no renegotiation/, expect: /established/ });
inbound(client, chain.what, 'C02B', [...ourServer.x509, '--trust', chain.root],
    [withCertificate('C02B', chain.client.own, chain.client.key, '-cert_chain', chain.client.all)],
    { expect: established('C02B', 'x509', chain.name) });
outbound(server, chain.what, 'C02B', sServer('C02B', '-cert', chain.server.own, '-cert_chain', chain.server.all, '-key',
    chain.server.key, '-CAfile', pem('authority'), '-Verify', '2'), [...ourClient.x509, '--trust', chain.root],
    { types, expect: established('C02B', 'x509', 'localhost') });
inbound(client, 'X.509, everything arrives twice', 'C0AE', ourServer.x509, [certified('C0AE', 'client', '-nbio')],
    { path: { doubles: true }, expect: /established[^]*content hello\s*$/ });
const anySuite = (args) => args.filter((arg, i) => arg !== '-cipher' && args[i - 1] !== '-cipher');
inbound(client, 'X.509, every suite offered', 'C02B', ourServer.x509, [anySuite(certified('C02B', 'client'))],
    { expect: established('C02B', 'x509', 'device-0001') });
inbound(client, 'PSK, every suite offered', '00A8', ourServer.psk, [anySuite(withPsk('00A8', identity, hex(psk)))],
    { expect: established('00A8', 'psk', identity) });
inbound(client, 'close_notify', 'C0AE', ourServer.x509, [certified('C0AE', 'client').filter((arg) => arg !== '-quiet')],
    { types: [`${word}\n`, { after: new RegExp(`^${word}`, 'm'), text: 'Q\n' }], refused: /content hello[^]*closed/ });
inbound(client, 'refused: renegotiation', 'C0AE', ourServer.x509,
    [certified('C0AE', 'client').filter((arg) => arg !== '-quiet')],
    { types: 'R\n', answer: /no renegotiation/i, expect: established('C0AE', 'x509', 'device-0001') });
inbound(client, 'refused: wrong PSK', 'C0A8', ourServer.psk, [withPsk('C0A8', identity, '00112233')],
    { refused: /failed/ });
inbound(client, 'refused: certificate of a stranger', 'C0AE', ourServer.x509, [certified('C0AE', 'unknown')],
    { refused: /failed no authority/ });
inbound(client, 'refused: DTLS 1.0', '', ourServer.x509,
    [['openssl', 's_client', '-dtls1', '-connect', '127.0.0.1:PORT', '-cipher', 'ALL:@SECLEVEL=0']],
    { answer: /alert protocol version/i, expect: /refused client cannot speak DTLS 1.2/ });
for (const seed of [1, 2]) {
    // On a socket that blocks it would wait behind a doubled Finished for what nobody sends.
    inbound(client, `X.509 over a bad path (${seed})`, 'C0AE', ourServer.x509, [certified('C0AE', 'client', '-nbio')],
        { path: { seed }, expect: established('C0AE', 'x509', 'device-0001') });
    outbound(server, `X.509 over a bad path (${seed})`, 'C0AE', certifiedServer('C0AE'), ourClient.x509,
        { path: { seed }, types: Array(30).fill(`${word}\n`), expect: established('C0AE', 'x509', 'localhost') });
}

const imported = (daemon) => daemon.device();
for (const suite of pskSuites) {
    device(client, 'PSK', suite, imported, (d) => withPsk(suite, d.id, d.psk));
}
for (const suite of certificateSuites) {
    device(client, 'X.509 both ways', suite, imported, (d) => withCertificate(suite, d.cert, d.key));
}
device(client, 'X.509, the id in the subjectAltName', 'C0AE', (daemon) => daemon.device({ alt: true }),
    (d) => withCertificate('C0AE', d.cert, d.key));
device(client, 'PSK over IPv6', 'C0A8', imported,
    (d) => withPsk('C0A8', d.id, d.psk).map((arg) => arg.replace('127.0.0.1', '[::1]')));
// The forwarder speaks from the same port for both.
device(client, 'X.509, starts anew from the port of a session that it lost', 'C0AE', imported,
    (d) => withCertificate('C0AE', d.cert, d.key), { crashes: true, path: {} });
device(client, 'close_notify: it is offline', 'C0AE', imported,
    (d) => withCertificate('C0AE', d.cert, d.key).filter((arg) => arg !== '-quiet'), { lastly: 'Q\n' });
device(client, 'refused: wrong PSK', 'C0A8', imported, (d) => withPsk('C0A8', d.id, '00'.repeat(16)),
    { ...silent, refused: /decrypt error/i });
device(client, 'refused: unknown PSK identity', 'C0A8', imported,
    (d) => withPsk('C0A8', 'e00fce68ffffffffffffffff', d.psk), { ...silent, refused: /decrypt error/i });
device(client, 'refused: certificate of a stranger', 'C0AE', imported,
    () => sClient('C0AE', '-cert', pem('unknown'), '-key', pem('unknown.key')), { ...silent, refused: /unknown ca/i });
// Neither with -quiet, which takes no commands.
device(client, 'refused: renegotiation', 'C0AE', imported,
    (d) => withCertificate('C0AE', d.cert, d.key).filter((arg) => arg !== '-quiet'),
    { lastly: 'R\n', told: /no renegotiation/i });
device(client, 'refused: DTLS 1.0', '', imported,
    () => ['openssl', 's_client', '-dtls1', '-connect', '127.0.0.1:PORT', '-cipher', 'ALL:@SECLEVEL=0'],
    { ...silent, refused: /alert protocol version/i });
device(client, 'refused: a Hello for another device', 'C0AE', async (daemon) => {
    const [own, other] = [await daemon.device(), await daemon.device()];
    return { ...own, id: other.id, says: other.id };
}, (d) => withCertificate('C0AE', d.cert, d.key), { answer: undefined, unserved: true });
