#include "slipway/crypto/worker.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct crypto_worker *worker;

static int set_up(void **state) {
    (void)state;
    worker = crypto_worker_new();
    return worker == NULL;
}

static int tear_down(void **state) {
    (void)state;
    crypto_worker_free(worker);
    return 0;
}

/* The first two test cases of the GCM specification. */
static void gcm_gives_the_published_bytes(void **state) {
    (void)state;
    static const uint8_t zero[16];
    struct aead_use use = {
        .aead = AEAD_AES128_GCM, .key = zero, .nonce = zero, .associated = span_of(NULL, 0)};
    uint8_t out[32], want[32];
    assert_int_equal(aead_seal(worker, &use, span_of(zero, 0), out), SW_OK);
    assert_int_equal(hex_decode("58e2fccefa7e3061367f1d57a4e7455a", 32, want, 16), SW_OK);
    assert_memory_equal(out, want, 16);
    assert_int_equal(aead_seal(worker, &use, span_of(zero, 16), out), SW_OK);
    assert_int_equal(hex_decode("0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
                                64, want, 32),
                     SW_OK);
    assert_memory_equal(out, want, 32);
}

/* NIST SP 800-38C example 3 has the sizes of CCM_8 in TLS: nonce of 12 bytes, tag of 8. */
static void ccm_gives_the_published_bytes(void **state) {
    (void)state;
    uint8_t key[AEAD_KEY_BYTES], nonce[AEAD_NONCE_BYTES], associated[20], plain[24], out[32];
    uint8_t want[32], opened[24];
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)(0x20 + i);
        key[i % 16] = (uint8_t)(0x40 + i % 16);
        nonce[i % 12] = (uint8_t)(0x10 + i % 12);
        associated[i % 20] = (uint8_t)(i % 20);
    }
    struct aead_use use = {.aead = AEAD_AES128_CCM_8,
                           .key = key,
                           .nonce = nonce,
                           .associated = span_of(associated, sizeof associated)};
    assert_int_equal(hex_decode("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951",
                                64, want, 32),
                     SW_OK);
    assert_int_equal(aead_seal(worker, &use, span_of(plain, sizeof plain), out), SW_OK);
    assert_memory_equal(out, want, sizeof want);
    assert_int_equal(aead_open(worker, &use, span_of(out, sizeof out), opened), SW_OK);
    assert_memory_equal(opened, plain, sizeof plain);
}

static void every_size_opens_again(void **state) {
    (void)state;
    uint8_t key[AEAD_KEY_BYTES], nonce[AEAD_NONCE_BYTES], aad[23], plain[1400];
    uint8_t sealed[1400 + AEAD_TAG_MAX], opened[1400];
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)(i * 7);
    }
    memset(key, 3, sizeof key);
    memset(nonce, 4, sizeof nonce);
    memset(aad, 5, sizeof aad);
    for (int aead = 0; aead < AEAD_COUNT; aead++) {
        struct aead_use use = {.aead = (enum aead)aead, .key = key, .nonce = nonce};
        size_t tag = aead_tag_bytes(use.aead);
        for (size_t len = 0; len <= sizeof plain; len = len < 70 ? len + 1 : len * 2) {
            use.associated = span_of(aad, len % sizeof aad);
            key[0] = (uint8_t)len;
            nonce[11] = (uint8_t)len;
            assert_int_equal(aead_seal(worker, &use, span_of(plain, len), sealed), SW_OK);
            assert_int_equal(aead_open(worker, &use, span_of(sealed, len + tag), opened), SW_OK);
            assert_memory_equal(opened, plain, len);
        }
    }
}

static void sealing_in_place_gives_the_same_bytes(void **state) {
    (void)state;
    uint8_t key[AEAD_KEY_BYTES] = {1}, nonce[AEAD_NONCE_BYTES] = {2};
    for (int aead = 0; aead < AEAD_COUNT; aead++) {
        struct aead_use use = {
            .aead = (enum aead)aead, .key = key, .nonce = nonce, .associated = span_text("a")};
        uint8_t plain[100] = {7}, in_place[100 + AEAD_TAG_MAX] = {7}, apart[100 + AEAD_TAG_MAX];
        assert_int_equal(aead_seal(worker, &use, span_of(plain, 100), apart), SW_OK);
        assert_int_equal(aead_seal(worker, &use, span_of(in_place, 100), in_place), SW_OK);
        assert_memory_equal(in_place, apart, 100 + aead_tag_bytes(use.aead));
    }
}

/* One record after another, in one context: the same and other keys, salts and lengths, in both
 * forms of what is authenticated. */
static void a_record_is_sealed_as_any_message(void **state) {
    (void)state;
    for (unsigned n = 0; n < 600; n++) {
        uint8_t key[AEAD_KEY_BYTES] = {(uint8_t)(n / 3 % 2)};
        uint8_t nonce[AEAD_NONCE_BYTES] = {(uint8_t)(n / 5 % 2), 1, 2, 3, 0, 1, 0, 0, 0, 0};
        uint8_t associated[23] = {0, 1}, plain[1200];
        uint8_t fragment[AEAD_SENT_BYTES + sizeof plain + AEAD_TAG_MAX];
        uint8_t sealed[sizeof plain + AEAD_TAG_MAX];
        size_t len = n % 7 == 0 ? sizeof plain : n * 31 % 600;
        struct aead_use use = {.aead = (enum aead)(n / 2 % AEAD_COUNT),
                               .key = key,
                               .nonce = nonce,
                               .associated = span_of(associated, n % 11 == 0 ? 23 : 13)};
        nonce[11] = associated[7] = (uint8_t)n;
        nonce[10] = associated[6] = (uint8_t)(n >> 8);
        associated[11] = (uint8_t)(len >> 8);
        associated[12] = (uint8_t)len;
        memset(plain, (int)n, sizeof plain);
        memcpy(fragment, nonce + AEAD_SALT_BYTES, AEAD_SENT_BYTES);
        memcpy(fragment + AEAD_SENT_BYTES, plain, len);
        assert_int_equal(aead_seal_record(worker, &use, fragment, len), SW_OK);
        assert_int_equal(aead_seal(worker, &use, span_of(plain, len), sealed), SW_OK);
        assert_memory_equal(fragment, nonce + AEAD_SALT_BYTES, AEAD_SENT_BYTES);
        assert_memory_equal(fragment + AEAD_SENT_BYTES, sealed, len + aead_tag_bytes(use.aead));
    }
}

static void every_changed_byte_is_noticed(void **state) {
    (void)state;
    uint8_t key[AEAD_KEY_BYTES] = {1}, nonce[AEAD_NONCE_BYTES] = {2}, aad[13] = {3};
    uint8_t plain[40] = {4}, sealed[40 + AEAD_TAG_MAX], opened[40];
    static const uint8_t wiped[40];
    for (int aead = 0; aead < AEAD_COUNT; aead++) {
        struct aead_use use = {.aead = (enum aead)aead,
                               .key = key,
                               .nonce = nonce,
                               .associated = span_of(aad, sizeof aad)};
        size_t len = 40 + aead_tag_bytes(use.aead);
        assert_int_equal(aead_seal(worker, &use, span_of(plain, 40), sealed), SW_OK);
        struct {
            uint8_t *data;
            size_t len;
        } parts[] = {{sealed, len}, {key, 16}, {nonce, 12}, {aad, 13}};
        for (size_t part = 0; part < 4; part++) {
            for (size_t i = 0; i < parts[part].len; i++) {
                parts[part].data[i] ^= 0x10;
                memset(opened, 0xee, sizeof opened);
                assert_int_equal(aead_open(worker, &use, span_of(sealed, len), opened), SW_E_AUTH);
                assert_memory_equal(opened, wiped, sizeof opened);
                parts[part].data[i] ^= 0x10;
            }
        }
        for (size_t cut = 0; cut < len; cut++) {
            int status = aead_open(worker, &use, span_of(sealed, cut), opened);
            assert_int_equal(status, cut < aead_tag_bytes(use.aead) ? SW_E_INPUT : SW_E_AUTH);
        }
        assert_int_equal(aead_open(worker, &use, span_of(sealed, len), opened), SW_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_gives_the_published_bytes),
        cmocka_unit_test(ccm_gives_the_published_bytes),
        cmocka_unit_test(every_size_opens_again),
        cmocka_unit_test(sealing_in_place_gives_the_same_bytes),
        cmocka_unit_test(a_record_is_sealed_as_any_message),
        cmocka_unit_test(every_changed_byte_is_noticed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
