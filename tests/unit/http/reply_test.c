#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/reply/reply.h"
#include "http/reply/respond.h"

static json_t *body_of(const struct reply *reply) {
    json_t *body = json_loadb(reply->body, reply->body_len, 0, NULL);
    assert_non_null(body);
    return body;
}

static void assert_body(const struct reply *reply, int status, const char *text) {
    assert_int_equal(reply->status, status);
    assert_string_equal(reply->body, text);
}

static void the_first_reply_stays(void **state) {
    (void)state;
    struct reply reply = {0};
    reply_error(&reply, 400, "invalid_request", "first %d", 1);
    reply_json(&reply, 200, json_pack("{s:b}", "ok", 1));
    reply_empty(&reply, 204);
    assert_body(&reply, 400,
                "{\"ok\":false,\"error\":\"invalid_request\",\"error_description\":\"first 1\"}");
    reply_close(&reply);
    assert_int_equal(reply.status, 0);
}

static void errors_have_the_shapes_of_the_dialect(void **state) {
    (void)state;
    struct reply reply = {0};
    reply_oauth_error(&reply, 401, "invalid_token", "The access token provided is invalid.");
    assert_body(&reply, 401,
                "{\"error\":\"invalid_token\",\"error_description\":\"The access token provided is "
                "invalid.\"}");
    reply_close(&reply);
    reply_missing(&reply, "Product not found.");
    assert_body(&reply, 404, "{\"ok\":false,\"error\":\"Product not found.\"}");
    reply_close(&reply);
    reply_no_device(&reply);
    json_t *body = body_of(&reply);
    assert_int_equal(reply.status, 403);
    assert_string_equal(json_string_value(json_object_get(body, "error")), "Permission Denied");
    json_decref(body);
    reply_close(&reply);
}

static void text_that_is_no_utf8_still_makes_json(void **state) {
    (void)state;
    struct reply reply = {0};
    reply_error(&reply, 400, "invalid_request", "bad \xff byte");
    json_decref(body_of(&reply));
    reply_close(&reply);
    reply_missing(&reply, "bad \xff byte");
    json_decref(body_of(&reply));
    reply_close(&reply);
}

static void failures_of_the_world_are_not_told(void **state) {
    (void)state;
    static const struct {
        int code, status;
        bool is_told;
    } cases[] = {{SW_E_INPUT, 400, true},     {SW_E_RANGE, 400, true},   {SW_E_EXISTS, 400, true},
                 {SW_E_NOT_FOUND, 404, true}, {SW_E_STATE, 409, true},   {SW_E_DENIED, 400, true},
                 {SW_E_BUSY, 503, true},      {SW_E_IO, 500, false},     {SW_E_MEMORY, 500, false},
                 {SW_E_CRYPTO, 500, false},   {SW_E_VERSION, 500, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct app_error error = {.code = cases[i].code, .description = "told why"};
        struct reply reply = {0};
        reply_app_error(&reply, cases[i].code, &error);
        assert_int_equal(reply.status, cases[i].status);
        assert_int_equal(strstr(reply.body, "told why") != NULL, cases[i].is_told);
        reply_close(&reply);
        reply_app_error(&reply, cases[i].code, NULL);
        assert_int_equal(reply.status, cases[i].status);
        reply_close(&reply);
    }
}

static void headers_are_bounded(void **state) {
    (void)state;
    struct reply reply = {0};
    for (int i = 0; i < REPLY_HEADERS_MAX + 3; i++) {
        reply_header(&reply, "X", "%0500d", i);
    }
    assert_int_equal(reply.header_count, REPLY_HEADERS_MAX);
    assert_int_equal(strlen(reply.headers[0].value), sizeof reply.headers[0].value - 1);
    reply_close(&reply);
}

static void origins_match_whole(void **state) {
    (void)state;
    static const char list[] = "https://a.example, https://b.example:8443";
    assert_true(cors_allows(list, "https://a.example"));
    assert_true(cors_allows(list, "https://b.example:8443"));
    assert_false(cors_allows(list, "https://b.example"));
    assert_false(cors_allows(list, "https://a.example.evil"));
    assert_false(cors_allows(list, "https://a.exampl"));
    assert_false(cors_allows(list, ""));
    assert_false(cors_allows(list, "*"));
    assert_false(cors_allows("", "https://a.example"));
    assert_false(cors_allows(NULL, "https://a.example"));
    assert_true(cors_allows("*", "https://anything"));
}

static void gzip_is_taken_at_its_word(void **state) {
    (void)state;
    assert_true(accepts_gzip("gzip"));
    assert_true(accepts_gzip("deflate, gzip"));
    assert_true(accepts_gzip("br;q=1, GZIP;q=0.1"));
    assert_false(accepts_gzip("gzip;q=0"));
    assert_false(accepts_gzip("gzip; q=0.0, deflate"));
    assert_false(accepts_gzip("gzipped"));
    assert_false(accepts_gzip("x-gzip"));
    assert_false(accepts_gzip(""));
    assert_false(accepts_gzip(NULL));
    assert_false(accepts_gzip(",,,"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reply_stays),
        cmocka_unit_test(errors_have_the_shapes_of_the_dialect),
        cmocka_unit_test(text_that_is_no_utf8_still_makes_json),
        cmocka_unit_test(failures_of_the_world_are_not_told),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(origins_match_whole),
        cmocka_unit_test(gzip_is_taken_at_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
