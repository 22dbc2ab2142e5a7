/* What goes over the wire for an event, and who gets it. */
#include "http/stream/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct event event_of(const char *name, const char *data) {
    struct event event = {.id = 4711, .at_ms = 1700000000123, .product_id = 101, .ttl_s = 60};
    (void)snprintf(event.name, sizeof event.name, "%s", name);
    (void)snprintf(event.data, sizeof event.data, "%s", data);
    event.data_len = strlen(data);
    event.has_data = true;
    event.has_device = true;
    event.device.b[11] = 1;
    event.version = 3;
    return event;
}

static void becomes(const struct event *event, const char *wanted) {
    struct stream_text *text = stream_text_of(event);
    assert_non_null(text);
    assert_int_equal(text->len, strlen(wanted));
    assert_memory_equal(text->bytes, wanted, text->len);
    stream_text_release(text);
}

#define REST                                                                                       \
    "\"ttl\":60,\"published_at\":\"2023-11-14T22:13:20.123Z\","                                    \
    "\"coreid\":\"000000000000000000000001\",\"userid\":\"\",\"version\":3,\"public\":false,"      \
    "\"productID\":101}\n\n"

/* The names and the trailing space of the update path's events are what existing clients test. */
static void events_are_as_sampled(void **state) {
    (void)state;
    static const char *const sampled[][2] = {
        {"spark/flash/status", "started "}, {"spark/flash/status", "success "},
        {"spark/flash/status", "failed "},  {"spark/status", "online"},
        {"spark/status", "auto-update"},
    };
    for (size_t i = 0; i < sizeof sampled / sizeof sampled[0]; i++) {
        struct event event = event_of(sampled[i][0], sampled[i][1]);
        char wanted[512];
        (void)snprintf(wanted, sizeof wanted, "event: %s\nid: 4711\ndata: {\"data\":\"%s\"," REST,
                       sampled[i][0], sampled[i][1]);
        becomes(&event, wanted);
    }
}

/* Whatever a device publishes stays one event of one line each. */
static void nothing_breaks_out_of_its_line(void **state) {
    (void)state;
    struct event event = event_of("a\nid: 1\r\n\ndata: x", "b\n\ndata: y");
    becomes(&event, "event: a?id: 1???data: x\nid: 4711\ndata: {\"data\":\"b\\n\\ndata: y\"," REST);
}

static void filters(void **state) {
    (void)state;
    struct event event = event_of("temp/kitchen", "1");
    struct stream_filter filter = {.product_id = 0};
    assert_true(stream_wants(&filter, &event));
    filter.product_id = 102;
    assert_false(stream_wants(&filter, &event));
    filter.product_id = 101;
    assert_true(stream_wants(&filter, &event));
    filter.has_device = true;
    assert_false(stream_wants(&filter, &event));
    filter.device = event.device;
    assert_true(stream_wants(&filter, &event));
    event.has_device = false;
    assert_false(stream_wants(&filter, &event));
    filter.has_device = false;
    (void)snprintf(filter.prefix, sizeof filter.prefix, "temp/kitchen");
    assert_true(stream_wants(&filter, &event));
    (void)snprintf(filter.prefix, sizeof filter.prefix, "temp/kitchen2");
    assert_false(stream_wants(&filter, &event));
    (void)snprintf(filter.prefix, sizeof filter.prefix, "emp");
    assert_false(stream_wants(&filter, &event));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_as_sampled),
        cmocka_unit_test(nothing_breaks_out_of_its_line),
        cmocka_unit_test(filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
