/* The simulated device that knows the older update protocol only: fast, and chunk by chunk. */
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <zlib.h>

static void send_legacy_chunk(struct scene *scene, struct span image, uint32_t index) {
    uint8_t chunk[512] = {0}, crc[4], number[2] = {(uint8_t)(index >> 8), (uint8_t)index};
    size_t at = (size_t)index * sizeof chunk;
    memcpy(chunk, image.data + at,
           image.len - at < sizeof chunk ? image.len - at : sizeof chunk); /* padded */
    uint32_t sum = (uint32_t)crc32_z(0, chunk, sizeof chunk);
    for (size_t i = 0; i < 4; i++) {
        crc[i] = (uint8_t)(sum >> (24 - 8 * i));
    }
    scene_send(scene, &(struct scene_message){.type = COAP_NON,
                                              .code = COAP_POST,
                                              .path = "c",
                                              .token_len = 1,
                                              .crc = span_of(crc, 4),
                                              .index = span_of(number, 2),
                                              .payload = span_of(chunk, sizeof chunk)});
}

static void test_the_older_protocol(void **state) {
    struct scene *scene = *state;
    struct sim_device_config wishes = scene_plain;
    uint8_t image[IMAGE_BYTES];
    wishes.is_legacy = true;
    scene_open(scene, &wishes);
    scene_connect(scene);
    const struct heard *hello = scene_find(scene, 'h', NULL, COAP_POST);
    assert_int_equal(hello->bytes[hello->payload_at + 5], 0x36);
    size_t len = scene_image(scene, 9, image);
    uint32_t count = (uint32_t)((len + 511) / 512);
    uint8_t begin[12] = {1, 2, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    struct scene_message done = {.type = COAP_CON, .code = COAP_PUT, .path = "u", .token_len = 1};
    scene_listen(scene);
    scene_send(scene, &(struct scene_message){.type = COAP_CON,
                                              .code = COAP_POST,
                                              .path = "u",
                                              .token_len = 1,
                                              .payload = span_of(begin, sizeof begin)});
    const struct heard *ready = scene_find(scene, '\0', NULL, COAP_CHANGED);
    assert_non_null(ready);
    assert_int_equal(ready->bytes[ready->payload_at], 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i != 3 && i != 7) {
            send_legacy_chunk(scene, span_of(image, len), i);
        }
    }
    scene_listen(scene);
    scene_send(scene, &done);
    const struct heard *missing = scene_find(scene, 'c', NULL, COAP_GET);
    assert_non_null(missing);
    assert_int_equal(missing->payload_len, 4);
    assert_memory_equal(missing->bytes + missing->payload_at, "\0\3\0\7", 4);
    send_legacy_chunk(scene, span_of(image, len), 3);
    send_legacy_chunk(scene, span_of(image, len), 7);
    scene_listen(scene);
    scene_send(scene, &done);
    const struct heard *result = scene_find(scene, '\0', NULL, COAP_CHANGED);
    assert_non_null(result);
    assert_memory_equal(result->bytes + result->payload_at, "{\"r\":0}", 7);
    scene_run(scene, 3000);
    assert_int_equal(scene->device.firmware.product_version, 9);
    assert_int_equal(scene->device.violations, 0);
    scene_connect(scene);
    scene_send(scene, &(struct scene_message){.type = COAP_CON,
                                              .code = COAP_POST,
                                              .path = "S",
                                              .token_len = 1,
                                              .file_bytes = 1000,
                                              .chunk_bytes = 512});
    assert_int_equal(scene->device.violations, 1);
}

static void send_slow_chunk(struct scene *scene, struct span image, uint32_t index, bool is_sound) {
    uint8_t chunk[512] = {0}, crc[4];
    size_t at = (size_t)index * sizeof chunk;
    memcpy(chunk, image.data + at,
           image.len - at < sizeof chunk ? image.len - at : sizeof chunk); /* padded */
    uint32_t sum = (uint32_t)crc32_z(0, chunk, sizeof chunk) + !is_sound;
    for (size_t i = 0; i < 4; i++) {
        crc[i] = (uint8_t)(sum >> (24 - 8 * i));
    }
    scene_listen(scene);
    scene_send(scene, &(struct scene_message){.type = COAP_CON,
                                              .code = COAP_POST,
                                              .path = "c",
                                              .token_len = 1,
                                              .crc = span_of(crc, 4),
                                              .payload = span_of(chunk, sizeof chunk)});
    assert_int_equal(scene->heard_count, 2); /* acknowledged, then answered */
    assert_non_null(scene_find(scene, '\0', NULL, is_sound ? COAP_CHANGED : COAP_BAD_REQUEST));
}

static void test_the_older_protocol_chunk_by_chunk(void **state) {
    struct scene *scene = *state;
    struct sim_device_config wishes = scene_plain;
    uint8_t image[IMAGE_BYTES];
    wishes.is_legacy = true;
    wishes.is_slow = true;
    scene_open(scene, &wishes);
    scene_connect(scene);
    size_t len = scene_image(scene, 9, image);
    uint8_t begin[12] = {1, 2, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    scene_listen(scene);
    scene_send(scene, &(struct scene_message){.type = COAP_CON,
                                              .code = COAP_POST,
                                              .path = "u",
                                              .token_len = 1,
                                              .payload = span_of(begin, sizeof begin)});
    const struct heard *ready = scene_find(scene, '\0', NULL, COAP_CHANGED);
    assert_non_null(ready);
    assert_int_equal(ready->bytes[ready->payload_at], 0);
    for (uint32_t i = 0; i < (len + 511) / 512; i++) {
        if (i == 2) {
            send_slow_chunk(scene, span_of(image, len), i, false);
        }
        send_slow_chunk(scene, span_of(image, len), i, true);
    }
    scene_send(scene, &(struct scene_message){
                          .type = COAP_CON, .code = COAP_PUT, .path = "u", .token_len = 1});
    scene_run(scene, 3000);
    assert_int_equal(scene->device.firmware.product_version, 9);
    assert_int_equal(scene->device.violations, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_the_older_protocol),
        SCENE_TEST(test_the_older_protocol_chunk_by_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
