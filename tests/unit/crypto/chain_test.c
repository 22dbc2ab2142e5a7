/* Everything that can be wrong with a chain of certificates, each refused for its own reason; and
 * what must not be refused. The certificates are made here. */
#include "slipway/crypto/certificate.h"

#include "issue.h"
#include "slipway/crypto/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define NOON ((wall_time){.ms = ISSUE_NOON_S * 1000})

static struct crypto_worker *worker;
static struct issued root;
static struct crypto_trust *trust;
static struct certificate_check as_client = {.now = {.ms = ISSUE_NOON_S * 1000}, .is_client = true};

static struct crypto_trust *trust_in(const struct issued *authority) {
    struct crypto_trust *made = crypto_trust_from_pem(issued_pem(authority));
    assert_non_null(made);
    return made;
}

static int set_up(void **state) {
    (void)state;
    worker = crypto_worker_new();
    issue(&(struct issue){.subject = "root", .extensions = {ISSUE_CA}}, &root);
    trust = trust_in(&root);
    return worker == NULL;
}

static int tear_down(void **state) {
    (void)state;
    crypto_trust_free(trust);
    crypto_worker_free(worker);
    issued_free(&root);
    return 0;
}

static int verify_list(struct crypto_trust *with, struct span list) {
    struct crypto_certified *certified = NULL;
    int status = crypto_trust_verify(with, list, &as_client, &certified);
    assert_true((status == SW_OK) == (certified != NULL));
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for whoever looks next */
    crypto_certified_free(certified);
    return status;
}

/* What a peer that shows these gets. */
static int verify(struct crypto_trust *with, const struct issued *first,
                  const struct issued *second) {
    uint8_t bytes[8192];
    struct writer w = writer_of(bytes, sizeof bytes);
    issued_write(first, &w);
    if (second != NULL) {
        issued_write(second, &w);
    }
    assert_int_equal(writer_status(&w), SW_OK);
    return verify_list(with, writer_span(&w));
}

/* A client right under the root, but for what `wanted` says. */
static int verify_leaf(struct issue wanted) {
    struct issued leaf;
    wanted.subject = "leaf";
    wanted.issuer = wanted.issuer == NULL ? &root : wanted.issuer;
    issue(&wanted, &leaf);
    int status = verify(trust, &leaf, NULL);
    issued_free(&leaf);
    return status;
}

/* A client under something under the root. */
static int verify_under(struct issue between, const char *constraint) {
    struct issued middle, leaf;
    between.subject = "middle";
    between.issuer = &root;
    issue(&between, &middle);
    issue(&(struct issue){.subject = "leaf",
                          .issuer = &middle,
                          .extensions = {ISSUE_CLIENT, constraint}},
          &leaf);
    int status = verify(trust, &leaf, &middle);
    assert_int_equal(verify(trust, &leaf, NULL), SW_E_NOT_FOUND);
    issued_free(&leaf);
    issued_free(&middle);
    return status;
}

static void good_chains_verify(void **state) {
    (void)state;
    assert_int_equal(verify_leaf((struct issue){.extensions = {ISSUE_CLIENT}}), SW_OK);
    assert_int_equal(verify_leaf((struct issue){.key = "P-384", .extensions = {ISSUE_CLIENT}}),
                     SW_OK);
    assert_int_equal(verify_leaf((struct issue){.subject = "bare"}), SW_OK);
    assert_int_equal(verify_leaf((struct issue){.digest = "SHA512"}), SW_OK);
    static const char *const kinds[] = {"P-256", "P-384", "P-521", "RSA", "ED25519"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_int_equal(
            verify_under((struct issue){.key = kinds[i], .extensions = {ISSUE_CA}}, NULL), SW_OK);
    }
    static const char permitted[] = "nameConstraints=permitted;DNS:devices.example";
    assert_int_equal(verify_under((struct issue){.extensions = {ISSUE_CA, permitted}},
                                  "subjectAltName=DNS:a.devices.example"),
                     SW_OK);
}

/* Authorities may have any key that libcrypto can verify with. */
static void authorities_of_each_kind_are_trusted(void **state) {
    (void)state;
    static const char *const kinds[] = {"P-384", "P-521", "RSA", "ED25519"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct issued authority, leaf;
        issue(&(struct issue){.subject = "other", .key = kinds[i], .extensions = {ISSUE_CA}},
              &authority);
        issue(&(struct issue){.subject = "leaf", .issuer = &authority}, &leaf);
        struct crypto_trust *other = trust_in(&authority);
        assert_int_equal(verify(other, &leaf, NULL), SW_OK);
        assert_int_equal(verify(trust, &leaf, NULL), SW_E_NOT_FOUND);
        assert_int_equal(verify(trust, &leaf, &authority), SW_E_NOT_FOUND);
        crypto_trust_free(other);
        issued_free(&leaf);
        issued_free(&authority);
    }
}

static void signatures_that_do_not_hold_are_refused(void **state) {
    (void)state;
    struct issued leaf, mimic, under_mimic;
    issue(&(struct issue){.subject = "leaf", .issuer = &root, .extensions = {ISSUE_CLIENT}}, &leaf);
    uint8_t bytes[4096], changed[4096];
    struct writer w = writer_of(bytes, sizeof bytes);
    issued_write(&leaf, &w);
    assert_int_equal(verify_list(trust, writer_span(&w)), SW_OK);
    /* The last bytes are the signature's. */
    for (size_t i = 1; i <= 32; i++) {
        memcpy(changed, bytes, w.at);
        changed[w.at - i] ^= 0x10;
        assert_int_equal(verify_list(trust, span_of(changed, w.at)), SW_E_AUTH);
    }
    /* Somebody else with the authority's name. */
    issue(&(struct issue){.subject = "root", .extensions = {ISSUE_CA}}, &mimic);
    issue(&(struct issue){.subject = "leaf", .issuer = &mimic}, &under_mimic);
    int status = verify(trust, &under_mimic, NULL);
    assert_true(status == SW_E_AUTH || status == SW_E_NOT_FOUND);
    issue_sign(&leaf, &mimic, NULL); /* all the rest as the authority would have it */
    assert_int_equal(verify(trust, &leaf, NULL), SW_E_AUTH);
    assert_int_equal(verify(trust, &leaf, &mimic), SW_E_AUTH);
    issued_free(&mimic);
    issued_free(&under_mimic);
    issued_free(&leaf);
}

/* RFC 5280 section 4.1.1.2: the algorithm inside must be that outside. */
static void signature_algorithms_must_agree(void **state) {
    (void)state;
    static const uint8_t sha256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    struct issued leaf;
    issue(&(struct issue){.subject = "leaf", .issuer = &root}, &leaf);
    uint8_t bytes[4096];
    struct writer w = writer_of(bytes, sizeof bytes);
    issued_write(&leaf, &w);
    size_t last = w.at - sizeof sha256;
    while (memcmp(bytes + last, sha256, sizeof sha256) != 0) {
        assert_true(last-- > 0);
    }
    bytes[last + sizeof sha256 - 1] = 0x03; /* ecdsa-with-SHA384 */
    assert_int_equal(verify_list(trust, writer_span(&w)), SW_E_AUTH);
    issued_free(&leaf);
    assert_int_equal(verify_leaf((struct issue){.digest = "SHA1"}), SW_E_AUTH);
    assert_int_equal(verify_under((struct issue){.digest = "SHA1", .extensions = {ISSUE_CA}}, NULL),
                     SW_E_AUTH);
}

static void validity_is_held_at_each_level(void **state) {
    (void)state;
    struct issue past = {.from_s = ISSUE_NOON_S - 2 * ISSUE_YEAR_S, .until_s = ISSUE_NOON_S - 1};
    struct issue future = {.from_s = ISSUE_NOON_S + 1};
    struct issue brief = {.from_s = ISSUE_NOON_S - 1, .until_s = ISSUE_NOON_S + 1};
    assert_int_equal(verify_leaf(past), SW_E_RANGE);
    assert_int_equal(verify_leaf(future), SW_E_RANGE);
    assert_int_equal(verify_leaf(brief), SW_OK);
    past.extensions[0] = future.extensions[0] = brief.extensions[0] =
        "basicConstraints=critical,CA:TRUE";
    assert_int_equal(verify_under(past, NULL), SW_E_RANGE);
    assert_int_equal(verify_under(future, NULL), SW_E_RANGE);
    assert_int_equal(verify_under(brief, NULL), SW_OK);
    struct issued authority, leaf;
    past.subject = "past";
    issue(&past, &authority);
    issue(&(struct issue){.subject = "leaf", .issuer = &authority}, &leaf);
    struct crypto_trust *old = trust_in(&authority);
    assert_int_equal(verify(old, &leaf, NULL), SW_E_RANGE);
    crypto_trust_free(old);
    issued_free(&leaf);
    issued_free(&authority);
}

static void who_may_not_certify_is_no_authority(void **state) {
    (void)state;
    assert_int_equal(verify_under((struct issue){.extensions = {ISSUE_CLIENT}}, NULL), SW_E_AUTH);
    assert_int_equal(verify_under((struct issue){.extensions = {NULL}}, NULL), SW_E_AUTH);
    assert_int_equal(verify_under((struct issue){.extensions = {"basicConstraints=critical,CA:TRUE",
                                                                "keyUsage=digitalSignature"}},
                                  NULL),
                     SW_E_AUTH);
    static const char permitted[] = "nameConstraints=permitted;DNS:devices.example";
    assert_int_equal(verify_under((struct issue){.extensions = {ISSUE_CA, permitted}},
                                  "subjectAltName=DNS:devices.elsewhere"),
                     SW_E_AUTH);
    /* Path length: a root that may only certify peers. */
    struct issued short_root, middle, leaf;
    issue(&(struct issue){.subject = "short",
                          .extensions = {"basicConstraints=critical,CA:TRUE,pathlen:0"}},
          &short_root);
    issue(&(struct issue){.subject = "middle",
                          .issuer = &short_root,
                          .extensions = {"basicConstraints=critical,CA:TRUE"}},
          &middle);
    issue(&(struct issue){.subject = "leaf", .issuer = &middle}, &leaf);
    struct crypto_trust *other = trust_in(&short_root);
    assert_int_equal(verify(other, &leaf, &middle), SW_E_AUTH);
    assert_int_equal(verify(other, &middle, NULL), SW_OK);
    crypto_trust_free(other);
    issued_free(&leaf);
    issued_free(&middle);
    issued_free(&short_root);
}

static void purposes_and_extensions_are_held(void **state) {
    (void)state;
    assert_int_equal(verify_leaf((struct issue){.extensions = {"extendedKeyUsage=serverAuth"}}),
                     SW_E_DENIED);
    assert_int_equal(verify_leaf((struct issue){.extensions = {"extendedKeyUsage=1.2.3.4"}}),
                     SW_E_DENIED);
    assert_int_equal(verify_leaf((struct issue){.extensions = {"keyUsage=keyEncipherment"}}),
                     SW_E_DENIED);
    assert_int_equal(verify_leaf((struct issue){.extensions = {"1.2.3.4=critical,DER:0500"}}),
                     SW_E_AUTH);
    assert_int_equal(verify_leaf((struct issue){.extensions = {"1.2.3.4=DER:0500"}}), SW_OK);
    /* libcrypto looks for no issuer of what it cannot read. */
    assert_int_equal(verify_leaf((struct issue){.extensions = {"subjectAltName=DER:0500"}}),
                     SW_E_NOT_FOUND);
    assert_int_equal(verify_leaf((struct issue){.extensions = {"basicConstraints=DER:0500"}}),
                     SW_E_NOT_FOUND);
}

static void keys_of_other_kinds_are_refused(void **state) {
    (void)state;
    static const char *const kinds[] = {"P-521", "secp256k1", "P-224", "RSA", "ED25519"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_int_equal(verify_leaf((struct issue){.key = kinds[i]}), SW_E_DENIED);
    }
    assert_int_equal(verify_leaf((struct issue){.is_explicit = true}), SW_E_DENIED);
    assert_int_equal(verify_leaf((struct issue){.key = "P-384", .is_explicit = true}), SW_E_DENIED);
    assert_int_equal(verify_leaf((struct issue){.is_compressed = true}), SW_E_DENIED);
    assert_int_equal(verify_leaf((struct issue){.key = "P-384", .is_compressed = true}),
                     SW_E_DENIED);
}

/* Its authority has signed it, but nobody can have the private key. */
static void a_point_off_the_curve_proves_nothing(void **state) {
    (void)state;
    static const struct {
        const char *curve;
        size_t len;
        int status;
    } cases[] = {{"P-256", 65, SW_OK}, {"P-384", 97, SW_E_DENIED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct issued leaf;
        issue(&(struct issue){.subject = "leaf", .key = cases[i].curve, .issuer = &root}, &leaf);
        ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(leaf.certificate);
        assert_int_equal(bits->length, cases[i].len);
        bits->data[bits->length - 1] ^= 1;
        issue_sign(&leaf, &root, NULL);
        uint8_t bytes[4096];
        struct writer w = writer_of(bytes, sizeof bytes);
        struct crypto_certified *certified;
        issued_write(&leaf, &w);
        assert_int_equal(crypto_trust_verify(trust, writer_span(&w), &as_client, &certified),
                         cases[i].status);
        if (cases[i].status == SW_OK) {
            struct sha256 digest = {{1}};
            assert_int_equal(
                crypto_certified_check(certified, worker, &digest, span_text("signature")),
                SW_E_INPUT);
            crypto_certified_free(certified);
        }
        assert_int_equal(ERR_peek_error(), 0);
        issued_free(&leaf);
    }
}

/* A signature with the leaf's own key is never what a chain rests on. */
static void who_vouches_for_itself_is_unknown(void **state) {
    (void)state;
    struct issued own, authority, under;
    issue(&(struct issue){.subject = "own", .extensions = {ISSUE_CLIENT}}, &own);
    assert_int_equal(verify(trust, &own, NULL), SW_E_NOT_FOUND);
    assert_int_equal(verify(trust, &own, &own), SW_E_NOT_FOUND);
    issue(&(struct issue){.subject = "own", .extensions = {ISSUE_CA}}, &authority);
    assert_int_equal(verify(trust, &authority, NULL), SW_E_NOT_FOUND);
    assert_int_equal(verify(trust, &authority, &authority), SW_E_NOT_FOUND);
    issue(&(struct issue){.subject = "own", .issuer = &authority}, &under);
    assert_int_equal(verify(trust, &under, &authority), SW_E_NOT_FOUND);
    assert_int_equal(verify(trust, &under, &under), SW_E_NOT_FOUND);
    /* Unless it is itself what is trusted. */
    struct crypto_trust *in_own = trust_in(&own);
    assert_int_equal(verify(in_own, &own, NULL), SW_OK);
    assert_int_not_equal(verify(in_own, &authority, NULL), SW_OK);
    assert_int_not_equal(verify(in_own, &under, NULL), SW_OK);
    crypto_trust_free(in_own);
    issued_free(&under);
    issued_free(&authority);
    issued_free(&own);
}

static void what_is_no_certificate_is_malformed(void **state) {
    (void)state;
    struct issued leaf;
    uint8_t bytes[4096];
    struct writer w = writer_of(bytes, sizeof bytes);
    issue(&(struct issue){.subject = "leaf", .issuer = &root}, &leaf);
    issued_write(&leaf, &w);
    size_t len = w.at;
    /* A byte behind the certificate, counted in by its length. */
    writer_u8(&w, 0);
    size_t inner = len - 3 + 1;
    bytes[1] = (uint8_t)(inner >> 8);
    bytes[2] = (uint8_t)inner;
    assert_int_equal(verify_list(trust, span_of(bytes, len + 1)), SW_E_INPUT);
    /* The same for what stands between. */
    uint8_t both[8192];
    w = writer_of(both, sizeof both);
    issued_write(&leaf, &w);
    writer_bytes(&w, span_of(bytes, len + 1));
    assert_int_equal(verify_list(trust, writer_span(&w)), SW_E_INPUT);
    /* A certificate of no length, or nothing but one. */
    assert_int_equal(verify_list(trust, span_of("\0\0\0", 3)), SW_E_INPUT);
    w = writer_of(both, sizeof both);
    issued_write(&leaf, &w);
    writer_u24(&w, 0);
    assert_int_equal(verify_list(trust, writer_span(&w)), SW_E_INPUT);
    issued_free(&leaf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_chains_verify),
        cmocka_unit_test(authorities_of_each_kind_are_trusted),
        cmocka_unit_test(signatures_that_do_not_hold_are_refused),
        cmocka_unit_test(signature_algorithms_must_agree),
        cmocka_unit_test(validity_is_held_at_each_level),
        cmocka_unit_test(who_may_not_certify_is_no_authority),
        cmocka_unit_test(purposes_and_extensions_are_held),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(a_point_off_the_curve_proves_nothing),
        cmocka_unit_test(who_vouches_for_itself_is_unknown),
        cmocka_unit_test(what_is_no_certificate_is_malformed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
