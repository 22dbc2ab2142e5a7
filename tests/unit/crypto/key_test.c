#include "slipway/crypto/key.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* RFC 5903 section 8.1: both sides' P-256 keys and the secret they share. */
static const char rfc_i[] = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
static const char rfc_gi[] =
    "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271"
    "a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3";
static const char rfc_gr[] =
    "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fb"
    "f3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
static const char rfc_secret[] = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";

static void unhex(const char *hex, void *out, size_t len) {
    assert_int_equal(hex_decode(hex, strlen(hex), out, len), SW_OK);
}

static struct crypto_key *key_of_hex(const char *hex) {
    uint8_t scalar[32];
    unhex(hex, scalar, sizeof scalar);
    return crypto_key_from_scalar(scalar);
}

static void agreement_matches_the_published_secret(void **state) {
    (void)state;
    struct crypto_worker *worker = crypto_worker_new();
    struct crypto_key *key = key_of_hex(rfc_i);
    struct p256_point want, peer;
    uint8_t secret[ECDH_SECRET_BYTES], want_secret[ECDH_SECRET_BYTES];
    unhex(rfc_gi, want.b, sizeof want.b);
    unhex(rfc_gr, peer.b, sizeof peer.b);
    unhex(rfc_secret, want_secret, sizeof want_secret);
    assert_memory_equal(crypto_key_point(key)->b, want.b, sizeof want.b);
    assert_int_equal(crypto_agree(worker, key, &peer, secret), SW_OK);
    assert_memory_equal(secret, want_secret, sizeof secret);
    crypto_key_free(key);
    crypto_worker_free(worker);
}

static void scalars_outside_the_group_are_refused(void **state) {
    (void)state;
    static const char *const refused[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < 3; i++) {
        assert_null(key_of_hex(refused[i]));
    }
    struct crypto_key *last =
        key_of_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550");
    assert_non_null(last);
    crypto_key_free(last);
}

static void points_off_the_curve_are_refused(void **state) {
    (void)state;
    struct crypto_worker *worker = crypto_worker_new();
    struct crypto_key *key = crypto_key_ephemeral(worker);
    struct p256_point good, bad;
    struct sha256 digest = {{0}};
    uint8_t secret[ECDH_SECRET_BYTES];
    unhex(rfc_gr, good.b, sizeof good.b);
    assert_true(p256_point_is_valid(&good));
    for (size_t i = 0; i < sizeof good.b; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bad = good;
            bad.b[i] ^= (uint8_t)(1U << bit);
            assert_false(p256_point_is_valid(&bad));
            assert_int_equal(crypto_agree(worker, key, &bad, secret), SW_E_INPUT);
            assert_int_equal(crypto_verify(worker, &bad, &digest, span_text("x")), SW_E_INPUT);
        }
    }
    memset(&bad, 0, sizeof bad); /* the encoding of infinity, padded */
    assert_false(p256_point_is_valid(&bad));
    assert_int_equal(crypto_agree(worker, key, &bad, secret), SW_E_INPUT);
    bad.b[0] = 4; /* (0,0) */
    assert_false(p256_point_is_valid(&bad));
    assert_int_equal(crypto_agree(worker, key, &bad, secret), SW_E_INPUT);
    memset(bad.b + 1, 0xff, 64); /* coordinates above the field's prime */
    assert_false(p256_point_is_valid(&bad));
    crypto_key_free(key);
    crypto_worker_free(worker);
}

static void two_fresh_keys_agree(void **state) {
    (void)state;
    struct crypto_worker *worker = crypto_worker_new();
    for (unsigned i = 0; i < 50; i++) {
        struct crypto_key *a = crypto_key_ephemeral(worker);
        struct crypto_key *b = crypto_key_generate();
        uint8_t of_a[ECDH_SECRET_BYTES], of_b[ECDH_SECRET_BYTES];
        assert_int_equal(crypto_agree(worker, a, crypto_key_point(b), of_a), SW_OK);
        assert_int_equal(crypto_agree(worker, b, crypto_key_point(a), of_b), SW_OK);
        assert_memory_equal(of_a, of_b, sizeof of_a);
        crypto_key_free(a);
        crypto_key_free(b);
    }
    crypto_worker_free(worker);
}

static void signatures_verify_and_their_mutations_do_not(void **state) {
    (void)state;
    struct crypto_worker *worker = crypto_worker_new();
    struct crypto_key *key = crypto_key_generate();
    struct crypto_key *other = crypto_key_generate();
    struct sha256 digest;
    sha256_of(span_text("signed"), &digest);
    uint8_t signature[ECDSA_SIGNATURE_MAX];
    int len = crypto_sign(key, &digest, signature);
    assert_true(len > 0 && len <= ECDSA_SIGNATURE_MAX);
    struct span all = span_of(signature, (size_t)len);
    assert_int_equal(crypto_verify(worker, crypto_key_point(key), &digest, all), SW_OK);
    assert_int_equal(crypto_verify(worker, crypto_key_point(other), &digest, all), SW_E_AUTH);
    for (size_t i = 0; i < all.len; i++) {
        signature[i] ^= 0x01;
        assert_int_equal(crypto_verify(worker, crypto_key_point(key), &digest, all), SW_E_AUTH);
        signature[i] ^= 0x01;
        assert_int_equal(
            crypto_verify(worker, crypto_key_point(key), &digest, span_of(signature, i)),
            SW_E_AUTH);
    }
    digest.b[31] ^= 1;
    assert_int_equal(crypto_verify(worker, crypto_key_point(key), &digest, all), SW_E_AUTH);
    crypto_key_free(key);
    crypto_key_free(other);
    crypto_worker_free(worker);
}

static void keys_survive_pem(void **state) {
    (void)state;
    struct crypto_key *key = key_of_hex(rfc_i);
    char pem[512];
    int len = crypto_key_to_pem(key, pem, sizeof pem);
    assert_true(len > 0);
    assert_int_equal(strlen(pem), len);
    assert_int_equal(crypto_key_to_pem(key, pem, (size_t)len), SW_E_FULL);
    assert_int_equal(crypto_key_to_pem(key, pem, (size_t)len + 1), len);
    struct crypto_key *back = crypto_key_from_pem(span_text(pem));
    assert_non_null(back);
    assert_memory_equal(crypto_key_point(back)->b, crypto_key_point(key)->b, P256_POINT_BYTES);
    crypto_key_free(back);
    crypto_key_free(key);
    assert_null(crypto_key_from_pem(span_text("no key")));
    assert_null(crypto_key_from_pem(span_of(NULL, 0)));
    /* SEC1 form of the same scalar. */
    static const char sec1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                               "MDECAQEEIMiPAfUQ2aw/cKKS2qIxbeVE6aq4r+hAScYqnFeGLRQzoAoGCCqGSM49\n"
                               "AwEH\n"
                               "-----END EC PRIVATE KEY-----\n";
    back = crypto_key_from_pem(span_text(sec1));
    assert_non_null(back);
    struct p256_point want;
    unhex(rfc_gi, want.b, sizeof want.b);
    assert_memory_equal(crypto_key_point(back)->b, want.b, sizeof want.b);
    crypto_key_free(back);
}

static void public_keys_have_one_form(void **state) {
    (void)state;
    struct p256_point point, back;
    uint8_t spki[P256_SPKI_BYTES + 1] = {0};
    unhex(rfc_gr, point.b, sizeof point.b);
    p256_spki_encode(&point, spki);
    assert_int_equal(p256_spki_decode(span_of(spki, P256_SPKI_BYTES), &back), SW_OK);
    assert_memory_equal(back.b, point.b, sizeof point.b);
    assert_int_equal(p256_spki_decode(span_of(spki, P256_SPKI_BYTES + 1), &back), SW_E_INPUT);
    assert_int_equal(p256_spki_decode(span_of(spki, P256_SPKI_BYTES - 1), &back), SW_E_INPUT);
    for (size_t i = 0; i < P256_SPKI_BYTES - 64; i++) {
        spki[i] ^= 1;
        assert_int_equal(p256_spki_decode(span_of(spki, P256_SPKI_BYTES), &back), SW_E_INPUT);
        spki[i] ^= 1;
    }
}

static void pem_public_keys_are_checked(void **state) {
    (void)state;
    static const char good[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0S37UonI1PgSCLcCcDmMNCKWlwoL\n"
                               "zLdMc2/HVUSUv2NW+/PKNmzCPoFXhUwTxY1qrCPwRq2jD4NT508zA5hyqw==\n"
                               "-----END PUBLIC KEY-----\n";
    static const char off_curve[] =
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0S37UonI1PgSCLcCcDmMNCKWlwoL\n"
        "zLdMc2/HVUSUv2NW+/PKNmzCPoFXhUwTxY1qrCPwRq2jD4NT508zA5hyqg==\n"
        "-----END PUBLIC KEY-----\n";
    struct p256_point want, back;
    unhex(rfc_gr, want.b, sizeof want.b);
    assert_int_equal(p256_point_from_pem(span_text(good), &back), SW_OK);
    assert_memory_equal(back.b, want.b, sizeof want.b);
    assert_int_equal(p256_point_from_pem(span_text(off_curve), &back), SW_E_INPUT);
    assert_int_equal(p256_point_from_pem(span_of(good, sizeof good / 2), &back), SW_E_INPUT);
    assert_int_equal(p256_point_from_pem(span_text("junk"), &back), SW_E_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement_matches_the_published_secret),
        cmocka_unit_test(scalars_outside_the_group_are_refused),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(two_fresh_keys_agree),
        cmocka_unit_test(signatures_verify_and_their_mutations_do_not),
        cmocka_unit_test(keys_survive_pem),
        cmocka_unit_test(public_keys_have_one_form),
        cmocka_unit_test(pem_public_keys_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
