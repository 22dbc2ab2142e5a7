/* Webhooks without a network: what is queued, when it is tried, what is told of it, and how it is
 * kept. The clock moves only where a test moves it. */
#include "scratch.h"
#include "world.h"

#include "slipway/app/hook.h"
#include "slipway/crypto/secret.h"

#include <sqlite3.h>

#define URL "http://receiver.test/in"

static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3}, other_key[SEAL_KEY_BYTES] = {4};

static const struct app_options options = {.seal_key = key,
                                           .hook_queue_max = 3,
                                           .hook_attempts_max = 4,
                                           .hook_retry_ms = 1000,
                                           .hook_disable_ms = 3600 * 1000};

struct bag {
    uint16_t product_id;
    struct app_hook_edit edit;
    const char *uid;
    struct app_hook hook;
    struct app_publish publish;
    struct app_hook_ready ready;
    int64_t ids[8];
    struct app_hook_outcome outcome;
    struct hook_log_list log;
    bool is_failed;
    int64_t id;
};

static int run_create(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_hook_create(tx, bag->product_id, &bag->edit, &bag->hook);
}

static int run_edit(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_hook_edit(tx, bag->product_id, bag->uid, &bag->edit, &bag->hook);
}

static int run_get(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_hook_get(tx, bag->product_id, bag->uid, &bag->hook);
}

static int run_publish(struct app_tx *tx, void *arg) {
    const struct bag *bag = arg;
    return app_event_publish(tx, &bag->publish);
}

static int run_ready(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    bag->ready = (struct app_hook_ready){.max = 8, .ids = bag->ids};
    return app_hook_ready(tx, &bag->ready);
}

static int run_settle(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    struct app_hook_job job;
    int code = app_hook_job(tx, bag->outcome.hook_id, &job);
    if (code != SW_OK) {
        return code;
    }
    bag->outcome.delivery_id = job.delivery.id;
    struct app_hook_outcomes outcomes = {.items = &bag->outcome, .count = 1};
    return app_hook_settle(tx, &outcomes);
}

static int run_log(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_hook_log(tx, bag->id, bag->is_failed, &bag->log);
}

static int create(struct world *w, const char *event, const char *spec, struct app_hook *out) {
    struct bag bag = {.product_id = w->product.id,
                      .edit = {.event = event, .url = URL, .spec = spec}};
    int code = app_execute(w->app, run_create, &bag, &w->error);
    *out = bag.hook;
    return code;
}

static void get(struct world *w, const char *uid, struct app_hook *out) {
    struct bag bag = {.product_id = w->product.id, .uid = uid};
    assert_int_equal(app_read(w->app, w->store, run_get, &bag, &w->error), SW_OK);
    *out = bag.hook;
}

static void publish(struct world *w, const char *name) {
    struct bag bag = {.publish = {.product_id = w->product.id,
                                  .name = name,
                                  .data = span_text("d"),
                                  .user = "u",
                                  .ttl_s = 60}};
    assert_int_equal(app_execute(w->app, run_publish, &bag, &w->error), SW_OK);
}

/* How many hooks may be tried now, and how long until the next may. */
static size_t ready(struct world *w, int64_t *wait_ms) {
    struct bag bag = {0};
    assert_int_equal(app_read(w->app, w->store, run_ready, &bag, &w->error), SW_OK);
    *wait_ms = bag.ready.next_ms == INT64_MAX ? -1 : bag.ready.next_ms - w->now.ms;
    return bag.ready.count;
}

static int settle(struct world *w, int64_t hook_id, struct app_hook_outcome outcome) {
    struct bag bag = {.outcome = outcome};
    bag.outcome.hook_id = hook_id;
    return app_execute(w->app, run_settle, &bag, &w->error);
}

static void failing(struct world *w, int64_t hook_id, bool is_final) {
    struct app_hook_outcome outcome = {.is_final = is_final, .reason = "no luck", .status = 500};
    assert_int_equal(settle(w, hook_id, outcome), SW_OK);
}

static size_t log_count(struct world *w, int64_t hook_id, bool is_failed) {
    struct bag bag = {.id = hook_id, .is_failed = is_failed};
    assert_int_equal(app_read(w->app, w->store, run_log, &bag, &w->error), SW_OK);
    free(bag.log.items);
    return bag.log.count;
}

static void the_queue_is_bounded(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook, other;
    world_open(&w, &options);
    assert_int_equal(create(&w, "temp", NULL, &hook), SW_OK);
    assert_int_equal(create(&w, "none", NULL, &other), SW_OK);
    for (int i = 0; i < 5; i++) {
        publish(&w, "temp/kitchen");
    }
    publish(&w, "tem");
    publish(&w, "hook-sent/temp");
    get(&w, hook.row.uid, &hook);
    get(&w, other.row.uid, &other);
    assert_int_equal(hook.row.queued, 3);
    assert_int_equal(hook.row.dropped, 2);
    assert_int_equal(other.row.queued, 0);
    world_close(&w);
}

static void pauses_grow_until_an_event_is_given_up(void **state) {
    (void)state;
    static const int64_t pauses_ms[] = {1000, 3000, 9000, 27000, 81000, 243000};
    struct world w;
    struct app_hook hook;
    int64_t wait_ms = 0;
    world_open(&w, &options);
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    publish(&w, "e1");
    publish(&w, "e2");
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(ready(&w, &wait_ms), 1);
        failing(&w, hook.row.id, false);
        assert_int_equal(ready(&w, &wait_ms), 0);
        assert_int_equal(wait_ms, pauses_ms[i]);
        w.now.ms += pauses_ms[i] - 1;
        assert_int_equal(ready(&w, &wait_ms), 0);
        w.now.ms += 1;
        get(&w, hook.row.uid, &hook);
        /* The first event is given up after its fourth failure; the pause goes on growing. */
        assert_int_equal(hook.row.queued, i < 3 ? 2 : 1);
    }
    assert_int_equal(settle(&w, hook.row.id, (struct app_hook_outcome){.is_sent = true}), SW_OK);
    get(&w, hook.row.uid, &hook);
    assert_int_equal(hook.row.failures, 0);
    assert_int_equal(hook.row.sent, 1);
    assert_int_equal(hook.row.failed, 6);
    publish(&w, "e3");
    failing(&w, hook.row.id, true);
    get(&w, hook.row.uid, &hook);
    assert_int_equal(hook.row.queued, 0); /* final: not once more, and no pause */
    publish(&w, "e4");
    assert_int_equal(ready(&w, &wait_ms), 1);
    world_close(&w);
}

static void pauses_are_an_hour_at_most(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook;
    struct app_options patient = options;
    int64_t wait_ms = 0;
    patient.hook_attempts_max = 100;
    patient.hook_disable_ms = INT64_C(1000) * 3600 * 1000;
    world_open(&w, &patient);
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    publish(&w, "e");
    for (int i = 0; i < 60; i++) {
        failing(&w, hook.row.id, false);
        (void)ready(&w, &wait_ms);
        w.now.ms += wait_ms;
    }
    assert_int_equal(wait_ms, 3600 * 1000);
    world_close(&w);
}

/* Nothing stands still until an earlier time has come again. */
static void a_clock_that_is_set_back_holds_nothing_up(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook;
    int64_t wait_ms = 0;
    world_open(&w, &options);
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    publish(&w, "e");
    assert_int_equal(settle(&w, hook.row.id, (struct app_hook_outcome){.is_sent = true}), SW_OK);
    publish(&w, "e");
    w.now.ms -= 600 * 1000;
    assert_int_equal(ready(&w, &wait_ms), 1);
    failing(&w, hook.row.id, false);
    assert_int_equal(ready(&w, &wait_ms), 0);
    assert_int_equal(wait_ms, 1000);
    w.now.ms -= INT64_C(30) * 24 * 3600 * 1000;
    assert_int_equal(ready(&w, &wait_ms), 1);
    world_close(&w);
}

static void long_failure_disables(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook;
    int64_t wait_ms = 0, cursor = 0;
    world_open(&w, &options);
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    publish(&w, "e");
    publish(&w, "e");
    failing(&w, hook.row.id, false);
    w.now.ms += options.hook_disable_ms - 1;
    failing(&w, hook.row.id, false);
    get(&w, hook.row.uid, &hook);
    assert_false(hook.row.is_disabled);
    w.now.ms += 1;
    failing(&w, hook.row.id, false);
    get(&w, hook.row.uid, &hook);
    assert_true(hook.row.is_disabled);
    assert_int_equal(hook.row.queued, 0);
    assert_true(world_has_event(&w, &cursor, "hook-error/e/0", "disabled: it failed for too long"));
    publish(&w, "e");
    get(&w, hook.row.uid, &hook);
    assert_int_equal(hook.row.queued, 0);
    struct bag bag = {.product_id = w.product.id,
                      .uid = hook.row.uid,
                      .edit = {.has_disabled = true, .is_disabled = false}};
    assert_int_equal(app_execute(w.app, run_edit, &bag, &w.error), SW_OK);
    publish(&w, "e");
    assert_int_equal(ready(&w, &wait_ms), 1);
    failing(&w, hook.row.id, false);
    get(&w, hook.row.uid, &hook);
    assert_false(hook.row.is_disabled); /* what was before its enabling is forgotten */
    world_close(&w);
}

static void answers_are_told_in_parts(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook;
    int64_t cursor = 0;
    char text[2 * HOOK_CHUNK_BYTES], first[HOOK_CHUNK_BYTES + 1], second[HOOK_CHUNK_BYTES + 1];
    memset(text, 'x', sizeof text);
    text[HOOK_CHUNK_BYTES - 1] = '\xc3'; /* a character of two bytes on the border */
    text[HOOK_CHUNK_BYTES] = '\xbc';
    (void)snprintf(first, sizeof first, "%.*s", HOOK_CHUNK_BYTES - 1, text);
    (void)snprintf(second, sizeof second, "%.*s", HOOK_CHUNK_BYTES, text + HOOK_CHUNK_BYTES - 1);
    world_open(&w, &options);
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    publish(&w, "e");
    struct app_hook_outcome sent = {
        .is_sent = true, .status = 200, .answer = text, .answer_len = sizeof text};
    assert_int_equal(settle(&w, hook.row.id, sent), SW_OK);
    assert_true(world_has_event(&w, &cursor, "hook-sent/e", ""));
    assert_true(world_has_event(&w, &cursor, "hook-response/e/0", first));
    assert_true(world_has_event(&w, &cursor, "hook-response/e/1", second));
    assert_true(world_has_event(&w, &cursor, "hook-response/e/2", "x"));

    publish(&w, "e");
    sent.answer_len = 1;
    sent.topic = "a\nb\x7f/12345678901234567890123456789012345678901234567890and no further";
    assert_int_equal(settle(&w, hook.row.id, sent), SW_OK);
    assert_true(world_has_event(
        &w, &cursor, "a?b?/12345678901234567890123456789012345678901234567890and /0", "x"));
    static const char *const reserved[] = {"spark/status", "SPARK", "Particle/x", ""};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        publish(&w, "e");
        sent.topic = reserved[i];
        assert_int_equal(settle(&w, hook.row.id, sent), SW_OK);
        assert_true(world_has_event(&w, &cursor, "hook-response/e/0", "x"));
    }
    world_close(&w);
}

static int run_device(struct app_tx *tx, void *arg) {
    struct device_id first = world_id(1), second = world_id(2);
    struct app_plan plan;
    int code = app_device_subscribed(tx, &first, span_text("hook-response/e"));
    code = code == SW_OK ? app_device_subscribed(tx, &second, span_text("hook-response/")) : code;
    return code == SW_OK ? app_device_published(tx, &first, span_text((const char *)arg),
                                                span_text("21"), &plan)
                         : code;
}

struct asking {
    int64_t event_id;
    struct app_delivery found;
};

static int run_ask(struct app_tx *tx, void *arg) {
    struct asking *asking = arg;
    return app_subscribers(tx, asking->event_id, &asking->found);
}

/* It waits for it; what others ask their webhooks is not its business. */
static void an_answer_goes_to_the_device_that_published(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook;
    struct app_plan plan;
    char name[] = "e";
    world_open(&w, &options);
    for (unsigned n = 1; n <= 2; n++) {
        const struct app_hello greeting = world_hello_of(n, 1);
        assert_int_equal(world_import(&w, world_id_text(n), NULL), SW_OK);
        assert_int_equal(world_hello(&w, &greeting, &plan), SW_OK);
    }
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    assert_int_equal(app_execute(w.app, run_device, name, &w.error), SW_OK);
    char text[] = "22";
    const struct app_hook_outcome sent = {
        .is_sent = true, .status = 200, .answer = text, .answer_len = 2};
    w.notice_count = 0;
    assert_int_equal(settle(&w, hook.row.id, sent), SW_OK);
    unsigned told = 0;
    for (size_t i = 0; i < w.notice_count; i++) {
        if (w.notices[i].kind == APP_NOTICE_PUBLISHED) {
            struct asking asking = {.event_id = w.notices[i].event_id};
            assert_int_equal(app_read(w.app, w.store, run_ask, &asking, &w.error), SW_OK);
            assert_string_equal(asking.found.name, "hook-response/e/0");
            assert_int_equal(asking.found.count, 1);
            struct device_id first = world_id(1);
            assert_memory_equal(asking.found.ids[0].b, first.b, sizeof first.b);
            free(asking.found.ids);
            told++;
        }
    }
    assert_int_equal(told, 1);
    world_close(&w);
}

static void the_history_keeps_ten_of_each(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook;
    world_open(&w, &options);
    assert_int_equal(create(&w, "e", NULL, &hook), SW_OK);
    for (int i = 0; i < 15; i++) {
        publish(&w, "e");
        failing(&w, hook.row.id, true);
        publish(&w, "e");
        assert_int_equal(settle(&w, hook.row.id, (struct app_hook_outcome){.is_sent = true}),
                         SW_OK);
    }
    assert_int_equal(log_count(&w, hook.row.id, true), HOOK_LOG_KEPT);
    assert_int_equal(log_count(&w, hook.row.id, false), HOOK_LOG_KEPT);
    world_close(&w);
}

static void bad_settings_are_refused(void **state) {
    (void)state;
    static const char *const urls[] = {
        "http://{{{host}}}/", "http://h{{p}}/", "http://h/{{#a}}",      "ftp://h/",
        "http:///x",          "http://h/a b",   "http://h.test\\@evil", "https://"};
    static const char *const specs[] = {"{\"json\":{\"a\":{\"b\":[\"{{#x}}\"]}}}",
                                        "{\"body\":\"{{>x}}\"}", "{\"json\":{\"{{/k}}\":1}}",
                                        "{\"responseTopic\":\"{{#a}}{{/b}}\"}"};
    struct world w;
    struct app_hook hook;
    world_open(&w, &options);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct bag bag = {.product_id = w.product.id, .edit = {.event = "e", .url = urls[i]}};
        assert_int_equal(app_execute(w.app, run_create, &bag, &w.error), SW_E_INPUT);
        assert_string_equal(w.error.field, "url");
    }
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        assert_int_equal(create(&w, "e", specs[i], &hook), SW_E_INPUT);
    }
    world_close(&w);
}

/* Two edits at once: settings made of older ones must not come to another address. */
static void an_edit_of_what_has_changed_is_refused(void **state) {
    (void)state;
    struct world w;
    struct app_hook hook, seen;
    world_open(&w, &options);
    assert_int_equal(create(&w, "e", "{\"headers\":{\"A\":\"b\"}}", &hook), SW_OK);
    seen = hook;
    struct bag moving = {.product_id = w.product.id,
                         .uid = hook.row.uid,
                         .edit = {.url = "http://other.test/", .spec = "{}", .seen = &seen}};
    struct bag late = {.product_id = w.product.id,
                       .uid = hook.row.uid,
                       .edit = {.event = "f", .spec = seen.spec, .seen = &seen}};
    assert_int_equal(app_execute(w.app, run_edit, &moving, &w.error), SW_OK);
    assert_int_equal(app_execute(w.app, run_edit, &late, &w.error), SW_E_CONFLICT);
    get(&w, hook.row.uid, &hook);
    assert_string_equal(hook.spec, "{}");
    assert_string_equal(hook.row.event, "e");
    world_close(&w);
}

static void exec(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s", why);
    }
    sqlite3_close(db);
}

/* What an earlier version left behind is sealed at the start; what another key sealed is disabled,
 * and comes back with new secrets. */
static void secrets_are_sealed(void **state) {
    (void)state;
    char path[SCRATCH_PATH_MAX], sql[512];
    struct app_options at = options;
    at.path = scratch_path(path, "slipway.db");
    struct world w;
    struct app_hook hook, old;
    world_open(&w, &at);
    assert_int_equal(create(&w, "e", "{\"body\":\"b\"}", &hook), SW_OK);
    assert_int_equal(create(&w, "e", NULL, &old), SW_OK);
    assert_null(memmem(hook.row.sealed, hook.row.sealed_len, hook.secret, strlen(hook.secret)));
    world_close(&w);
    (void)snprintf(sql, sizeof sql,
                   "UPDATE hook SET sealed = NULL, plain = json_object('spec', '{\"form\":{}}', "
                   "'secret', 'of an earlier version') WHERE id = %d",
                   (int)old.row.id);
    exec(path, sql);

    world_reopen(&w, &at);
    get(&w, old.row.uid, &old);
    assert_string_equal(old.secret, "of an earlier version");
    assert_string_equal(old.spec, "{\"form\":{}}");
    assert_false(old.row.is_disabled);
    get(&w, hook.row.uid, &hook);
    assert_string_equal(hook.spec, "{\"body\":\"b\"}");
    world_close(&w);

    at.seal_key = other_key;
    world_reopen(&w, &at);
    get(&w, hook.row.uid, &hook);
    assert_true(hook.row.is_disabled);
    assert_string_equal(hook.secret, "");
    assert_string_equal(hook.spec, "{}");
    publish(&w, "e");
    get(&w, hook.row.uid, &hook);
    assert_int_equal(hook.row.queued, 0);
    struct bag bag = {
        .product_id = w.product.id, .uid = hook.row.uid, .edit = {.has_disabled = true}};
    assert_int_equal(app_execute(w.app, run_edit, &bag, &w.error), SW_E_RANGE);
    assert_string_equal(w.error.field, "secret");
    bag.edit.secret = "a new secret of it";
    assert_int_equal(app_execute(w.app, run_edit, &bag, &w.error), SW_OK);
    publish(&w, "e");
    get(&w, hook.row.uid, &hook);
    assert_int_equal(hook.row.queued, 1);
    assert_string_equal(hook.secret, "a new secret of it");
    world_close(&w);

    /* A program without a key makes none, and does no harm to those that are there. */
    at.seal_key = NULL;
    world_reopen(&w, &at);
    assert_int_equal(create(&w, "e", NULL, &old), SW_E_STATE);
    world_close(&w);
    at.seal_key = other_key;
    world_reopen(&w, &at);
    get(&w, hook.row.uid, &hook);
    assert_string_equal(hook.secret, "a new secret of it");
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(pauses_grow_until_an_event_is_given_up),
        cmocka_unit_test(pauses_are_an_hour_at_most),
        cmocka_unit_test(a_clock_that_is_set_back_holds_nothing_up),
        cmocka_unit_test(long_failure_disables),
        cmocka_unit_test(answers_are_told_in_parts),
        cmocka_unit_test(an_answer_goes_to_the_device_that_published),
        cmocka_unit_test(the_history_keeps_ten_of_each),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(an_edit_of_what_has_changed_is_refused),
        cmocka_unit_test_setup_teardown(secrets_are_sealed, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
