#include "scene.h"

#include "slipway/image/image.h"
#include "slipway/util/check.h"
#include "slipway/util/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t cid[DTLS_CID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
static const struct address device_address = {.ip = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1},
                                              .port = 5000};

static void deliver(struct scene *scene, const struct outbox *box);

const struct sim_device_config scene_plain = {.ping_ms = 25000, .link_is_clean = true};

int scene_setup(void **state) {
    *state = malloc(sizeof(struct scene));
    assert_non_null(*state);
    return 0;
}

int scene_teardown(void **state) {
    scene_close(*state);
    free(*state);
    return 0;
}

void scene_open(struct scene *scene, const struct sim_device_config *wishes) {
    uint8_t scalar[32] = {1};
    memset(scene, 0, sizeof *scene);
    scene->crypto = dtls_crypto_new();
    scene->device_key = crypto_key_from_scalar(scalar);
    scalar[0] = 2;
    scene->server_key = crypto_key_from_scalar(scalar);
    scene->time_token_bytes = 1;
    scene->now = (mono_time){.us = 1000000};
    rng_seed(&scene->rng, 11);
    struct dtls_endpoint_config server = {.is_server = true, .key = scene->server_key};
    scene->endpoint = dtls_endpoint_new(&server);
    dtls_endpoint_rotate_cookie(scene->endpoint, (const uint8_t[DTLS_COOKIE_SECRET]){3});
    struct sim_device_config config = *wishes;
    assert_int_equal(device_id_parse("e00fce680123456789abcdef", 24, &config.id), SW_OK);
    config.key = scene->device_key;
    config.pinned = crypto_key_point(scene->server_key);
    config.crypto = scene->crypto;
    config.seed = 5;
    config.platform_id = 13;
    config.system_version = 6200;
    config.firmware.product_version =
        config.firmware.product_version != 0 ? config.firmware.product_version : 1;
    config.firmware.index = 2;
    config.binary_max = sizeof scene->flash;
    config.flash = scene->flash;
    config.flash_cap = sizeof scene->flash;
    sim_device_init(&scene->device, &config);
}

void scene_close(struct scene *scene) {
    sim_device_close(&scene->device);
    dtls_handshake_close(&scene->handshake);
    dtls_endpoint_free(scene->endpoint);
    dtls_crypto_free(scene->crypto);
    crypto_key_free(scene->device_key);
    crypto_key_free(scene->server_key);
}

/* --- the server's side of the wire --- */

static void to_device(struct scene *scene, const struct outbox *box) {
    uint8_t data[65536];
    for (size_t i = 0; i < box->count; i++) {
        struct outbox out;
        outbox_init(&out, data, sizeof data);
        sim_device_input(&scene->device, outbox_datagram(box, i), scene->now, &out);
        deliver(scene, &out);
    }
}

static void seal(struct scene *scene, struct span message) {
    uint8_t data[DTLS_RECORD_MAX];
    struct outbox out;
    outbox_init(&out, data, sizeof data);
    struct writer w = writer_of(outbox_begin(&out, sizeof data), sizeof data);
    assert_int_equal(dtls_seal(scene->crypto, &scene->session, DTLS_APPLICATION_DATA, message, &w),
                     SW_OK);
    outbox_commit(&out, writer_span(&w).len);
    to_device(scene, &out);
}

uint16_t scene_send(struct scene *scene, const struct scene_message *m) {
    static const uint8_t token[8] = {7, 7, 7, 7, 7, 7, 7, 7};
    uint8_t bytes[1400];
    struct writer out = writer_of(bytes, sizeof bytes);
    uint16_t id = ++scene->id;
    struct coap_writer w = coap_begin(&out, m->type, m->code, id, span_of(token, m->token_len));
    if (m->path != NULL) {
        coap_put(&w, COAP_URI_PATH, span_text(m->path));
    }
    if (m->name != NULL) {
        coap_put(&w, COAP_URI_PATH, span_text(m->name));
    }
    if (m->query != NULL) {
        coap_put(&w, COAP_URI_QUERY, span_text(m->query));
    }
    if (m->crc.len > 0) {
        coap_put(&w, COAP_URI_QUERY, m->crc);
        if (m->index.len > 0) {
            coap_put(&w, COAP_URI_QUERY, m->index);
        }
    }
    if (m->chunk_index != 0) {
        coap_put_uint(&w, COAP_CHUNK_INDEX, m->chunk_index);
    }
    if (m->file_bytes != 0) {
        coap_put_uint(&w, COAP_FILE_SIZE, m->file_bytes);
    }
    if (m->hash != NULL) {
        coap_put(&w, COAP_FILE_SHA256, span_of(m->hash->b, SHA256_BYTES));
    }
    if (m->chunk_bytes != 0) {
        coap_put_uint(&w, COAP_CHUNK_SIZE, m->chunk_bytes);
    }
    if (m->discard) {
        coap_put(&w, COAP_DISCARD_DATA, span_of(NULL, 0));
    }
    if (m->cancel) {
        coap_put(&w, COAP_CANCEL_UPDATE, span_of(NULL, 0));
    }
    coap_put_payload(&w, m->payload);
    assert_int_equal(writer_status(&out), SW_OK);
    seal(scene, writer_span(&out));
    return id;
}

static void answer(struct scene *scene, const struct heard *heard, struct span token) {
    uint8_t bytes[64];
    struct writer out = writer_of(bytes, sizeof bytes);
    bool is_time = heard->code == COAP_GET && heard->path == 't';
    if (heard->type != COAP_CON || scene->is_mute ||
        (heard->code == COAP_CHANGED && scene->withholds_commit) ||
        (heard->path == 'h' && scene->withholds_hello)) {
        return;
    }
    if (is_time) {
        uint8_t longer[8] = {token.data[0]};
        struct coap_writer w = coap_begin(&out, COAP_ACK, COAP_CONTENT, heard->id,
                                          span_of(longer, scene->time_token_bytes));
        coap_put_payload(&w, span_of("\x65\x53\xf1\x00", 4));
    } else {
        (void)coap_begin(&out, COAP_ACK, COAP_EMPTY, heard->id, span_of(NULL, 0));
    }
    seal(scene, writer_span(&out));
}

static void hear(struct scene *scene, struct span bytes, bool was_moved) {
    struct coap_message message;
    const char *why;
    struct span value;
    assert_int_equal(coap_decode(bytes, &message, &why), SW_OK);
    SW_CHECK(scene->heard_count < HEARD_MAX && bytes.len <= sizeof scene->heard[0].bytes);
    struct heard *heard = &scene->heard[scene->heard_count++];
    *heard = (struct heard){.type = message.type,
                            .code = message.code,
                            .id = message.id,
                            .was_moved = was_moved,
                            .payload_len = message.payload.len};
    memcpy(heard->bytes, bytes.data, bytes.len);
    heard->payload_at = bytes.len - message.payload.len;
    if (coap_option_at(&message, COAP_URI_PATH, 0, &value) && value.len > 0) {
        heard->path = (char)value.data[0];
    }
    if (coap_option_at(&message, COAP_URI_PATH, 1, &value) && value.len < sizeof heard->name) {
        memcpy(heard->name, value.data, value.len);
    }
    uint32_t format = 0;
    heard->has_content_format_42 =
        coap_option_uint(&message, COAP_CONTENT_FORMAT, &format) && format == 42;
    (void)coap_option_uint(&message, COAP_CHUNK_INDEX, &heard->chunk_index);
    (void)coap_option_uint(&message, COAP_WINDOW_SIZE, &heard->window);
    (void)coap_option_uint(&message, COAP_FILE_SIZE, &heard->offset);
    struct heard copy = *heard; /* answering may make the device say more */
    answer(scene, &copy, message.token);
}

static void shake(struct scene *scene, struct span datagram) {
    uint8_t data[16384], entropy[DTLS_HANDSHAKE_ENTROPY];
    struct outbox out;
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    const char *why;
    outbox_init(&out, data, sizeof data);
    struct dtls_sorted sorted;
    dtls_sort(datagram, &sorted);
    if (sorted.is_hello && !scene->has_handshake) {
        enum dtls_hello hello =
            dtls_server_hello(scene->endpoint, &device_address, datagram, &out, &why);
        if (hello == DTLS_HELLO_ACCEPT) {
            rng_fill(&scene->rng, entropy, sizeof entropy);
            assert_int_equal(dtls_handshake_accept(&scene->handshake, scene->endpoint, datagram,
                                                   cid, entropy, scene->now, &out, &step),
                             SW_OK);
            scene->has_handshake = true;
        }
    } else if (scene->has_handshake) {
        dtls_handshake_input(&scene->handshake, scene->endpoint, datagram, scene->now, &out, &step);
        if (step.event == DTLS_EVENT_ESTABLISHED) {
            dtls_handshake_session(&scene->handshake, &scene->session);
            scene->has_session = true;
            scene->handshakes++;
            scene->has_handshake = false;
        }
    }
    to_device(scene, &out);
}

static void deliver(struct scene *scene, const struct outbox *box) {
    for (size_t i = 0; i < box->count; i++) {
        struct span datagram = outbox_datagram(box, i);
        struct dtls_opened record;
        uint8_t plain[DTLS_RECORD_MAX];
        struct dtls_sorted sorted;
        dtls_sort(datagram, &sorted);
        if (scene->is_unplugged) {
            scene->lost++;
        } else if (sorted.kind == DTLS_KIND_HANDSHAKE || !scene->has_session) {
            shake(scene, datagram);
        } else if (dtls_open(scene->crypto, &scene->session, datagram, plain, sizeof plain,
                             &record) == SW_OK) {
            assert_int_equal(record.type, DTLS_APPLICATION_DATA);
            hear(scene, record.content, sorted.is_moved);
        } else {
            scene->lost++;
        }
    }
}

void scene_run(struct scene *scene, int64_t ms) {
    mono_time end = mono_add_ms(scene->now, ms);
    uint8_t data[65536];
    struct outbox out;
    if (scene->device.boots == 0) {
        outbox_init(&out, data, sizeof data);
        sim_device_boot(&scene->device, scene->now, &out);
        deliver(scene, &out);
    }
    for (int turns = 0; turns < 100000; turns++) {
        mono_time due = sim_device_deadline(&scene->device);
        if (due.us > end.us) {
            scene->now = end;
            return;
        }
        scene->now = due.us > scene->now.us ? due : scene->now;
        outbox_init(&out, data, sizeof data);
        sim_device_tick(&scene->device, scene->now, &out);
        deliver(scene, &out);
        assert_true(sim_device_deadline(&scene->device).us > scene->now.us ||
                    scene->device.state == SIM_WAITING || scene->device.state == SIM_OFF);
    }
    fail_msg("the device does not come to rest");
}

void scene_connect(struct scene *scene) {
    for (int i = 0; i < 3000 && scene->device.state != SIM_CONNECTED; i++) {
        scene_run(scene, 100);
    }
    assert_string_equal(sim_device_state_name(&scene->device), "connected");
}

void scene_listen(struct scene *scene) {
    scene->heard_count = 0;
}

const struct heard *scene_find(const struct scene *scene, char path, const char *name,
                               uint8_t code) {
    for (size_t i = scene->heard_count; i > 0; i--) {
        const struct heard *heard = &scene->heard[i - 1];
        if (heard->path == path && heard->code == code &&
            (name == NULL || strcmp(heard->name, name) == 0)) {
            return heard;
        }
    }
    return NULL;
}

size_t scene_image(const struct scene *scene, uint16_t version, uint8_t out[IMAGE_BYTES]) {
    uint8_t body[12345];
    struct rng rng;
    rng_seed(&rng, version);
    rng_fill(&rng, body, sizeof body);
    struct image_recipe recipe = {.platform_id = scene->device.config.platform_id,
                                  .function = MODULE_USER_PART,
                                  .index = 2,
                                  .product_id = scene->device.config.platform_id,
                                  .product_version = version,
                                  .body = span_of(body, sizeof body)};
    int len = image_write_module(&recipe, out, IMAGE_BYTES);
    assert_true(len > 0);
    return (size_t)len;
}

void scene_update(struct scene *scene, struct span image) {
    struct sha256 hash;
    sha256_of(image, &hash);
    scene_listen(scene);
    scene_send(scene, &(struct scene_message){.type = COAP_CON,
                                              .code = COAP_POST,
                                              .path = "S",
                                              .token_len = 1,
                                              .file_bytes = (uint32_t)image.len,
                                              .chunk_bytes = 512,
                                              .hash = &hash});
    scene_run(scene, 200);
    const struct heard *accepted = scene_find(scene, '\0', NULL, COAP_CREATED);
    assert_non_null(accepted);
    uint32_t offset = accepted->offset;
    for (uint32_t index = 1; offset < image.len; index++) {
        size_t len = image.len - offset < 512 ? image.len - offset : 512;
        scene_listen(scene);
        scene_send(scene, &(struct scene_message){.type = COAP_NON,
                                                  .code = COAP_POST,
                                                  .path = "C",
                                                  .chunk_index = index,
                                                  .payload = span_of(image.data + offset, len)});
        offset += (uint32_t)len;
    }
    scene_listen(scene);
    scene_send(scene, &(struct scene_message){
                          .type = COAP_CON, .code = COAP_POST, .path = "F", .token_len = 1});
}
