#include "slipway/crypto/certificate.h"

#include "pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOON ((wall_time){.ms = INT64_C(1800000000000)}) /* in 2027 */

static char authority[8192], client[8192], client384[8192], stranger[8192];
static struct crypto_trust *trust;
static struct crypto_worker *worker;

static struct span authority_pem, client_pem, client384_pem, stranger_pem;

static int set_up(void **state) {
    (void)state;
    authority_pem = pki_load("authority", authority, sizeof authority);
    client_pem = pki_load("client", client, sizeof client);
    client384_pem = pki_load("client384", client384, sizeof client384);
    stranger_pem = pki_load("stranger", stranger, sizeof stranger);
    trust = crypto_trust_from_pem(authority_pem);
    worker = crypto_worker_new();
    return trust == NULL || worker == NULL;
}

static int tear_down(void **state) {
    (void)state;
    crypto_trust_free(trust);
    crypto_worker_free(worker);
    return 0;
}

static size_t list_of(struct span pem, uint8_t *out, size_t cap) {
    int len = certificate_list_from_pem(pem, out, cap);
    assert_true(len > 0);
    return (size_t)len;
}

static void both_curves_verify_and_give_their_name(void **state) {
    (void)state;
    uint8_t list[4096];
    struct crypto_certified *certified;
    struct certificate_check check = {.now = NOON, .is_client = true};
    size_t len = list_of(client_pem, list, sizeof list);
    assert_int_equal(crypto_trust_verify(trust, span_of(list, len), &check, &certified), SW_OK);
    assert_true(span_is_text(crypto_certified_name(certified), "device-0001")); /* the subject's */
    crypto_certified_free(certified);
    len = list_of(client384_pem, list, sizeof list);
    assert_int_equal(crypto_trust_verify(trust, span_of(list, len), &check, &certified), SW_OK);
    assert_true(span_is_text(crypto_certified_name(certified), "device-0384")); /* the SAN's */
    struct sha256 digest = {{1}};
    assert_int_equal(
        crypto_certified_check(certified, worker, &digest, span_text("not a signature")),
        SW_E_AUTH);
    crypto_certified_free(certified);
}

static void each_fault_has_its_code(void **state) {
    (void)state;
    uint8_t list[4096];
    struct crypto_certified *certified;
    struct certificate_check check = {.now = NOON, .is_client = true};
    struct span none = span_of(NULL, 0);
    assert_int_equal(crypto_trust_verify(trust, none, &check, &certified), SW_E_INPUT);
    size_t len = list_of(stranger_pem, list, sizeof list);
    assert_int_equal(crypto_trust_verify(trust, span_of(list, len), &check, &certified),
                     SW_E_NOT_FOUND);
    len = list_of(client_pem, list, sizeof list);
    check.now = (wall_time){.ms = 0};
    assert_int_equal(crypto_trust_verify(trust, span_of(list, len), &check, &certified),
                     SW_E_RANGE);
    check.now = NOON;
    check.is_client = false;
    assert_int_equal(crypto_trust_verify(trust, span_of(list, len), &check, &certified),
                     SW_E_DENIED);
    check.is_client = true;
    for (size_t cut = 1; cut < len; cut++) {
        assert_int_equal(crypto_trust_verify(trust, span_of(list, cut), &check, &certified),
                         SW_E_INPUT);
        assert_null(certified);
    }
    /* A chain may be long, not endless. */
    uint8_t chain[16384];
    for (size_t i = 0; i < 8; i++) {
        memcpy(chain + i * len, list, len);
    }
    assert_int_equal(crypto_trust_verify(trust, span_of(chain, 8 * len), &check, &certified),
                     SW_E_INPUT);
}

/* What was verified once is not read again, but holds as long as it is valid, and for that use. */
static void a_list_that_was_verified_is_remembered(void **state) {
    (void)state;
    uint8_t list[4096];
    struct crypto_certified *first, *again;
    struct certificate_check check = {.now = NOON, .is_client = true};
    struct crypto_trust *own = crypto_trust_from_pem(authority_pem);
    size_t len = list_of(client_pem, list, sizeof list);
    assert_int_equal(crypto_trust_verify(own, span_of(list, len), &check, &first), SW_OK);
    assert_int_equal(crypto_trust_verify(own, span_of(list, len), &check, &again), SW_OK);
    assert_ptr_equal(first, again);
    crypto_certified_free(again);
    check.now = (wall_time){.ms = 0};
    assert_int_equal(crypto_trust_verify(own, span_of(list, len), &check, &again), SW_E_RANGE);
    check.now = (wall_time){.ms = INT64_C(253402300799000)}; /* the end of 9999 */
    assert_int_equal(crypto_trust_verify(own, span_of(list, len), &check, &again), SW_E_RANGE);
    check.now = NOON;
    check.is_client = false;
    assert_int_equal(crypto_trust_verify(own, span_of(list, len), &check, &again), SW_E_DENIED);
    check.is_client = true;
    check.host = "another.example";
    assert_int_equal(crypto_trust_verify(own, span_of(list, len), &check, &again), SW_E_DENIED);
    check.host = NULL;
    list[len - 1] ^= 1;
    assert_int_not_equal(crypto_trust_verify(own, span_of(list, len), &check, &again), SW_OK);
    crypto_trust_free(own);
    assert_true(span_is_text(crypto_certified_name(first), "device-0001"));
    crypto_certified_free(first);
}

static void no_changed_byte_of_a_certificate_verifies(void **state) {
    (void)state;
    uint8_t list[4096];
    struct crypto_certified *certified;
    struct certificate_check check = {.now = NOON, .is_client = true};
    size_t len = list_of(client_pem, list, sizeof list);
    for (size_t i = 0; i < len; i++) {
        list[i] ^= 1;
        assert_int_not_equal(crypto_trust_verify(trust, span_of(list, len), &check, &certified),
                             SW_OK);
        list[i] ^= 1;
    }
}

static void pem_without_certificates_is_refused(void **state) {
    (void)state;
    uint8_t list[100];
    assert_null(crypto_trust_from_pem(span_text("no certificate")));
    assert_null(crypto_trust_from_pem(span_of(NULL, 0)));
    assert_null(crypto_trust_from_pem(span_of(client_pem.data, client_pem.len / 2)));
    assert_int_equal(certificate_list_from_pem(span_text(""), list, sizeof list), SW_E_INPUT);
    assert_int_equal(certificate_list_from_pem(client_pem, list, sizeof list), SW_E_FULL);
    crypto_trust_free(NULL);
    crypto_certified_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_curves_verify_and_give_their_name),
        cmocka_unit_test(each_fault_has_its_code),
        cmocka_unit_test(a_list_that_was_verified_is_remembered),
        cmocka_unit_test(no_changed_byte_of_a_certificate_verifies),
        cmocka_unit_test(pem_without_certificates_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
