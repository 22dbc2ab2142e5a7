/* Each thing that real devices do not tolerate is noticed by the simulated one, and ends what it
 * ends with them. */
#include "scene.h"

#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Each of these is something that a server must never do. */
static void test_violations(void **state) {
    struct scene *scene = *state;
    static const struct {
        const char *what;
        struct scene_message message;
        bool ends_session, ends_connection;
    } cases[] = {
        {.what = "a 2.05 that it did not ask for",
         .message = {.type = COAP_NON,
                     .code = COAP_CONTENT,
                     .token_len = 1,
                     .payload = {(const uint8_t *)"\0\0\0\1", 4}}},
        {.what = "an RST",
         .message = {.type = COAP_RST},
         .ends_session = true,
         .ends_connection = true},
        {.what = "UpdateStart that is not a CON with a 1-byte token",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "S",
                     .file_bytes = 1000,
                     .chunk_bytes = 512},
         .ends_connection = true},
        {.what = "UpdateStart with impossible sizes (256)",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "S",
                     .token_len = 1,
                     .file_bytes = 1000,
                     .chunk_bytes = 256}},
        {.what = "UpdateStart for a file larger than it announced",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "S",
                     .token_len = 1,
                     .file_bytes = 70000,
                     .chunk_bytes = 512}},
        {.what = "a chunk that is not a NON without a token",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "C",
                     .chunk_index = 1,
                     .payload = {(const uint8_t *)"x", 1}},
         .ends_connection = true},
        {.what = "a function call without a 1-byte token",
         .message =
             {.type = COAP_CON, .code = COAP_POST, .path = "f", .name = "echo", .query = "abc"},
         .ends_connection = true},
        {.what = "a token longer than one byte",
         .message =
             {.type = COAP_CON, .code = COAP_GET, .path = "v", .name = "boots", .token_len = 4}},
        {.what = "an updates event without a payload",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "E",
                     .name = "particle/device/updates/pending"}},
        {.what = "an updates event that is neither true nor false",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "E",
                     .name = "particle/device/updates/pending",
                     .payload = {(const uint8_t *)"t", 1}}},
        {.what = "key/restore",
         .message = {.type = COAP_CON,
                     .code = COAP_POST,
                     .path = "E",
                     .name = "spark/device/key/restore",
                     .payload = {(const uint8_t *)"x", 1}}},
        {.what = "GET /d without its one byte of query",
         .message = {.type = COAP_CON, .code = COAP_GET, .path = "d", .token_len = 1}},
        {.what = "GET /d for several descriptions at once",
         .message =
             {.type = COAP_CON, .code = COAP_GET, .path = "d", .query = "\3", .token_len = 1},
         .ends_connection = true},
        {.what = "a request whose first option is not a path of one character",
         .message = {.type = COAP_CON, .code = COAP_GET, .path = "describe", .token_len = 1}},
        {.what = "a request that the device does not know",
         .message = {.type = COAP_CON, .code = COAP_GET, .path = "z", .token_len = 1}},
        {.what = "a response that no request of the device awaits",
         .message = {.type = COAP_CON, .code = COAP_CHANGED, .token_len = 1}},
        {.what = "an acknowledgement with a code of an unknown class",
         .message = {.type = COAP_ACK, .code = COAP_CODE(3, 1)},
         .ends_connection = true},
    };
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        if (i > 0) {
            scene_close(scene);
        }
        scene_open(scene, &scene_plain);
        scene_connect(scene);
        scene_send(scene, &cases[i].message);
        assert_int_equal(scene->device.violations, 1);
        assert_memory_equal(scene->device.violation, cases[i].what, strlen(cases[i].what));
        assert_int_equal(scene->device.state == SIM_WAITING, cases[i].ends_connection);
        assert_int_equal(scene->device.has_session, !cases[i].ends_session);
    }
}

static void test_a_word_before_the_hello_is_acknowledged(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene->withholds_hello = true;
    scene_run(scene, 1000);
    assert_int_equal(scene->device.state, SIM_GREETING);
    scene_listen(scene);
    scene_send(scene, &(struct scene_message){.type = COAP_CON});
    assert_int_equal(scene->heard_count, 0); /* dropped, not even acknowledged */
    assert_int_equal(scene->device.violations, 1);
    scene->device.config.link_is_clean = false; /* its acknowledgement may have been lost */
    scene_send(scene, &(struct scene_message){.type = COAP_CON});
    assert_int_equal(scene->device.violations, 1);
}

static void test_a_time_answer_with_another_token(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene->time_token_bytes = 4;
    scene_connect(scene);
    assert_int_equal(scene->device.violations, 1);
    assert_false(scene->device.has_time);
}

static void test_chunks_that_cannot_be(void **state) {
    struct scene *scene = *state;
    scene_open(scene, &scene_plain);
    scene_connect(scene);
    struct scene_message chunk = {.type = COAP_NON,
                                  .code = COAP_POST,
                                  .path = "C",
                                  .chunk_index = 3,
                                  .payload = span_of(scene->flash, 512)};
    scene_listen(scene);
    scene_send(scene, &chunk);
    assert_int_equal(scene->heard[0].type, COAP_RST); /* no update runs: that is all */
    assert_int_equal(scene->device.state, SIM_CONNECTED);
    scene_send(scene, &(struct scene_message){.type = COAP_CON,
                                              .code = COAP_POST,
                                              .path = "S",
                                              .token_len = 1,
                                              .file_bytes = 1000,
                                              .chunk_bytes = 512});
    scene_run(scene, 100);
    scene_listen(scene);
    uint16_t id = scene_send(scene, &chunk);
    assert_int_equal(scene->heard[0].type, COAP_RST);
    assert_int_equal(scene->heard[0].id, id);
    assert_int_equal(scene->device.state, SIM_WAITING);
    assert_true(scene->device.has_session);
    assert_int_equal(scene->device.violations, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_violations),
        SCENE_TEST(test_a_word_before_the_hello_is_acknowledged),
        SCENE_TEST(test_a_time_answer_with_another_token),
        SCENE_TEST(test_chunks_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
