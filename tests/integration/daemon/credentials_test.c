/* The PEM files of the DTLS door: what is wrong with them is told by the setting's name. */
#include "daemon/credentials.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PKI SOURCE_ROOT "/tests/data/dtls/pki/"

static struct crypto_key *server_key;

static int set_up(void **state) {
    (void)state;
    server_key = crypto_key_generate();
    return server_key == NULL;
}

static int tear_down(void **state) {
    (void)state;
    crypto_key_free(server_key);
    return 0;
}

static int open_with(const char *chain, const char *key, const char *authority,
                     const struct crypto_key *own, struct fault *fault) {
    struct config config;
    struct credentials credentials = {.chain = NULL};
    config_init(&config);
    (void)snprintf(config.dtls_certificate, sizeof config.dtls_certificate, "%s", chain);
    (void)snprintf(config.dtls_certificate_key, sizeof config.dtls_certificate_key, "%s", key);
    (void)snprintf(config.dtls_client_ca, sizeof config.dtls_client_ca, "%s", authority);
    *fault = (struct fault){0};
    int status = credentials_open(&credentials, &config, own, fault);
    credentials_close(&credentials);
    assert_null(credentials.trust);
    return status;
}

static void each_file_alone_and_all_together(void **state) {
    (void)state;
    struct fault fault;
    assert_int_equal(open_with("", "", "", server_key, &fault), SW_OK);
    assert_int_equal(open_with("", "", PKI "authority.pem", server_key, &fault), SW_OK);
    assert_int_equal(open_with(PKI "server.pem", PKI "server.key.pem", "", server_key, &fault),
                     SW_OK);
    assert_int_equal(
        open_with(PKI "server.pem", PKI "server.key.pem", PKI "authority.pem", server_key, &fault),
        SW_OK);
    /* The certificate may be for the key that the server has anyway. */
    char *pem = NULL;
    assert_int_equal(pem_read(PKI "server.key.pem", &pem, &fault), SW_OK);
    struct crypto_key *own = crypto_key_from_pem(span_text(pem));
    pem_free(pem);
    assert_int_equal(open_with(PKI "server.pem", "", "", own, &fault), SW_OK);
    crypto_key_free(own);
}

static void what_is_wrong_is_told(void **state) {
    (void)state;
    static const struct {
        const char *chain, *key, *authority, *told;
    } cases[] = {
        {"", PKI "server.key.pem", "", "dtls.certificate is not"},
        {PKI "server.pem", "", "", "not of the server key"},
        {PKI "server.pem", PKI "client.key.pem", "", "not of dtls.certificate_key"},
        {PKI "server.pem", PKI "client384.key.pem", "", "dtls.certificate_key: not a P-256 key"},
        {PKI "server.pem", PKI "server.pem", "", "dtls.certificate_key: not a P-256 key"},
        {PKI "server.key.pem", PKI "server.key.pem", "", "dtls.certificate: not certificates"},
        {PKI "nowhere.pem", PKI "server.key.pem", "", "nowhere.pem cannot be read"},
        {"", "", PKI "make", "dtls.client_ca: not certificates"},
        {"", "", PKI "nowhere.pem", "nowhere.pem cannot be read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault;
        assert_int_not_equal(
            open_with(cases[i].chain, cases[i].key, cases[i].authority, server_key, &fault), SW_OK);
        if (strstr(fault.text, cases[i].told) == NULL) {
            fail_msg("%zu: \"%s\" says nothing of \"%s\"", i, fault.text, cases[i].told);
        }
    }
}

static void a_chain_that_no_flight_can_hold_is_refused(void **state) {
    (void)state;
    char path[SCRATCH_PATH_MAX];
    struct fault fault;
    char *pem = NULL;
    FILE *file = fopen(scratch_path(path, "chain.pem"), "we");
    assert_non_null(file);
    assert_int_equal(pem_read(PKI "server.pem", &pem, &fault), SW_OK);
    for (unsigned n = 0; n < 5; n++) {
        assert_true(fputs(pem, file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    pem_free(pem);
    assert_int_equal(open_with(path, PKI "server.key.pem", "", server_key, &fault), SW_E_FULL);
    assert_non_null(strstr(fault.text, "more than 2048 bytes"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_alone_and_all_together),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test_setup_teardown(a_chain_that_no_flight_can_hold_is_refused, scratch_make,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
