/* A simulated device and a server just big enough to talk to it, on a wire without delay, in
 * virtual time. The server does what each test tells it, also what no server should do. */
#ifndef TESTS_SIM_DEVICE_SCENE_H
#define TESTS_SIM_DEVICE_SCENE_H

#include "sim/device.h"
#include "slipway/coap/message.h"

#define HEARD_MAX   64
#define IMAGE_BYTES 20000

struct heard { /* a message of the device's */
    uint8_t type, code;
    uint16_t id;
    char path;
    char name[64]; /* the second Uri-Path */
    uint8_t bytes[1200];
    size_t payload_at, payload_len;
    uint32_t chunk_index, window, offset; /* options, 0 if absent */
    bool has_content_format_42;
    bool was_moved; /* in a record of type 253 */
};

struct scene {
    struct sim_device device;
    struct crypto_key *device_key, *server_key;
    struct dtls_crypto *crypto;
    uint8_t flash[65536];
    mono_time now;

    struct dtls_endpoint *endpoint;
    struct dtls_handshake handshake;
    bool has_handshake, has_session;
    struct dtls_session session;
    struct rng rng;
    uint16_t id;
    uint32_t handshakes;
    uint32_t lost; /* datagrams of the device that went nowhere */
    struct heard heard[HEARD_MAX];
    size_t heard_count;

    /* how the server behaves */
    bool is_mute;             /* receives and says nothing */
    bool is_unplugged;        /* receives nothing */
    bool withholds_commit;    /* does not acknowledge a 2.04 */
    bool withholds_hello;     /* does not acknowledge a Hello */
    uint8_t time_token_bytes; /* 1 = as it should */
};

/* A device on a clean link that pings every 25 s. */
extern const struct sim_device_config scene_plain;

/* Each test has a scene of its own in *state, which it opens. */
int scene_setup(void **state);
int scene_teardown(void **state);
#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

void scene_open(struct scene *scene, const struct sim_device_config *wishes);
void scene_close(struct scene *scene);
/* Lets virtual time pass, and everything that falls due in it happen. */
void scene_run(struct scene *scene, int64_t ms);
/* Until the device is connected; fails the test if that takes more than five minutes. */
void scene_connect(struct scene *scene);
/* A message from the server; token_len 0 or more bytes of value 7. */
struct scene_message {
    uint8_t type, code;
    const char *path, *name, *query;
    struct span crc, index; /* Uri-Query of a legacy chunk, when not empty */
    size_t token_len;
    struct span payload;
    uint32_t chunk_index, file_bytes, chunk_bytes; /* options when not 0 */
    const struct sha256 *hash;
    bool cancel, discard;
};
uint16_t scene_send(struct scene *scene, const struct scene_message *message);
/* Forgets what was heard so far. */
void scene_listen(struct scene *scene);
/* The newest of what was heard with that path ('\0' = none), name (NULL = any) and code. */
const struct heard *scene_find(const struct scene *scene, char path, const char *name,
                               uint8_t code);
/* Sends the image as a good server would: start, chunks, finish, commit. */
void scene_update(struct scene *scene, struct span image);
/* A module for the device's platform with that version. Returns its length. */
size_t scene_image(const struct scene *scene, uint16_t version, uint8_t out[IMAGE_BYTES]);

#endif
