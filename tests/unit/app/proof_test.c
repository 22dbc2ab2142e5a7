/* Who may speak for a device: keys, PSKs and certificates under both policies. */
#include "world.h"

#include "slipway/app/proof.h"
#include "slipway/crypto/secret.h"

#define SECRET "sixteen bytes or more of them"

static struct app_plan plan;
static uint8_t seal_key[SEAL_KEY_BYTES] = {1, 2, 3};

static void open_with(enum app_key_policy policy) {
    const struct app_options options = {
        .path = ":memory:", .key_policy = policy, .seal_key = seal_key};
    memset(seal_key, 9, sizeof seal_key);
    world_open(&world, &options);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
}

static int first_use(void **state) {
    (void)state;
    open_with(APP_KEY_FIRST_USE);
    return 0;
}

static int strict(void **state) {
    (void)state;
    open_with(APP_KEY_STRICT);
    return 0;
}

struct act {
    struct device_id id;
    struct span key; /* empty: removed */
    struct span identity;
    struct app_psk found;
    struct app_proof proof;
    enum app_proof_verdict verdict;
};

static int run_psk(struct app_tx *tx, void *arg) {
    const struct act *act = arg;
    return act->key.len > 0 ? app_device_psk_set(tx, world.product.id, &act->id, act->key)
                            : app_device_psk_remove(tx, world.product.id, &act->id);
}

static int set_psk(unsigned n, const char *key) {
    struct act act = {.id = world_id(n), .key = span_text(key)};
    return app_execute(world.app, run_psk, &act, &world.error);
}

static int run_find(struct app_tx *tx, void *arg) {
    struct act *act = arg;
    return app_psk_find(tx, act->identity, &act->found);
}

static struct app_psk find(const char *identity) {
    struct act act = {.identity = span_text(identity)};
    assert_int_equal(app_read(world.app, world.store, run_find, &act, NULL), SW_OK);
    return act.found;
}

static int run_again(struct app_tx *tx, void *arg) {
    struct act *act = arg;
    return app_proof_check_again(tx, &act->id, &act->proof, &act->verdict);
}

static enum app_proof_verdict check_again(const struct app_hello *hello) {
    struct act act = {.id = hello->id, .proof = hello->proof};
    assert_int_equal(app_read(world.app, world.store, run_again, &act, NULL), SW_OK);
    return act.verdict;
}

/* A Hello of device n, by the PSK that it has. */
static struct app_hello hello_by_psk(unsigned n) {
    struct app_hello hello = world_hello_of(n, 1);
    struct app_psk psk = find(world_id_text(n));
    assert_true(psk.len > 0);
    hello.proof = (struct app_proof){.kind = APP_PROOF_PSK, .u.named.device = psk.device};
    memcpy(hello.proof.u.named.stamp, psk.stamp, sizeof psk.stamp);
    return hello;
}

static struct app_hello hello_by_certificate(unsigned n, unsigned named) {
    struct app_hello hello = world_hello_of(n, 1);
    hello.proof =
        (struct app_proof){.kind = APP_PROOF_CERTIFICATE, .u.named.device = world_id(named)};
    return hello;
}

static enum app_verdict says(const struct app_hello *hello) {
    assert_int_equal(world_hello(&world, hello, &plan), SW_OK);
    return plan.verdict;
}

static void a_psk_is_found_by_its_device_alone(void **state) {
    (void)state;
    char upper[DEVICE_ID_DIGITS + 1];
    assert_int_equal(set_psk(1, SECRET), SW_OK);
    struct app_psk psk = find(world_id_text(1));
    assert_int_equal(psk.len, sizeof SECRET - 1);
    assert_memory_equal(psk.key, SECRET, psk.len);
    assert_true(
        device_id_equal(&psk.device, &(struct device_id){.b = {0xE0, 0x0F, 0xCE, 0x68, [11] = 1}}));
    for (size_t i = 0; i <= DEVICE_ID_DIGITS; i++) {
        char c = world_id_text(1)[i];
        upper[i] = (char)(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
    }
    assert_int_equal(find(upper).len, psk.len);
    assert_int_equal(find(world_id_text(2)).len, 0);
    assert_int_equal(find("").len, 0);
    assert_int_equal(find("device").len, 0);
}

static void every_key_that_is_set_has_its_own_stamp(void **state) {
    (void)state;
    assert_int_equal(set_psk(1, SECRET), SW_OK);
    struct app_hello before = hello_by_psk(1);
    assert_int_equal(says(&before), APP_VERDICT_KNOWN);
    world.notice_count = 0;
    assert_int_equal(set_psk(1, SECRET), SW_OK); /* the same bytes, another key */
    assert_int_equal(world.notice_count, 1);
    assert_int_equal(world.notices[0].kind, APP_NOTICE_FORGET);
    assert_int_equal(check_again(&before), APP_PROOF_OTHER);
    assert_int_equal(says(&before), APP_VERDICT_WRONG_KEY);
    struct app_hello after = hello_by_psk(1);
    assert_int_equal(check_again(&after), APP_PROOF_OWN);
    assert_int_equal(says(&after), APP_VERDICT_KNOWN);
    assert_int_equal(set_psk(1, ""), SW_OK);
    assert_int_equal(find(world_id_text(1)).len, 0);
    assert_int_equal(check_again(&after), APP_PROOF_OTHER);
    assert_int_equal(set_psk(1, ""), SW_E_NOT_FOUND);
}

static void a_sealed_key_is_worth_nothing_elsewhere(void **state) {
    (void)state;
    assert_int_equal(set_psk(1, SECRET), SW_OK);
    seal_key[0] ^= 1; /* another key file */
    assert_int_equal(find(world_id_text(1)).len, 0);
    seal_key[0] ^= 1;
    assert_int_equal(find(world_id_text(1)).len, sizeof SECRET - 1);
}

static void lengths_and_strangers_are_refused(void **state) {
    (void)state;
    char key[APP_PSK_MAX + 2];
    memset(key, 'k', sizeof key);
    for (size_t len = 1; len <= APP_PSK_MAX + 1; len++) {
        struct act act = {.id = world_id(1), .key = span_of(key, len)};
        bool is_good = len >= APP_PSK_MIN && len <= APP_PSK_MAX;
        assert_int_equal(app_execute(world.app, run_psk, &act, NULL), is_good ? SW_OK : SW_E_RANGE);
    }
    assert_int_equal(find(world_id_text(1)).len, APP_PSK_MAX);
    assert_int_equal(set_psk(2, SECRET), SW_E_NOT_FOUND);
}

static void a_certificate_speaks_for_its_own_device(void **state) {
    (void)state;
    struct app_hello own = hello_by_certificate(1, 1), other = hello_by_certificate(1, 2);
    assert_int_equal(says(&other), APP_VERDICT_WRONG_KEY);
    assert_int_equal(says(&own), APP_VERDICT_KNOWN);
    assert_int_equal(check_again(&own), APP_PROOF_OWN);
    assert_int_equal(check_again(&other), APP_PROOF_OTHER);
    struct app_hello unknown = hello_by_certificate(5, 5);
    assert_int_equal(says(&unknown), APP_VERDICT_QUARANTINED);
    /* Approved without a key to bind: it has shown none. */
    assert_int_equal(world_import(&world, world_id_text(5), NULL), SW_OK);
    assert_int_equal(says(&unknown), APP_VERDICT_KNOWN);
}

static void the_first_raw_key_is_bound_only_where_there_is_no_other_proof(void **state) {
    (void)state;
    struct app_hello raw = world_hello_of(1, 1), certified = hello_by_certificate(2, 2);
    assert_int_equal(set_psk(1, SECRET), SW_OK);
    assert_int_equal(says(&raw), APP_VERDICT_WRONG_KEY);
    assert_int_equal(world_import(&world, world_id_text(2), NULL), SW_OK);
    assert_int_equal(says(&certified), APP_VERDICT_KNOWN);
    raw = world_hello_of(2, 1);
    assert_int_equal(says(&raw), APP_VERDICT_WRONG_KEY);
    assert_int_equal(world_import(&world, world_id_text(3), NULL), SW_OK);
    raw = world_hello_of(3, 1);
    assert_int_equal(says(&raw), APP_VERDICT_KNOWN);
    assert_int_equal(check_again(&raw), APP_PROOF_OWN);
    /* Its id is free again when the device was removed. */
    assert_int_equal(world_remove(&world, &certified.id), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(2), NULL), SW_OK);
    raw = world_hello_of(2, 1);
    assert_int_equal(says(&raw), APP_VERDICT_KNOWN);
}

static void strict_takes_what_was_registered(void **state) {
    (void)state;
    struct app_hello raw = world_hello_of(1, 1), certified = hello_by_certificate(1, 1);
    assert_int_equal(says(&raw), APP_VERDICT_QUARANTINED);
    assert_int_equal(says(&certified), APP_VERDICT_KNOWN); /* by its authority */
    assert_int_equal(set_psk(1, SECRET), SW_OK);
    struct app_hello psk = hello_by_psk(1);
    assert_int_equal(says(&psk), APP_VERDICT_KNOWN);
    assert_int_equal(says(&raw), APP_VERDICT_QUARANTINED);
}

#define FIRST_USE(name) cmocka_unit_test_setup_teardown(name, first_use, world_done)

int main(void) {
    const struct CMUnitTest tests[] = {
        FIRST_USE(a_psk_is_found_by_its_device_alone),
        FIRST_USE(every_key_that_is_set_has_its_own_stamp),
        FIRST_USE(a_sealed_key_is_worth_nothing_elsewhere),
        FIRST_USE(lengths_and_strangers_are_refused),
        FIRST_USE(a_certificate_speaks_for_its_own_device),
        FIRST_USE(the_first_raw_key_is_bound_only_where_there_is_no_other_proof),
        cmocka_unit_test_setup_teardown(strict_takes_what_was_registered, strict, world_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
