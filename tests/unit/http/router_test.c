#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/route.h"

/* The path points into itself: it is parsed where it stays. */
static void parse(const char *text, struct path *out) {
    assert_int_equal(path_parse(span_text(text), out), SW_OK);
}

/* A path as the table writes it, with something in place of each parameter. */
static void example_of(const char *pattern, char *out, size_t cap) {
    size_t at = 0;
    while (*pattern != '\0') {
        assert_true(at + 2 < cap);
        if (*pattern == ':') {
            pattern += strcspn(pattern, "/");
            out[at++] = 'x';
            out[at++] = '1';
        } else {
            out[at++] = *pattern++;
        }
    }
    out[at] = '\0';
}

static void path_is_cut_at_slashes(void **state) {
    (void)state;
    struct path path;
    parse("/v1/products", &path);
    assert_int_equal(path.count, 2);
    assert_string_equal(path.segments[0], "v1");
    assert_string_equal(path.segments[1], "products");
    parse("/", &path);
    assert_int_equal(path.count, 0);
}

static void path_ignores_one_slash_at_its_end(void **state) {
    (void)state;
    struct path path;
    parse("/v1/devices/", &path);
    assert_int_equal(path.count, 2);
    parse("/v1//devices", &path);
    assert_int_equal(path.count, 3);
    assert_string_equal(path.segments[1], "");
}

static void path_keeps_an_encoded_slash_in_its_segment(void **state) {
    (void)state;
    struct path path;
    parse("/v1/events/spark%2Fstatus%20x", &path);
    assert_int_equal(path.count, 3);
    assert_string_equal(path.segments[2], "spark/status x");
    parse("/v1/a+b", &path);
    assert_string_equal(path.segments[1], "a+b");
}

static void path_begins_after_the_host(void **state) {
    (void)state;
    struct path path;
    parse("http://slipway.example:8080/v1/user", &path);
    assert_int_equal(path.count, 2);
    assert_string_equal(path.segments[0], "v1");
    parse("//v1/user", &path);
    assert_string_equal(path.segments[0], "v1");
    parse("http://slipway.example", &path);
    assert_int_equal(path.count, 0);
    parse("/", &path);
    assert_int_equal(path.count, 0);
}

static void path_refuses_what_is_malformed(void **state) {
    (void)state;
    static const char *const bad[] = {"",        "v1",        "/v1/%",     "/v1/%2",
                                      "/v1/%zz", "/v1/a%00b", "ftp://x/v1"};
    struct path path;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(path_parse(span_text(bad[i]), &path), SW_E_INPUT);
    }
}

static void path_is_bounded(void **state) {
    (void)state;
    struct path path;
    char text[PATH_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    text[0] = '/';
    assert_int_equal(path_parse(span_of(text, PATH_BYTES_MAX - 1), &path), SW_OK);
    assert_int_equal(path_parse(span_of(text, PATH_BYTES_MAX), &path), SW_E_FULL);
    assert_int_equal(path_parse(span_text("/1/2/3/4/5/6/7/8/9/10"), &path), SW_OK);
    assert_int_equal(path_parse(span_text("/1/2/3/4/5/6/7/8/9/10/11"), &path), SW_E_FULL);
}

static void every_route_is_reached_by_its_own_path(void **state) {
    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        char text[256];
        example_of(routes[i].pattern, text, sizeof text);
        struct path path;
        parse(text, &path);
        struct route_match match;
        route_find(routes, route_count, routes[i].method, &path, &match);
        assert_non_null(match.route);
        assert_string_equal(match.route->pattern, routes[i].pattern);
        assert_ptr_equal(match.route, &routes[i]);
    }
}

static void literals_win_over_parameters(void **state) {
    (void)state;
    struct path path;
    parse("/v1/products/7/firmware/release", &path);
    struct route_match match;
    route_find(routes, route_count, METHOD_PUT, &path, &match);
    assert_string_equal(match.route->name, "firmware_release");
    parse("/v1/access_tokens/current", &path);
    route_find(routes, route_count, METHOD_DELETE, &path, &match);
    assert_string_equal(match.route->name, "tokens_revoke_current");
    parse("/v1/devices/events", &path);
    route_find(routes, route_count, METHOD_GET, &path, &match);
    assert_string_equal(match.route->name, "events_all");
}

static void parameters_are_named(void **state) {
    (void)state;
    struct path path;
    parse("/v1/products/my-slug/firmware/3/binary", &path);
    struct route_match match;
    route_find(routes, route_count, METHOD_GET, &path, &match);
    assert_string_equal(match.route->name, "firmware_binary");
    assert_string_equal(route_param(&match, "product"), "my-slug");
    assert_string_equal(route_param(&match, "version"), "3");
    assert_null(route_param(&match, "prod"));
}

static void other_methods_are_listed(void **state) {
    (void)state;
    struct path path;
    parse("/v1/products/7/groups/a", &path);
    struct route_match match;
    route_find(routes, route_count, METHOD_POST, &path, &match);
    assert_null(match.route);
    char allow[64];
    route_allow(match.methods, allow, sizeof allow);
    assert_string_equal(allow, "GET, PUT, DELETE, HEAD, OPTIONS");
    route_find(routes, route_count, METHOD_HEAD, &path, &match);
    assert_string_equal(match.route->name, "groups_get");
    parse("/v2", &path);
    route_find(routes, route_count, METHOD_GET, &path, &match);
    assert_int_equal(match.methods, 0);
}

static void table_is_sound(void **state) {
    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        const struct route *route = &routes[i];
        assert_non_null(route->handle);
        assert_int_equal(route->pattern[0], '/');
        /* What changes something waits for the disk, so it may not run on an epoll thread. */
        if (route->method != METHOD_GET) {
            assert_true((route->flags & ROUTE_WORKER) != 0);
        }
        if ((route->flags & ROUTE_STREAM) != 0) {
            assert_int_equal(route->method, METHOD_GET);
            assert_true((route->flags & ROUTE_WORKER) == 0);
        }
        /* An open route has no scope to hold against anybody. */
        if ((route->flags & ROUTE_OPEN) != 0) {
            assert_null(route->scope);
        }
        for (size_t j = 0; j < i; j++) {
            assert_false(routes[j].method == route->method &&
                         strcmp(routes[j].pattern, route->pattern) == 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_is_cut_at_slashes),
        cmocka_unit_test(path_ignores_one_slash_at_its_end),
        cmocka_unit_test(path_keeps_an_encoded_slash_in_its_segment),
        cmocka_unit_test(path_begins_after_the_host),
        cmocka_unit_test(path_refuses_what_is_malformed),
        cmocka_unit_test(path_is_bounded),
        cmocka_unit_test(every_route_is_reached_by_its_own_path),
        cmocka_unit_test(literals_win_over_parameters),
        cmocka_unit_test(parameters_are_named),
        cmocka_unit_test(other_methods_are_listed),
        cmocka_unit_test(table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
