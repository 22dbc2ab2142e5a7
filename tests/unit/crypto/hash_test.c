#include "slipway/crypto/hash.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect_hash(const struct sha256 *got, const char *hex) {
    uint8_t want[SHA256_BYTES];
    assert_int_equal(hex_decode(hex, strlen(hex), want, sizeof want), SW_OK);
    assert_memory_equal(got->b, want, sizeof want);
}

/* FIPS 180-4 examples. */
static void sha256_gives_the_published_digests(void **state) {
    (void)state;
    struct sha256 got;
    sha256_of(span_text("abc"), &got);
    expect_hash(&got, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_of(span_of(NULL, 0), &got);
    expect_hash(&got, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_state_is_a_value_that_can_be_forked(void **state) {
    (void)state;
    struct sha256_state trunk;
    sha256_init(&trunk);
    sha256_update(&trunk, span_text("ab"));
    struct sha256_state fork = trunk;
    struct sha256 a, b;
    sha256_update(&trunk, span_text("c"));
    sha256_final(&trunk, &a);
    expect_hash(&a, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_update(&fork, span_text("c"));
    sha256_final(&fork, &b);
    assert_memory_equal(a.b, b.b, sizeof a.b);
}

/* RFC 4231, test cases 1, 2 and 6 (the key longer than a block). */
static void hmac_gives_the_published_digests(void **state) {
    (void)state;
    struct sha256 got;
    uint8_t key[131];
    memset(key, 0x0b, 20);
    hmac_sha256(span_of(key, 20), span_text("Hi There"), &got);
    expect_hash(&got, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(span_text("Jefe"), span_text("what do ya want for nothing?"), &got);
    expect_hash(&got, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    hmac_sha256(span_of(key, sizeof key),
                span_text("Test Using Larger Than Block-Size Key - Hash Key First"), &got);
    expect_hash(&got, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* The widely used P_SHA256 vector of the IETF TLS list (100 bytes, label "test label"). */
static void prf_gives_the_published_bytes(void **state) {
    (void)state;
    static const char want_hex[] =
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e"
        "14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5"
        "a72e5a5110fff70187347b66";
    uint8_t secret[16], seed[16], want[100], got[100];
    assert_int_equal(hex_decode("9bbe436ba940f017b17652849a71db35", 32, secret, 16), SW_OK);
    assert_int_equal(hex_decode("a0ba9f936cda311827a6f796ffd5198c", 32, seed, 16), SW_OK);
    assert_int_equal(hex_decode(want_hex, 200, want, 100), SW_OK);
    struct hmac_key key;
    hmac_key_init(&key, span_of(secret, 16));
    prf_sha256(&key, "test label", span_of(seed, 16), span_of(NULL, 0), got, sizeof got);
    assert_memory_equal(got, want, sizeof want);
    for (size_t cut = 0; cut <= 16; cut++) {
        for (size_t len = 0; len <= sizeof got; len++) {
            memset(got, 0, sizeof got);
            prf_sha256(&key, "test label", span_of(seed, cut), span_of(seed + cut, 16 - cut), got,
                       len);
            assert_memory_equal(got, want, len);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(a_state_is_a_value_that_can_be_forked),
        cmocka_unit_test(hmac_gives_the_published_digests),
        cmocka_unit_test(prf_gives_the_published_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
