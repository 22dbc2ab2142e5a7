/* The simulated device is a judge of servers, so it is judged here: what it does by itself, what
 * it refuses, and how it updates. */
#include "scene.h"

#include "slipway/util/check.h"

#include <describe.pb.h>
#include <pb_decode.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_the_machine_is_sound(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    assert_null(fsm_audit(&sim_device_fsm, FSM_NEXT(SIM_OFF)));
}

static void test_first_connection(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    const struct heard *hello = scene_find(scene, 'h', NULL, COAP_POST);
    static const uint8_t expected[] = {0x00, 0x0d, 0x00, 0x01, 0x00, 0xf6, 0x00, 0x0d,
                                       0x00, 0x0c, 0xe0, 0x0f, 0xce, 0x68, 0x01, 0x23,
                                       0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x18, 0x38,
                                       0x04, 0x80, 0x00, 0x01, 0x00, 0x00, 0x02, 0x00};
    assert_int_equal(hello->payload_len, sizeof expected);
    assert_memory_equal(hello->bytes + hello->payload_at, expected, sizeof expected);
    assert_false(hello->was_moved);
    assert_non_null(scene_find(scene, 't', NULL, COAP_GET));
    assert_non_null(scene_find(scene, 'E', "spark/device/last_reset", COAP_POST));
    const struct heard *enabled =
        scene_find(scene, 'E', "particle/device/updates/enabled", COAP_POST);
    assert_memory_equal(enabled->bytes + enabled->payload_at, "true", 4);
    const struct heard *forced =
        scene_find(scene, 'E', "particle/device/updates/forced", COAP_POST);
    assert_memory_equal(forced->bytes + forced->payload_at, "false", 5);
    assert_non_null(scene_find(scene, 'e', "particle", COAP_GET));
    assert_non_null(scene_find(scene, 'e', "spark", COAP_GET));
    assert_true(scene->device.has_time);
    assert_int_equal(scene->device.violations, 0);
}

static void test_its_describe_can_be_decoded(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    const struct heard *told = NULL;
    for (size_t i = 0; i < scene->heard_count; i++) {
        if (scene->heard[i].path == 'd' && scene->heard[i].has_content_format_42) {
            told = &scene->heard[i];
        }
    }
    assert_non_null(told);
    slipway_SystemDescribe describe = slipway_SystemDescribe_init_zero;
    pb_istream_t stream = pb_istream_from_buffer(told->bytes + told->payload_at, told->payload_len);
    assert_true(pb_decode(&stream, slipway_SystemDescribe_fields, &describe));
    assert_int_equal(describe.modules_count, 3);
    assert_int_equal(describe.modules[1].type, MODULE_SYSTEM_PART);
    assert_int_equal(describe.modules[1].version, 6200);
    assert_int_equal(describe.modules[2].type, MODULE_USER_PART);
    assert_int_equal(describe.modules[2].hash.size, 32);
}

static void test_a_long_describe_comes_in_blocks(void **state) {
    struct scene *scene = *state;
    struct sim_device_config wishes = scene_plain;
    wishes.function_count = 120;
    scene_open(scene, &wishes);
    scene_connect(scene);
    size_t blocks = 0, bytes = 0;
    for (size_t i = 0; i < scene->heard_count; i++) {
        if (scene->heard[i].path == 'd' && !scene->heard[i].has_content_format_42) {
            blocks++;
            bytes += scene->heard[i].payload_len;
        }
    }
    assert_int_equal(blocks, 2);
    assert_true(bytes > 1024 && bytes < 2048);
}

static void test_it_pings_and_is_content_with_an_answer(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    scene_listen(scene);
    scene_run(scene, 60000);
    assert_int_equal(scene->heard_count, 2);
    assert_int_equal(scene->heard[0].code, COAP_EMPTY);
    assert_int_equal(scene->heard[0].type, COAP_CON);
    assert_int_equal(scene->device.state, SIM_CONNECTED);
}

static void test_three_resumes_then_a_handshake(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    assert_int_equal(scene->handshakes, 1);
    mono_time lost = scene->now;
    scene->is_unplugged = true;
    scene_run(scene, 200000);
    assert_int_equal(scene->device.resumes, 3);
    assert_int_equal(scene->device.handshakes, 1);
    while (scene->device.handshakes == 1) {
        scene_run(scene, 1000);
    }
    int64_t after_s = mono_since_us(lost, scene->now) / 1000000;
    assert_in_range(after_s, 200, 245); /* 221 s were observed */
    scene->is_unplugged = false;
    scene->has_session = false;
    scene_connect(scene);
    assert_int_equal(scene->handshakes, 2);
}

static void test_a_resume_says_little_and_is_marked(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    uint32_t socket = scene->device.socket;
    sim_device_sleep(&scene->device, 5000, scene->now);
    scene_listen(scene);
    scene_run(scene, 4000);
    assert_int_equal(scene->heard_count, 0);
    scene_connect(scene);
    assert_int_not_equal(scene->device.socket, socket);
    assert_true(scene->heard[0].was_moved);
    assert_int_equal(scene->heard[0].code, COAP_EMPTY);
    assert_null(scene_find(scene, 'h', NULL, COAP_POST));
    assert_null(scene_find(scene, 'd', NULL, COAP_POST));
    assert_non_null(scene_find(scene, 'E', "particle/device/updates/enabled", COAP_POST));
    assert_int_equal(scene->handshakes, 1);
    scene_run(scene, 30000);
    assert_false(scene->heard[scene->heard_count - 1].was_moved);
}

static void test_an_update_from_start_to_the_next_hello(void **state) {
    struct scene *scene = *state;
    uint8_t image[IMAGE_BYTES];
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    size_t len = scene_image(scene, 9, image);
    scene_update(scene, span_of(image, len));
    assert_true(scene->device.has_verified);
    struct sha256 hash;
    sha256_of(span_of(image, len), &hash);
    assert_memory_equal(scene->device.verified.b, hash.b, SHA256_BYTES);
    assert_int_equal(scene->device.firmware.product_version, 1); /* not before it restarts */
    scene_listen(scene);
    scene_run(scene, 3000);
    assert_int_equal(scene->device.firmware.product_version, 9);
    scene_connect(scene);
    const struct heard *hello = scene_find(scene, 'h', NULL, COAP_POST);
    assert_non_null(hello); /* other modules: told again inside the resumed session */
    assert_true(hello->was_moved);
    assert_int_equal(hello->bytes[hello->payload_at + 3], 9);
    const struct heard *reset = scene_find(scene, 'E', "spark/device/last_reset", COAP_POST);
    assert_memory_equal(reset->bytes + reset->payload_at, "update", 6);
    assert_int_equal(scene->handshakes, 1);
    assert_int_equal(scene->device.violations, 0);
}

static void test_no_commit_without_the_acknowledgement(void **state) {
    struct scene *scene = *state;
    uint8_t image[IMAGE_BYTES];
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    scene->withholds_commit = true;
    size_t len = scene_image(scene, 9, image);
    scene_update(scene, span_of(image, len));
    const struct heard *done = scene_find(scene, '\0', NULL, COAP_CHANGED);
    assert_non_null(done);
    assert_memory_equal(done->bytes + done->payload_at, "{\"recv_chunks\":25,", 18);
    scene_run(scene, 120000);
    assert_int_equal(scene->device.commits, 0);
    assert_int_equal(scene->device.firmware.product_version, 1);
    assert_int_equal(scene->device.handshakes, 2); /* an unanswered CON ends the session */
    /* Everything is still there: the next offer resumes at the end. */
    scene->withholds_commit = false;
    scene_connect(scene);
    scene_update(scene, span_of(image, len));
    assert_int_equal(scene->device.receiver.received, 0);
    scene_run(scene, 3000);
    assert_int_equal(scene->device.firmware.product_version, 9);
}

static void test_disabled_updates_are_refused_and_forced_ones_taken(void **state) {
    struct scene *scene = *state;
    struct sim_device_config wishes = scene_plain;
    wishes.disables_updates = true;
    scene_open(scene, &wishes);
    scene_connect(scene);
    struct scene_message start = {.type = COAP_CON,
                                  .code = COAP_POST,
                                  .path = "S",
                                  .token_len = 1,
                                  .file_bytes = 1000,
                                  .chunk_bytes = 512};
    scene_listen(scene);
    scene_send(scene, &start);
    const struct heard *refusal = scene_find(scene, '\0', NULL, COAP_UNAVAILABLE);
    assert_non_null(refusal);
    assert_memory_equal(refusal->bytes + refusal->payload_at,
                        "{\"code\":-1380,\"message\":\"Firmware updates are disabled\"}",
                        refusal->payload_len);
    assert_int_equal(scene->device.refusals, 1);
    struct scene_message forced = {.type = COAP_CON,
                                   .code = COAP_POST,
                                   .path = "E",
                                   .name = "particle/device/updates/forced",
                                   .payload = span_text("true")};
    scene_listen(scene);
    scene_send(scene, &forced);
    assert_non_null(scene_find(scene, 'E', "particle/device/updates/forced", COAP_POST));
    scene_listen(scene);
    scene_send(scene, &forced); /* no change, no echo */
    assert_null(scene_find(scene, 'E', "particle/device/updates/forced", COAP_POST));
    scene_send(scene, &start);
    scene_run(scene, 1000);
    assert_non_null(scene_find(scene, '\0', NULL, COAP_CREATED));
    assert_int_equal(scene->device.violations, 0);
}

static void test_power_cut_loses_the_session_and_what_was_not_saved(void **state) {
    struct scene *scene = *state;
    uint8_t image[IMAGE_BYTES];
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    size_t len = scene_image(scene, 9, image);
    struct sha256 hash;
    sha256_of(span_of(image, len), &hash);
    struct scene_message start = {.type = COAP_CON,
                                  .code = COAP_POST,
                                  .path = "S",
                                  .token_len = 1,
                                  .file_bytes = (uint32_t)len,
                                  .chunk_bytes = 512,
                                  .hash = &hash};
    scene_send(scene, &start);
    scene_run(scene, 100);
    for (uint32_t i = 1; i <= 8; i++) {
        scene_run(scene, i == 5 ? 30000 : 10); /* the first four are saved by then */
        scene_send(scene, &(struct scene_message){.type = COAP_NON,
                                                  .code = COAP_POST,
                                                  .path = "C",
                                                  .chunk_index = i,
                                                  .payload = span_of(image + 512 * (i - 1), 512)});
    }
    sim_device_power_cut(&scene->device, 2000, scene->now);
    scene->has_session = false;
    scene_connect(scene);
    assert_int_equal(scene->handshakes, 2);
    scene_listen(scene);
    scene_send(scene, &start);
    scene_run(scene, 100);
    assert_int_equal(scene_find(scene, '\0', NULL, COAP_CREATED)->offset, 4 * 512);
    assert_int_equal(scene_find(scene, '\0', NULL, COAP_CREATED)->window, 256);
}

static void test_a_damaged_image_is_not_applied(void **state) {
    struct scene *scene = *state;
    uint8_t image[IMAGE_BYTES];
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    size_t len = scene_image(scene, 9, image);
    image[100] ^= 1;
    scene_update(scene, span_of(image, len));
    assert_non_null(scene_find(scene, '\0', NULL, COAP_UNAVAILABLE));
    assert_int_equal(scene->device.state, SIM_WAITING); /* it drops the connection as well */
    assert_int_equal(scene->device.commits, 0);
    scene_connect(scene);
    assert_int_equal(scene->device.firmware.product_version, 1);
}

static void test_a_repeated_request_is_acknowledged_and_not_done_twice(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    struct scene_message call = {.type = COAP_CON,
                                 .code = COAP_POST,
                                 .path = "f",
                                 .name = "echo",
                                 .query = "abc",
                                 .token_len = 1};
    scene_listen(scene);
    scene_send(scene, &call);
    assert_int_equal(scene->heard_count, 2); /* acknowledgement and result */
    scene->id--;
    scene_send(scene, &call);
    assert_int_equal(scene->heard_count, 3);
    assert_int_equal(scene->heard[2].type, COAP_ACK);
}

static void test_the_server_can_ask_for_a_new_session(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    scene_send(scene,
               &(struct scene_message){
                   .type = COAP_CON, .code = COAP_PUT, .path = "k", .query = "\1", .token_len = 1});
    scene->has_session = false;
    scene_connect(scene);
    assert_int_equal(scene->handshakes, 2);
    assert_int_equal(scene->device.violations, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_the_machine_is_sound),
        SCENE_TEST(test_first_connection),
        SCENE_TEST(test_its_describe_can_be_decoded),
        SCENE_TEST(test_a_long_describe_comes_in_blocks),
        SCENE_TEST(test_it_pings_and_is_content_with_an_answer),
        SCENE_TEST(test_three_resumes_then_a_handshake),
        SCENE_TEST(test_a_resume_says_little_and_is_marked),
        SCENE_TEST(test_an_update_from_start_to_the_next_hello),
        SCENE_TEST(test_no_commit_without_the_acknowledgement),
        SCENE_TEST(test_disabled_updates_are_refused_and_forced_ones_taken),
        SCENE_TEST(test_power_cut_loses_the_session_and_what_was_not_saved),
        SCENE_TEST(test_a_damaged_image_is_not_applied),
        SCENE_TEST(test_a_repeated_request_is_acknowledged_and_not_done_twice),
        SCENE_TEST(test_the_server_can_ask_for_a_new_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
