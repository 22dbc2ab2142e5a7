/* One UDP socket for each device, as each real one has its own address; a tournament tree of their
 * deadlines, so that ten thousand cost no more than their datagrams. */
#include "sim/fleet.h"

#include "slipway/image/image.h"
#include "slipway/util/hex.h"
#include "slipway/util/writer.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define BINARY_MAX   1572864
#define BOX_BYTES    65536
#define WAKE_MS      100
#define READS_MAX    64 /* datagrams of one device before the others get a turn */
#define DATAGRAM_MAX 2048

static bool complain(const char *what, const char *about) {
    fprintf(stderr, "slipway-sim: %s: %s\n", about, what);
    return false;
}

/* --- ids, keys, firmware --- */

/* Bytes that depend on the seed, a purpose and a number, for ids and keys that stay the same. */
static void derive(long seed, const char *purpose, struct span about, struct sha256 *out) {
    uint8_t bytes[128];
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_bytes(&w, span_text("slipway-sim "));
    writer_bytes(&w, span_text(purpose));
    writer_u64(&w, (uint64_t)seed);
    writer_bytes(&w, about);
    sha256_of(writer_span(&w), out);
}

static void make_id(const struct options *options, uint32_t number, struct device_id *out) {
    static const uint8_t nrf[] = {0xe0, 0x0f, 0xce, 0x68};
    static const uint8_t rtl[] = {0x0a, 0x10, 0xac, 0xed, 0x20, 0x21};
    struct sha256 hash;
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                        (uint8_t)number};
    derive(options->seed, "id", span_of(bytes, sizeof bytes), &hash);
    memcpy(out->b, hash.b, sizeof out->b);
    if (options->platform->is_rtl) {
        memcpy(out->b, rtl, sizeof rtl);
    } else {
        memcpy(out->b, nrf, sizeof nrf);
    }
}

static struct crypto_key *make_key(const struct options *options, const struct device_id *id) {
    struct sha256 scalar;
    derive(options->seed, "key", span_of(id->b, sizeof id->b), &scalar);
    scalar.b[0] &= 0x7f; /* below the order of the curve */
    return crypto_key_from_scalar(scalar.b);
}

static uint8_t *read_whole(const char *path, size_t cap, size_t *len) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file != NULL ? malloc(cap) : NULL;
    if (bytes != NULL) {
        *len = fread(bytes, 1, cap, file);
    } else {
        (void)complain(strerror(errno), path);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static bool read_firmware(const struct options *options, struct sim_firmware *out) {
    size_t len;
    struct image_info info;
    const char *why = "cannot be read";
    uint8_t *bytes = read_whole(options->firmware, IMAGE_MODULE_MAX, &len);
    bool is_read = bytes != NULL && image_read_module(span_of(bytes, len), &info, &why) == SW_OK;
    free(bytes);
    if (!is_read) {
        return complain(why, options->firmware);
    }
    if (info.platform_id != options->platform->id) {
        return complain("is built for another platform", options->firmware);
    }
    *out = (struct sim_firmware){.product_id = info.product_id,
                                 .product_version =
                                     info.has_product ? info.product_version : VERSION_NONE,
                                 .index = info.index,
                                 .module_version = info.module_version,
                                 .needs = info.dependencies[0]};
    memcpy(out->hash, info.hash.b, sizeof out->hash);
    return true;
}

static bool first_firmware(const struct options *options, struct sim_firmware *out) {
    if (options->firmware != NULL) {
        return read_firmware(options, out);
    }
    struct sha256 hash;
    uint8_t version[2] = {(uint8_t)(options->version >> 8), (uint8_t)options->version};
    derive(0, "firmware", span_of(version, sizeof version), &hash);
    *out = (struct sim_firmware){.product_id = options->platform->id,
                                 .product_version = (uint16_t)options->version,
                                 .index = options->platform->is_rtl ? 1 : 2,
                                 .module_version = 6};
    memcpy(out->hash, hash.b, sizeof out->hash);
    return true;
}

static bool is_disabled(const struct options *options, const struct device_id *id) {
    for (size_t i = 0; i < options->disabled_count; i++) {
        if (device_id_equal(&options->disabled[i], id)) {
            return true;
        }
    }
    return false;
}

static bool add_member(struct fleet *fleet, const struct device_id *id,
                       const struct sim_firmware *firmware) {
    const struct options *options = fleet->options;
    struct member *member = &fleet->members[fleet->count];
    *member = (struct member){.fd = -1, .enable_at = MONO_NEVER, .power_at = MONO_NEVER};
    member->key = make_key(options, id);
    /* Reserved, not used: pages come with the first transfer and go after it. */
    void *flash = mmap(NULL, BINARY_MAX, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (member->key == NULL || flash == MAP_FAILED) {
        return complain("out of memory", "a device");
    }
    struct sha256 seed;
    derive(options->seed, "chance", span_of(id->b, sizeof id->b), &seed);
    struct sim_device_config config = {
        .id = *id,
        .key = member->key,
        .pinned = &fleet->server_key,
        .crypto = fleet->crypto,
        .platform_id = options->platform->id,
        .system_version = (uint16_t)options->system_version,
        .firmware = *firmware,
        .binary_max = BINARY_MAX,
        .flash = flash,
        .flash_cap = BINARY_MAX,
        .ping_ms = (uint32_t)options->ping_ms,
        .reboot_ms = (uint32_t)options->reboot_ms,
        .function_count = (uint16_t)options->functions,
        .disables_updates = is_disabled(options, id),
        .keeps_old = options->keeps_old,
        .is_legacy = options->is_legacy,
        .is_slow = options->is_slow,
        .power_cut_percent = (uint8_t)options->power_cut_percent,
        .link_is_clean = false, /* loopback, too, drops when a buffer is full */
    };
    memcpy(&config.seed, seed.b, sizeof config.seed);
    sim_device_init(&member->device, &config);
    member->first_version = firmware->product_version;
    fleet->count++;
    return true;
}

static bool add_listed(struct fleet *fleet, const struct sim_firmware *firmware) {
    FILE *file = fopen(fleet->options->ids_file, "r");
    if (file == NULL) {
        return complain(strerror(errno), fleet->options->ids_file);
    }
    char line[128];
    bool is_fine = true;
    while (is_fine && fgets(line, sizeof line, file) != NULL) {
        struct device_id id;
        size_t len = strcspn(line, " ,\t\r\n");
        if (len == 0) {
            continue;
        }
        if (fleet->count == (size_t)fleet->options->devices) {
            break;
        }
        is_fine = device_id_parse(line, len, &id) == SW_OK
                      ? add_member(fleet, &id, firmware)
                      : complain("holds a line that is no device id", fleet->options->ids_file);
    }
    fclose(file);
    return is_fine;
}

bool fleet_open(struct fleet *fleet, const struct options *options) {
    struct sim_firmware firmware;
    size_t most = (size_t)options->devices;
    *fleet = (struct fleet){.options = options, .epoll = -1, .leaves = 1};
    while (fleet->leaves < most) {
        fleet->leaves *= 2;
    }
    fleet->members = calloc(most, sizeof *fleet->members);
    fleet->deadlines = calloc(2 * fleet->leaves, sizeof *fleet->deadlines);
    fleet->box = malloc(BOX_BYTES);
    fleet->crypto = dtls_crypto_new();
    if (fleet->members == NULL || fleet->deadlines == NULL || fleet->box == NULL ||
        fleet->crypto == NULL) {
        return complain("out of memory", "the fleet");
    }
    for (size_t i = 0; i < 2 * fleet->leaves; i++) {
        fleet->deadlines[i] = MONO_NEVER;
    }
    rng_seed(&fleet->link.rng, (uint64_t)options->seed);
    fleet->link.loss_percent = (uint32_t)options->loss_percent;
    fleet->link.latency_ms = (uint32_t)options->latency_ms;
    fleet->link.jitter_ms = (uint32_t)options->jitter_ms;
    if (!first_firmware(options, &firmware)) {
        return false;
    }
    if (options->ids_file != NULL) {
        return add_listed(fleet, &firmware);
    }
    for (uint32_t i = 0; i < (uint32_t)options->devices; i++) {
        struct device_id id;
        make_id(options, i, &id);
        if (!add_member(fleet, &id, &firmware)) {
            return false;
        }
    }
    return true;
}

void fleet_close(struct fleet *fleet) {
    for (size_t i = 0; i < fleet->count; i++) {
        struct member *member = &fleet->members[i];
        sim_device_close(&member->device);
        crypto_key_free(member->key);
        munmap(member->device.config.flash, BINARY_MAX);
        if (member->fd >= 0) {
            close(member->fd);
        }
    }
    link_close(&fleet->link);
    dtls_crypto_free(fleet->crypto);
    free(fleet->members);
    free(fleet->deadlines);
    free(fleet->box);
}

/* --- the server --- */

static bool resolve(struct fleet *fleet) {
    char host[256];
    const char *server = fleet->options->server;
    const char *colon = strrchr(server, ':');
    size_t len = colon != NULL ? (size_t)(colon - server) : 0;
    if (len == 0 || len >= sizeof host) {
        return complain("is not HOST:PORT", server);
    }
    bool is_bracketed = server[0] == '[' && server[len - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(is_bracketed ? len - 2 : len),
             server + (is_bracketed ? 1 : 0));
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(host, colon + 1, &hints, &found);
    if (status != 0) {
        return complain(gai_strerror(status), server);
    }
    memcpy(&fleet->server, found->ai_addr, found->ai_addrlen);
    fleet->server_len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool read_server_key(struct fleet *fleet) {
    const char *path = fleet->options->server_key;
    size_t len = 0;
    uint8_t *bytes = read_whole(path, 8192, &len);
    if (bytes == NULL) {
        return false;
    }
    struct span text = span_of(bytes, len);
    int status = p256_point_from_pem(text, &fleet->server_key);
    if (status != SW_OK) {
        uint8_t spki[P256_SPKI_BYTES];
        while (text.len > 0 && text.data[text.len - 1] <= ' ') {
            text.len--;
        }
        status = hex_decode((const char *)text.data, text.len, spki, sizeof spki);
        if (status == SW_OK) {
            status = p256_spki_decode(span_of(spki, sizeof spki), &fleet->server_key);
        }
    }
    free(bytes);
    return status == SW_OK || complain("is not a P-256 public key in PEM or hexadecimal", path);
}

/* --- datagrams and deadlines --- */

static void set_deadline(struct fleet *fleet, size_t member, mono_time deadline) {
    size_t at = fleet->leaves + member;
    fleet->deadlines[at] = deadline;
    while (at > 1) {
        at /= 2;
        fleet->deadlines[at] = mono_earlier(fleet->deadlines[2 * at], fleet->deadlines[2 * at + 1]);
    }
}

/* All of 127.0.0.0/8 is this machine: a server that limits what one address may do then sees as
 * many addresses as devices. */
static bool bind_own_address(const struct fleet *fleet, const struct member *member) {
    if (!fleet->options->has_own_addresses) {
        return true;
    }
    uint32_t number = (uint32_t)(member - fleet->members) + 1;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F010000 + number)};
    return bind(member->fd, (const struct sockaddr *)&own, sizeof own) == 0;
}

/* The device opened a new socket: a new source port for the server. */
static void open_socket(struct fleet *fleet, struct member *member) {
    if (member->fd >= 0) {
        close(member->fd);
    }
    member->socket = member->device.socket;
    member->fd = socket(fleet->server.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (member->fd < 0) {
        return; /* as if the network were down: the device tries again */
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(member - fleet->members)};
    if (!bind_own_address(fleet, member) ||
        connect(member->fd, (struct sockaddr *)&fleet->server, fleet->server_len) != 0 ||
        epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, member->fd, &event) != 0) {
        close(member->fd);
        member->fd = -1;
    }
}

static void transmit(const struct member *member, struct span datagram) {
    if (member->fd >= 0) {
        /* What a full buffer refuses is lost, as on a network. */
        (void)!send(member->fd, datagram.data, datagram.len, 0);
    }
}

static void settle(struct fleet *fleet, struct member *member, const struct outbox *out,
                   mono_time now) {
    size_t index = (size_t)(member - fleet->members);
    if (member->device.socket != member->socket) {
        open_socket(fleet, member);
    }
    for (size_t i = 0; i < out->count; i++) {
        struct span datagram = outbox_datagram(out, i);
        if (link_loses(&fleet->link)) {
            continue;
        }
        if (link_is_direct(&fleet->link)) {
            transmit(member, datagram);
        } else {
            link_put(&fleet->link, datagram, (uint32_t)index, member->socket, false, now);
        }
    }
    fleet_report(fleet, member, now);
    if ((member->device.news & SIM_NEWS_BOOTED) != 0 && !member->device.flash.has_partial) {
        (void)madvise(member->device.config.flash, BINARY_MAX, MADV_DONTNEED);
    }
    member->device.news = 0;
    mono_time own = mono_earlier(member->enable_at, member->power_at);
    set_deadline(fleet, index, mono_earlier(sim_device_deadline(&member->device), own));
}

static void give(struct fleet *fleet, struct member *member, struct span datagram, mono_time now) {
    struct outbox out;
    outbox_init(&out, fleet->box, BOX_BYTES);
    sim_device_input(&member->device, datagram, now, &out);
    settle(fleet, member, &out, now);
}

void fleet_readable(struct fleet *fleet, size_t index, mono_time now) {
    struct member *member = &fleet->members[index];
    uint32_t socket = member->socket;
    for (int i = 0; i < READS_MAX && member->fd >= 0 && member->socket == socket; i++) {
        uint8_t bytes[DATAGRAM_MAX];
        ssize_t len = recv(member->fd, bytes, sizeof bytes, 0);
        if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (len < 0 || link_loses(&fleet->link)) {
            continue; /* also when nobody listens: the timers deal with it */
        }
        struct span datagram = span_of(bytes, (size_t)len);
        if (link_is_direct(&fleet->link)) {
            give(fleet, member, datagram, now);
        } else {
            link_put(&fleet->link, datagram, (uint32_t)index, socket, true, now);
        }
    }
}

static void tick_member(struct fleet *fleet, struct member *member, mono_time now) {
    struct outbox out;
    outbox_init(&out, fleet->box, BOX_BYTES);
    if (mono_reached(now, member->enable_at)) {
        member->enable_at = MONO_NEVER;
        sim_device_allow_updates(&member->device, true, now, &out);
    }
    if (mono_reached(now, member->power_at)) {
        member->power_at = MONO_NEVER;
        sim_device_boot(&member->device, now, &out);
    } else {
        sim_device_tick(&member->device, now, &out);
    }
    settle(fleet, member, &out, now);
}

void fleet_tick(struct fleet *fleet, mono_time now) {
    struct link_item *item;
    while ((item = link_take(&fleet->link, now)) != NULL) {
        struct member *member = &fleet->members[item->member];
        if (member->socket == item->socket) {
            struct span datagram = span_of(item->bytes, item->len);
            if (item->is_incoming) {
                give(fleet, member, datagram, now);
            } else {
                transmit(member, datagram);
            }
        }
        free(item);
    }
    for (size_t turn = 0; turn < fleet->count && mono_reached(now, fleet->deadlines[1]); turn++) {
        size_t at = 1;
        while (at < fleet->leaves) {
            at *= 2;
            at += fleet->deadlines[at].us <= fleet->deadlines[at + 1].us ? 0 : 1;
        }
        tick_member(fleet, &fleet->members[at - fleet->leaves], now);
    }
}

mono_time fleet_deadline(const struct fleet *fleet) {
    return mono_earlier(fleet->deadlines[1], link_deadline(&fleet->link));
}

bool fleet_start(struct fleet *fleet, int epoll, mono_time now) {
    fleet->epoll = epoll;
    if (!resolve(fleet) || !read_server_key(fleet)) {
        return false;
    }
    int64_t apart_us = fleet->options->start_rate > 0 ? 1000000 / fleet->options->start_rate : 0;
    for (size_t i = 0; i < fleet->count; i++) {
        struct member *member = &fleet->members[i];
        member->power_at = mono_add_us(now, (int64_t)i * apart_us);
        if (member->device.config.disables_updates && fleet->options->enable_after_s > 0) {
            member->enable_at =
                mono_add_ms(member->power_at, 1000 * fleet->options->enable_after_s);
        }
        set_deadline(fleet, i, member->power_at);
    }
    return true;
}

/* --- orders --- */

size_t fleet_find(const struct fleet *fleet, const struct device_id *id) {
    size_t i = 0;
    while (i < fleet->count && !device_id_equal(&fleet->members[i].device.config.id, id)) {
        i++;
    }
    return i;
}

void fleet_command(struct fleet *fleet, size_t index, enum fleet_order order, mono_time now) {
    struct member *member = &fleet->members[index];
    struct sim_device *device = &member->device;
    struct outbox out;
    outbox_init(&out, fleet->box, BOX_BYTES);
    if (member->power_at.us != INT64_MAX) {
        return; /* not switched on yet */
    }
    switch (order) {
    case FLEET_ENABLE:
    case FLEET_DISABLE:
        sim_device_allow_updates(device, order == FLEET_ENABLE, now, &out);
        break;
    case FLEET_REBOOT:
        sim_device_reboot(device, now);
        break;
    case FLEET_WAKE:
        sim_device_sleep(device, WAKE_MS, now);
        break;
    case FLEET_CUT:
        sim_device_power_cut(device, device->config.reboot_ms, now);
        break;
    }
    settle(fleet, member, &out, now);
}
