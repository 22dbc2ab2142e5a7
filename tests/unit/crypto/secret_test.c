#include "slipway/crypto/secret.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3};
static const uint8_t nonce[SEAL_NONCE_BYTES] = {9, 8, 7};

static void equal_tells_every_difference(void **state) {
    (void)state;
    uint8_t a[40] = {0}, b[40] = {0};
    assert_true(crypto_equal(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= 0x80;
        assert_false(crypto_equal(a, b, sizeof a));
        b[i] ^= 0x80;
    }
    assert_true(crypto_equal(a, b, 0));
}

static void what_was_sealed_opens_again(void **state) {
    (void)state;
    uint8_t sealed[100 + SEAL_OVERHEAD], plain[100], opened[100];
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)i;
    }
    for (size_t len = 0; len <= sizeof plain; len++) {
        size_t sealed_len = len + SEAL_OVERHEAD;
        assert_int_equal(crypto_seal(key, nonce, span_text("session 7"), span_of(plain, len),
                                     sealed, sealed_len),
                         SW_OK);
        assert_memory_equal(sealed, nonce, sizeof nonce);
        assert_int_equal(
            crypto_unseal(key, span_text("session 7"), span_of(sealed, sealed_len), opened, len),
            SW_OK);
        assert_memory_equal(opened, plain, len);
        assert_int_equal(
            crypto_seal(key, nonce, span_text(""), span_of(plain, len), sealed, sealed_len - 1),
            SW_E_FULL);
    }
}

static void any_change_is_noticed(void **state) {
    (void)state;
    uint8_t sealed[20 + SEAL_OVERHEAD], opened[20];
    static const uint8_t other_key[SEAL_KEY_BYTES] = {1, 2, 4};
    struct span context = span_text("context");
    struct span all = span_of(sealed, sizeof sealed);
    assert_int_equal(
        crypto_seal(key, nonce, context, span_text("twenty bytes of text"), sealed, sizeof sealed),
        SW_OK);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        memset(opened, 0xee, sizeof opened);
        assert_int_equal(crypto_unseal(key, context, all, opened, sizeof opened), SW_E_AUTH);
        static const uint8_t wiped[20];
        assert_memory_equal(opened, wiped, sizeof opened);
        sealed[i] ^= 1;
    }
    assert_int_equal(crypto_unseal(other_key, context, all, opened, sizeof opened), SW_E_AUTH);
    assert_int_equal(crypto_unseal(key, span_text("Context"), all, opened, sizeof opened),
                     SW_E_AUTH);
    assert_int_equal(
        crypto_unseal(key, context, span_of(sealed, SEAL_OVERHEAD - 1), opened, sizeof opened),
        SW_E_INPUT);
    assert_int_equal(crypto_unseal(key, context, all, opened, sizeof opened - 1), SW_E_FULL);
    assert_int_equal(crypto_unseal(key, context, all, opened, sizeof opened), SW_OK);
}

/* RFC 7914 section 12 has one vector with these costs; its first 32 bytes. */
static void scrypt_gives_the_published_bytes(void **state) {
    (void)state;
    uint8_t want[32], got[32];
    static const char hex[] = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
    assert_int_equal(hex_decode(hex, 64, want, 32), SW_OK);
    assert_int_equal(crypto_scrypt(span_text("pleaseletmein"), span_text("SodiumChloride"), got),
                     SW_OK);
    assert_memory_equal(got, want, 32);
    assert_int_equal(crypto_scrypt(span_text(""), span_text("salt"), got), SW_OK);
}

static void allocated_memory_is_zeroed(void **state) {
    (void)state;
    uint8_t *memory = crypto_alloc(1000);
    assert_non_null(memory);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(memory[i], 0);
    }
    memset(memory, 1, 1000);
    crypto_free(memory, 1000);
    crypto_free(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_tells_every_difference),
        cmocka_unit_test(what_was_sealed_opens_again),
        cmocka_unit_test(any_change_is_noticed),
        cmocka_unit_test(scrypt_gives_the_published_bytes),
        cmocka_unit_test(allocated_memory_is_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
