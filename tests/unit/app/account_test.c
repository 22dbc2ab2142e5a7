/* Tokens, users, API users, events, the first start, and the writer thread behind it all. */
#include "scratch.h"
#include "world.h"

struct account {
    struct user user;
    struct app_password password;
    struct app_token_new request;
    struct app_token_made made;
    struct app_identity identity;
    struct app_login login;
    struct app_api_user_new api;
    char token[TOKEN_DIGITS + 1];
    const char *place;
    bool success, locked;
};

static int run_user(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_user_create(tx, "someone@example.com", &a->password, false, &a->user);
}

static int run_token(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    a->request.user_id = a->user.id;
    return app_token_create(tx, &a->request, &a->made);
}

static int run_verify(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_token_verify(tx, a->token, strlen(a->token), &a->identity);
}

static int run_revoke(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_token_revoke(tx, a->token, strlen(a->token));
}

static int run_refresh(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_token_refresh(tx, a->token, strlen(a->token), NULL, 60, &a->made);
}

static int verify(struct account *a, const char *token) {
    (void)snprintf(a->token, sizeof a->token, "%s", token);
    return app_read(world.app, world.store, run_verify, a, &world.error);
}

static void make_user(struct account *a) {
    memset(a, 0, sizeof *a);
    a->place = "192.0.2.7";
    assert_int_equal(app_password_hash(world.app, span_text("correct horse"), &a->password), SW_OK);
    assert_int_equal(app_execute(world.app, run_user, a, &world.error), SW_OK);
}

static void tokens_live_expire_and_are_revoked(void **state) {
    (void)state;
    struct account a;
    make_user(&a);
    a.request.lifetime_s = 60;
    assert_int_equal(app_execute(world.app, run_token, &a, NULL), SW_OK);
    assert_int_equal(strlen(a.made.access), TOKEN_DIGITS);
    assert_int_equal(verify(&a, a.made.access), SW_OK);
    assert_int_equal(a.identity.user.id, a.user.id);
    char wrong[TOKEN_DIGITS + 1];
    memcpy(wrong, a.made.access, sizeof wrong);
    wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
    assert_int_equal(verify(&a, wrong), SW_E_NOT_FOUND);
    assert_string_equal(world.error.word, "invalid_token");
    assert_int_equal(verify(&a, ""), SW_E_NOT_FOUND);
    assert_int_equal(verify(&a, "zz"), SW_E_NOT_FOUND);
    world.now.ms += 60001;
    assert_int_equal(verify(&a, a.made.access), SW_E_AUTH);
    assert_string_equal(world.error.description, "The access token provided has expired.");

    a.request.lifetime_s = 0;
    assert_int_equal(app_execute(world.app, run_token, &a, NULL), SW_OK);
    world.now.ms += INT64_C(100) * 365 * 24 * 3600 * 1000;
    assert_int_equal(verify(&a, a.made.access), SW_OK);
    assert_int_equal(app_execute(world.app, run_revoke, &a, NULL), SW_OK);
    assert_int_equal(verify(&a, a.made.access), SW_E_NOT_FOUND);
}

static void refresh_token_works_once(void **state) {
    (void)state;
    struct account a;
    make_user(&a);
    a.request.lifetime_s = 60;
    a.request.with_refresh = true;
    assert_int_equal(app_execute(world.app, run_token, &a, NULL), SW_OK);
    struct app_token_made first = a.made;
    assert_int_equal(verify(&a, first.refresh), SW_E_NOT_FOUND); /* opens no door */
    (void)snprintf(a.token, sizeof a.token, "%s", first.refresh);
    assert_int_equal(app_execute(world.app, run_refresh, &a, NULL), SW_OK);
    assert_int_equal(verify(&a, a.made.access), SW_OK);
    assert_int_equal(verify(&a, first.access), SW_E_NOT_FOUND);
    (void)snprintf(a.token, sizeof a.token, "%s", first.refresh);
    assert_int_equal(app_execute(world.app, run_refresh, &a, &world.error), SW_E_AUTH);
}

static int run_login(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_login_begin(tx, "someone@example.com", a->place, &a->login);
}

static int run_login_unknown(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_login_begin(tx, "nobody@example.com", a->place, &a->login);
}

static int run_record(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_login_record(tx, a->user.id, a->place, a->success, &a->locked);
}

static int run_set_password(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_user_set_password(tx, a->user.id, &a->password);
}

/* As the door does it: while a user is locked, nothing is recorded. */
static bool log_in(struct account *a, const char *password) {
    assert_int_equal(app_read(world.app, world.store, run_login, a, NULL), SW_OK);
    a->success = app_login_matches(&a->login, span_text(password));
    if (!a->login.is_locked) {
        assert_int_equal(app_execute(world.app, run_record, a, NULL), SW_OK);
    }
    return a->success;
}

static void fail_logins(struct account *a, const char *place, int count) {
    a->place = place;
    a->success = false;
    for (int i = 0; i < count; i++) {
        assert_int_equal(app_execute(world.app, run_record, a, NULL), SW_OK);
    }
}

static void too_many_failures_lock_a_user(void **state) {
    (void)state;
    struct account a;
    make_user(&a);
    assert_true(log_in(&a, "correct horse"));
    assert_int_equal(app_read(world.app, world.store, run_login_unknown, &a, NULL), SW_OK);
    assert_false(app_login_matches(&a.login, span_text("")));
    fail_logins(&a, "192.0.2.7", 9);
    assert_false(a.locked);
    assert_true(log_in(&a, "correct horse"));
    fail_logins(&a, "192.0.2.7", 9);
    assert_false(a.locked);
    fail_logins(&a, "192.0.2.7", 1);
    assert_true(a.locked);
    assert_false(log_in(&a, "correct horse"));
    a.place = "192.0.2.8"; /* where the user is, who has nothing to do with it */
    assert_true(log_in(&a, "correct horse"));
    a.place = "192.0.2.7";
    assert_false(log_in(&a, "correct horse"));
    world.now.ms += 1800001;
    assert_true(log_in(&a, "correct horse"));
}

static void failures_from_everywhere_lock_a_user_everywhere(void **state) {
    (void)state;
    struct account a;
    char places[20][24];
    make_user(&a);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(places[i], sizeof places[i], "198.51.100.%d", i);
        fail_logins(&a, places[i], 5);
    }
    assert_true(a.locked);
    a.place = "192.0.2.8";
    assert_false(log_in(&a, "correct horse"));
    world.now.ms += 1800001;
    fail_logins(&a, places[0], 1); /* the first one again */
    assert_false(a.locked);
    assert_true(log_in(&a, "correct horse"));
}

static void a_new_password_unlocks(void **state) {
    (void)state;
    struct account a;
    make_user(&a);
    fail_logins(&a, "192.0.2.7", 10);
    assert_false(log_in(&a, "correct horse"));
    assert_int_equal(app_password_hash(world.app, span_text("battery staple"), &a.password), SW_OK);
    assert_int_equal(app_execute(world.app, run_set_password, &a, NULL), SW_OK);
    assert_true(log_in(&a, "battery staple"));
}

/* A lock lasts as long as it should by either clock, and a new password ends it in any case. */
static void a_lock_ends_although_the_clock_was_set_back(void **state) {
    (void)state;
    struct account a;
    make_user(&a);
    fail_logins(&a, "192.0.2.7", 10);
    world.now.ms -= 60 * 1000;
    assert_false(log_in(&a, "correct horse"));
    world.now.ms -= INT64_C(24) * 3600 * 1000;
    assert_true(log_in(&a, "correct horse"));
    fail_logins(&a, "192.0.2.7", 1);
    assert_false(a.locked);
    fail_logins(&a, "192.0.2.7", 9);
    assert_true(a.locked);
    world.now.ms -= 60 * 1000;
    assert_int_equal(app_password_hash(world.app, span_text("battery staple"), &a.password), SW_OK);
    assert_int_equal(app_execute(world.app, run_set_password, &a, NULL), SW_OK);
    assert_true(log_in(&a, "battery staple"));
}

static int run_api_user(struct app_tx *tx, void *arg) {
    struct account *a = (struct account *)arg;
    return app_api_user_create(tx, &a->api, &a->user, a->token);
}

static void api_user_has_its_scopes_only(void **state) {
    (void)state;
    struct account a;
    memset(&a, 0, sizeof a);
    const char *scopes[] = {"firmware:create", "devices.function:call"};
    a.api = (struct app_api_user_new){.product_id = world.product.id,
                                      .friendly_name = "CI robot",
                                      .scopes = scopes,
                                      .scope_count = 2};
    assert_int_equal(app_execute(world.app, run_api_user, &a, &world.error), SW_OK);
    char token[TOKEN_DIGITS + 1];
    memcpy(token, a.token, sizeof token);
    assert_int_equal(verify(&a, token), SW_OK);
    assert_true(a.identity.user.is_api);
    assert_int_equal(a.identity.user.product_id, world.product.id);
    assert_true(app_identity_may(&a.identity, "firmware:create"));
    assert_true(app_identity_may(&a.identity, "devices.function:call"));
    assert_false(app_identity_may(&a.identity, "firmware:release"));
    assert_false(app_identity_may(&a.identity, "firmware"));
    assert_false(app_identity_may(&a.identity, "function:call"));
    assert_false(app_identity_may(&a.identity, ""));
    scopes[1] = "everything";
    assert_int_equal(app_execute(world.app, run_api_user, &a, &world.error), SW_E_RANGE);
    assert_string_equal(world.error.field, "scopes");
}

/* --- events --- */

struct log {
    struct app_publish publish;
    struct app_event_query query;
    struct event_list list;
    uint32_t pruned;
};

static int run_publish(struct app_tx *tx, void *arg) {
    return app_event_publish(tx, &((struct log *)arg)->publish);
}

static int run_events(struct app_tx *tx, void *arg) {
    struct log *log = (struct log *)arg;
    return app_event_list(tx, &log->query, &log->list);
}

static int run_prune(struct app_tx *tx, void *arg) {
    return app_event_prune(tx, &((struct log *)arg)->pruned);
}

static void events_are_read_by_cursor_and_prefix(void **state) {
    (void)state;
    struct log log;
    memset(&log, 0, sizeof log);
    for (int i = 0; i < 10; i++) {
        log.publish = (struct app_publish){.product_id = world.product.id,
                                           .name = i % 2 == 0 ? "temp/in" : "other",
                                           .data = span_text("12"),
                                           .user = "tester"};
        assert_int_equal(app_execute(world.app, run_publish, &log, NULL), SW_OK);
    }
    log.query =
        (struct app_event_query){.product_id = world.product.id, .prefix = "temp", .max = 4};
    size_t seen = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(app_read(world.app, world.store, run_events, &log, NULL), SW_OK);
        seen += log.list.count;
        log.query.after_id = log.list.last_id;
        free(log.list.items);
    }
    assert_int_equal(seen, 5);
    log.publish.name = "spark/status";
    assert_int_equal(app_execute(world.app, run_publish, &log, &world.error), SW_E_RANGE);
    assert_string_equal(world.error.field, "name");
    log.publish.name = "";
    assert_int_equal(app_execute(world.app, run_publish, &log, &world.error), SW_E_INPUT);

    world.now.ms += INT64_C(31) * 24 * 3600 * 1000;
    assert_int_equal(app_execute(world.app, run_prune, &log, NULL), SW_OK);
    assert_int_equal(log.pruned, 10);
}

/* --- the first start --- */

static void the_administrator_is_made_and_changed(void **state) {
    (void)state;
    static const char first[] = "00112233445566778899aabbccddeeff00112233";
    static const char second[] = "ff112233445566778899aabbccddeeff00112233";
    struct fault fault;
    struct account a;
    memset(&a, 0, sizeof a);
    bool exists = true;
    assert_int_equal(app_administrator_exists(world.app, &exists, &fault), SW_OK);
    assert_false(exists);
    assert_int_equal(app_administrator(world.app, first, "correct horse", &fault), SW_OK);
    assert_int_equal(app_administrator_exists(world.app, &exists, &fault), SW_OK);
    assert_true(exists);
    assert_int_equal(verify(&a, first), SW_OK);
    assert_true(a.identity.user.is_admin);
    /* The same again changes nothing, another token takes its place. */
    assert_int_equal(app_administrator(world.app, first, NULL, &fault), SW_OK);
    assert_int_equal(app_administrator(world.app, first, "correct horse", &fault), SW_OK);
    assert_int_equal(verify(&a, first), SW_OK);
    assert_int_equal(app_administrator(world.app, second, NULL, &fault), SW_OK);
    assert_int_equal(verify(&a, second), SW_OK);
    assert_int_equal(verify(&a, first), SW_E_NOT_FOUND);
    assert_int_equal(app_administrator(world.app, "short", NULL, &fault), SW_E_INPUT);
}

static void threads_write_and_read_one_file(void **state) {
    (void)state;
    char path[SCRATCH_PATH_MAX];
    struct app_options options = {.path = scratch_path(path, "slipway.db"), .is_threaded = true};
    world_open(&world, &options);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_upload(&world, 1, 0), SW_E_EXISTS);
    assert_string_equal(world.error.description, "Firmware version already exists");
    struct firmware firmware;
    world_firmware(&world, 1, &firmware); /* on a connection of its own */
    assert_string_equal(firmware.title, "a title");
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_fresh, world_done)
        CASE(tokens_live_expire_and_are_revoked),
        CASE(refresh_token_works_once),
        CASE(too_many_failures_lock_a_user),
        CASE(failures_from_everywhere_lock_a_user_everywhere),
        CASE(a_new_password_unlocks),
        CASE(a_lock_ends_although_the_clock_was_set_back),
        CASE(api_user_has_its_scopes_only),
        CASE(events_are_read_by_cursor_and_prefix),
        CASE(the_administrator_is_made_and_changed),
        cmocka_unit_test_setup_teardown(threads_write_and_read_one_file, scratch_make,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
