/* From settings and an event to a request, and from an answer to what is told of it. */
#include "hook/render.h"

#include "slipway/crypto/hash.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define SECRET "a secret of the test"

static struct app_hook_job job_of(const char *url, const char *method, const char *spec,
                                  const char *data) {
    struct app_hook_job job = {.delivery = {.id = 42}};
    struct event *event = &job.delivery.event;
    (void)snprintf(job.hook.row.uid, sizeof job.hook.row.uid, "0123456789abcdef01234567");
    (void)snprintf(job.hook.row.url, sizeof job.hook.row.url, "%s", url);
    (void)snprintf(job.hook.row.method, sizeof job.hook.row.method, "%s", method);
    (void)snprintf(job.hook.spec, sizeof job.hook.spec, "%s", spec);
    (void)snprintf(job.hook.secret, sizeof job.hook.secret, SECRET);
    *event = (struct event){.id = 7, .at_ms = 1700000000123, .product_id = 101, .version = 3};
    event->has_device = true;
    event->device.b[11] = 9;
    (void)snprintf(event->name, sizeof event->name, "e/1");
    (void)snprintf(event->data, sizeof event->data, "%s", data);
    event->data_len = strlen(data);
    event->has_data = true;
    return job;
}

static const char *header(const struct rendered *r, const char *name) {
    size_t len = strlen(name);
    for (const struct curl_slist *at = r->headers; at != NULL; at = at->next) {
        if (strncasecmp(at->data, name, len) == 0 && at->data[len] == ':') {
            return at->data + len + 1 + strspn(at->data + len + 1, " ");
        }
    }
    return NULL;
}

#define FORM                                                                                       \
    "event=e%2F1&data=%7B%22v%22%3A1%7D&published_at=2023-11-14T22%3A13%3A20.123Z&"                \
    "coreid=000000000000000000000009"

static void a_form_is_the_default(void **state) {
    (void)state;
    struct rendered r;
    struct sha256 mac;
    char digits[SHA256_BYTES * 2 + 1], wanted[80];
    struct app_hook_job job = job_of("http://h.test/in", "POST", "{}", "{\"v\":1}");
    assert_int_equal(render(&job, &r), SW_OK);
    assert_string_equal(r.url, "http://h.test/in");
    assert_string_equal(r.host, "h.test");
    assert_string_equal(r.body, FORM);
    assert_int_equal(r.body_len, strlen(FORM));
    assert_string_equal(header(&r, "Content-Type"), "application/x-www-form-urlencoded");
    assert_string_equal(header(&r, "X-Slipway-Delivery"), "42");
    assert_string_equal(header(&r, "X-Slipway-Hook"), job.hook.row.uid);
    hmac_sha256(span_text(SECRET), span_text(r.body), &mac);
    hex_encode(span_of(mac.b, sizeof mac.b), digits, sizeof digits);
    (void)snprintf(wanted, sizeof wanted, "sha256=%s", digits);
    assert_string_equal(header(&r, "X-Slipway-Signature"), wanted);
    assert_null(r.user);
    assert_false(r.accepts_any_certificate);
    rendered_close(&r);
}

struct want {
    const char *method, *spec, *data, *body;
};

static void bodies(void **state) {
    (void)state;
    static const struct want cases[] = {
        {"POST", "{\"noDefaults\":true,\"json\":{\"a\":\"{{{v}}}\",\"b\":[\"{{v}}\",1]}}",
         "{\"v\":\"<\"}", "{\"a\":\"<\",\"b\":[\"&lt;\",1]}"},
        {"PUT", "{\"noDefaults\":true,\"json\":{\"{{{v}}}\":{\"x\":null}}}", "{\"v\":\"k\"}",
         "{\"k\":{\"x\":null}}"},
        {"POST", "{\"noDefaults\":true,\"json\":\"{\\\"n\\\":{{{v}}}}\"}", "{\"v\":1.5}",
         "{\"n\":1.5}"},
        {"POST", "{\"noDefaults\":true,\"form\":{\"a b\":\"{{{v}}}\",\"n\":3}}",
         "{\"v\":\"&=\\n\"}", "a%20b=%26%3D%0A&n=3"},
        {"POST", "{\"body\":\"{{{PARTICLE_EVENT_VALUE}}}|{{PRODUCT_ID}}|{{PRODUCT_VERSION}}\"}",
         "no json", "no json|101|3"},
        {"POST", "{\"body\":\"{{{SPARK_CORE_ID}}} {{{PARTICLE_EVENT_ID}}}\"}", "",
         "000000000000000000000009 7"},
        {"POST", "{\"body\":\"\"}", "", ""},
        {"DELETE", "{\"noDefaults\":true}", "x", ""},
        {"GET", "{\"body\":\"not with GET\"}", "x", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rendered r;
        struct app_hook_job job =
            job_of("http://h/", cases[i].method, cases[i].spec, cases[i].data);
        assert_int_equal(render(&job, &r), SW_OK);
        if (cases[i].body == NULL) {
            assert_null(r.body);
        } else {
            assert_string_equal(r.body, cases[i].body);
        }
        rendered_close(&r);
    }
}

static void addresses(void **state) {
    (void)state;
    static const struct {
        const char *url, *spec, *data, *wanted;
    } cases[] = {
        {"http://h/{{{v}}}/x?q={{v}}", "{}", "{\"v\":\"a/b?c&d#e\"}",
         "http://h/a%2Fb%3Fc%26d%23e/x?q=a%2Fb%3Fc%26d%23e"},
        {"http://h/x", "{\"query\":{\"a\":\"{{{v}}}\",\"b\":2}}", "{\"v\":\"&b=3\"}",
         "http://h/x?a=%26b%3d3&b=2"},
        {"http://h/x?k=1", "{\"query\":{\"a\":\"x y\"}}", "", "http://h/x?k=1&a=x%20y"},
        {"http://u:p@h:81/x", "{}", "", "http://u:p@h:81/x"},
        /* What an event holds moves nothing. */
        {"http://h/a/{{{v}}}/b", "{}", "{\"v\":\"..\"}", NULL},
        {"http://h/a/{{{v}}}", "{}", "{\"v\":\".\"}", NULL},
        {"http://h/a/{{{v}}}", "{}", "{\"v\":\"...\"}", "http://h/a/..."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rendered r;
        struct app_hook_job job = job_of(cases[i].url, "POST", cases[i].spec, cases[i].data);
        int code = render(&job, &r);
        if (cases[i].wanted == NULL) {
            assert_int_equal(code, SW_E_INPUT);
        } else {
            assert_int_equal(code, SW_OK);
            assert_string_equal(r.url, cases[i].wanted);
        }
        rendered_close(&r);
    }
}

static void headers_stay_headers(void **state) {
    (void)state;
    struct rendered r;
    struct app_hook_job job =
        job_of("http://h/", "POST",
               "{\"headers\":{\"X-A\":\"{{{v}}}\",\"X-B\":\"{{{none}}}\",\"content-type\":\"a/b\"},"
               "\"auth\":{\"username\":\"{{{u}}}\",\"password\":\"p\"},"
               "\"rejectUnauthorized\":false}",
               "{\"v\":\"1\\r\\nX-C: 2\",\"u\":\"me\"}");
    assert_int_equal(render(&job, &r), SW_OK);
    assert_string_equal(header(&r, "X-A"), "1  X-C: 2");
    assert_null(header(&r, "X-C"));
    assert_null(header(&r, "X-B")); /* "X-B;": sent without a value */
    assert_string_equal(header(&r, "Content-Type"), "a/b");
    assert_string_equal(r.user, "me");
    assert_string_equal(r.password, "p");
    assert_true(r.accepts_any_certificate);
    for (const struct curl_slist *at = r.headers; at != NULL; at = at->next) {
        assert_null(strpbrk(at->data, "\r\n"));
    }
    rendered_close(&r);
}

static void what_makes_no_request_is_said(void **state) {
    (void)state;
    static const char *const specs[] = {"", "[]", "nonsense", "{\"json\":\"{{{v}}}\"}",
                                        "{\"json\":\"{\\\"a\\\":}\"}"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        struct rendered r;
        struct app_hook_job job = job_of("http://h/", "POST", specs[i], "{\"v\":\"{\"}");
        assert_int_equal(render(&job, &r), SW_E_INPUT);
        rendered_close(&r);
    }
}

/* Devices publish bytes; every event can be told. */
static void bytes_that_are_no_text(void **state) {
    (void)state;
    struct rendered r;
    struct app_hook_job job = job_of("http://h/", "POST", "{\"json\":true}", "\xff\xfe x");
    assert_int_equal(render(&job, &r), SW_OK);
    assert_non_null(strstr(r.body, "\"data\":\"?? x\""));
    rendered_close(&r);
}

static void answers(void **state) {
    (void)state;
    static const struct {
        const char *spec, *answer, *topic, *error_topic, *told;
    } cases[] = {
        {"{}", "plain", NULL, NULL, "plain"},
        {"{}", "", NULL, NULL, NULL},
        {"{}", "\xff!", NULL, NULL, "?!"},
        {"{\"responseTemplate\":\"\"}", "whole", NULL, NULL, "whole"},
        {"{\"responseTemplate\":\"{{{a.0.b}}}\"}", "{\"a\":[{\"b\":\"<\"}]}", NULL, NULL, "<"},
        {"{\"responseTemplate\":\"{{#.}}{{{.}}},{{/.}}\"}", "[1,2]", NULL, NULL, "1,2,"},
        {"{\"responseTemplate\":{\"x\":\"{{{y}}}\",\"e\":\"{{{PARTICLE_EVENT_NAME}}}\"}}",
         "{\"y\":2}", NULL, NULL, "{\"x\":\"2\",\"e\":\"e/1\"}"},
        {"{\"responseTemplate\":\"[{{{v}}}]\"}", "no json", NULL, NULL, "[]"},
        {"{\"responseTopic\":\"{{{PARTICLE_DEVICE_ID}}}/x\",\"errorResponseTopic\":\"{{{v}}}\"}",
         "", "000000000000000000000009/x", "of the event", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rendered r;
        struct retold told;
        struct app_hook_job job =
            job_of("http://h/", "POST", cases[i].spec, "{\"v\":\"of the event\"}");
        const char *const wanted[] = {cases[i].topic, cases[i].error_topic, cases[i].told};
        assert_int_equal(render(&job, &r), SW_OK);
        assert_int_equal(retell(&r, span_text(cases[i].answer), &told), SW_OK);
        const char *const got[] = {told.topic, told.error_topic, told.answer};
        for (size_t n = 0; n < 3; n++) {
            if (wanted[n] == NULL) {
                assert_null(got[n]);
            } else {
                assert_string_equal(got[n], wanted[n]);
            }
        }
        retold_close(&told);
        rendered_close(&r);
    }
}

static void an_answer_cannot_make_a_flood(void **state) {
    (void)state;
    struct rendered r;
    struct retold told;
    char list[40000] = "[0";
    size_t len = 2;
    while (len < sizeof list - 4) {
        len += (size_t)snprintf(list + len, sizeof list - len, ",1");
    }
    (void)snprintf(list + len, sizeof list - len, "]");
    struct app_hook_job job = job_of(
        "http://h/", "POST", "{\"responseTemplate\":\"{{#.}}a long text each time{{/.}}\"}", "");
    assert_int_equal(render(&job, &r), SW_OK);
    assert_int_equal(retell(&r, span_text(list), &told), SW_E_RANGE);
    assert_null(told.answer);
    retold_close(&told);
    rendered_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_the_default),
        cmocka_unit_test(bodies),
        cmocka_unit_test(addresses),
        cmocka_unit_test(headers_stay_headers),
        cmocka_unit_test(what_makes_no_request_is_said),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(answers),
        cmocka_unit_test(an_answer_cannot_make_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
