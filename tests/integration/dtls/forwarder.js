// A path between a client and a server over which datagrams of the handshake are lost, doubled and
// overtaken, the same ones with the same seed; or on which the client's address changes.
'use strict';
const dgram = require('dgram');

const contentRecord = 23;
const cidRecord = 25;
// Our pace: what is overtaken waits this long. A path loses no more than this in each direction.
const late = 60;
const lossesMax = 2;

function generator(seed) { // 0..1
    let state = seed;
    return () => {
        state = (state + 0x9e3779b9) | 0;
        let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
        mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
        return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
    };
}

const open = () => new Promise((done) => {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => done(socket));
});

class Forwarder {
    // { seed }        a bad path for handshakes: content passes, as nobody repeats it
    // { doubles }     everything arrives twice
    // { moves: [n] }  the client has another port from its nth record on that carries content; somebody
    //                 else sends an old record of its and a forged one just before and after
    // { straggler }   of those records the one that arrives only after the next move, from the old port
    constructor(server, { seed = 0, doubles = false, moves = [], straggler = 0 } = {}) {
        Object.assign(this, { server, seed, doubles, moves, straggler, moved: 0, contents: 0, strayed: 0, harmed: 0 });
        this.chance = { up: generator(2 * seed), down: generator(2 * seed + 1) };
        this.losses = { up: 0, down: 0 };
        this.sockets = [];
    }
    async start() {
        this.below = await open();
        this.port = this.below.address().port;
        this.stray = await open();
        this.sockets.push(this.below, this.stray);
        this.stray.on('message', () => { this.strayed += 1; });
        await this.rise();
        this.below.on('message', (datagram, from) => {
            this.client = from.port;
            this.work = (this.work || Promise.resolve()).then(() => this.#up(datagram));
        });
        return this;
    }
    // From now on the server hears the client from a new port; what still comes to an old one is lost.
    async rise() {
        const socket = await open();
        this.sockets.push(socket);
        this.above = socket;
        socket.on('message', (datagram) => {
            if (socket === this.above) this.#pass('down', datagram, (d) => this.#send(this.below, d, this.client));
            if (socket === this.behind) this.strayed += 1;
        });
    }
    #send(socket, datagram, port) {
        if (!this.isClosed) socket.send(datagram, port, '127.0.0.1');
    }
    async #up(datagram) {
        if (datagram[0] === contentRecord || datagram[0] === cidRecord) {
            this.contents += 1;
            this.first ??= datagram;
            if (this.straggler === this.contents) {
                this.held = [this.above, datagram];
                return;
            }
            if (this.moves.includes(this.contents)) {
                await this.rise();
                this.moved += 1;
                this.#forge(datagram);
                setTimeout(() => {
                    this.#forge(datagram);
                    if (this.held) this.#send(this.behind = this.held[0], this.held[1], this.server);
                    this.held = null;
                }, late);
            }
        }
        this.#pass('up', datagram, (d) => this.#send(this.above, d, this.server));
    }
    #forge(datagram) {
        const forged = Buffer.from(datagram);
        forged[forged.length - 1] ^= 1;
        this.#send(this.stray, this.first, this.server);
        this.#send(this.stray, forged, this.server);
    }
    #pass(way, datagram, send) {
        if (this.doubles) send(datagram);
        const isHandshake = datagram[0] === 20 || datagram[0] === 22;
        const chance = this.seed !== 0 && isHandshake ? this.chance[way]() : 1;
        if (chance < 0.25 && this.losses[way] < lossesMax) {
            this.losses[way] += 1;
            this.harmed += 1;
        } else if (chance < 0.5) {
            this.harmed += 1;
            send(datagram);
            send(datagram);
        } else if (chance < 0.75) {
            this.harmed += 1;
            setTimeout(send, late, datagram);
        } else {
            send(datagram);
        }
    }
    // What makes the case worthless, or shows that somebody else was answered.
    problem() {
        if (this.strayed > 0) return `${this.strayed} datagrams to a stranger`;
        if (this.moved < this.moves.length) return 'the client did not move';
        if (this.straggler > 0 && !this.behind) return 'nothing straggled';
        return this.seed !== 0 && this.harmed === 0 ? 'the path did no harm' : null;
    }
    close() {
        this.isClosed = true;
        for (const socket of this.sockets) socket.close();
    }
}

module.exports = { Forwarder };
