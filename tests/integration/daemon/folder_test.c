#include "daemon/daemon.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_mode(const struct folder *folder, const char *name, mode_t mode) {
    char path[FOLDER_PATH_MAX];
    struct stat about;
    assert_int_equal(folder_file(folder, name, path, NULL), SW_OK);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, mode);
    assert_int_equal(unlink(path), 0);
}

static void secrets_are_made_once_and_kept_private(void **state) {
    (void)state;
    char sub[SCRATCH_PATH_MAX];
    struct folder folder, second;
    struct fault fault = {0};
    struct crypto_key *key, *again;
    uint8_t sealing[SEAL_KEY_BYTES], sealing_again[SEAL_KEY_BYTES];
    char token[TOKEN_DIGITS + 1], token_again[TOKEN_DIGITS + 1];
    (void)scratch_path(sub, "data");

    assert_int_equal(folder_open(&folder, sub, &fault), SW_OK);
    assert_int_equal(folder_open(&second, sub, &fault), SW_E_BUSY);
    assert_true(strlen(fault.text) > 0);

    assert_int_equal(folder_server_key(&folder, &key, &fault), SW_OK);
    assert_int_equal(folder_server_key(&folder, &again, &fault), SW_OK);
    assert_memory_equal(crypto_key_point(key)->b, crypto_key_point(again)->b, P256_POINT_BYTES);
    assert_int_equal(folder_session_key(&folder, sealing, &fault), SW_OK);
    assert_int_equal(folder_session_key(&folder, sealing_again, &fault), SW_OK);
    assert_memory_equal(sealing, sealing_again, sizeof sealing);
    assert_int_equal(folder_secret(&folder, "admin_token", token, &fault), SW_OK);
    assert_int_equal(folder_secret(&folder, "admin_token", token_again, &fault), SW_OK);
    assert_string_equal(token, token_again);
    assert_int_equal(strlen(token), TOKEN_DIGITS);

    char file[FOLDER_PATH_MAX], text[512];
    struct p256_point point;
    assert_int_equal(folder_file(&folder, "server_key.pub.pem", file, &fault), SW_OK);
    FILE *pem = fopen(file, "re");
    assert_non_null(pem);
    size_t len = fread(text, 1, sizeof text, pem);
    fclose(pem);
    assert_int_equal(p256_point_from_pem(span_of(text, len), &point), SW_OK);
    assert_memory_equal(point.b, crypto_key_point(key)->b, P256_POINT_BYTES);

    assert_mode(&folder, "server_key.pem", 0600);
    assert_mode(&folder, "session_key", 0600);
    assert_mode(&folder, "admin_token", 0600);
    assert_mode(&folder, "server_key.pub.pem", 0644);
    assert_mode(&folder, "server_key.pub.der", 0644);
    crypto_key_free(key);
    crypto_key_free(again);
    folder_close(&folder);
    assert_int_equal(folder_open(&second, sub, &fault), SW_OK);
    folder_close(&second);
}

/* A copy of a folder has the same keys and the same sessions: only one of the two may go on with
 * them. */
static void a_copy_of_the_folder_does_not_unseal_its_sessions(void **state) {
    (void)state;
    static const char *const names[] = {"original", "copy"};
    uint8_t sealing[2][SEAL_KEY_BYTES], place[2][SEAL_KEY_BYTES], again[SEAL_KEY_BYTES];
    struct fault fault = {0};
    for (size_t n = 0; n < 2; n++) {
        char sub[SCRATCH_PATH_MAX], file[FOLDER_PATH_MAX];
        struct folder folder;
        assert_int_equal(folder_open(&folder, scratch_path(sub, names[n]), &fault), SW_OK);
        if (n == 1) {
            assert_int_equal(folder_file(&folder, "session_key", file, &fault), SW_OK);
            FILE *out = fopen(file, "we");
            assert_non_null(out);
            assert_int_equal(fwrite(sealing[0], 1, SEAL_KEY_BYTES, out), SEAL_KEY_BYTES);
            fclose(out);
        }
        assert_int_equal(folder_session_key(&folder, sealing[n], &fault), SW_OK);
        assert_int_equal(folder_place_key(&folder, sealing[n], place[n], &fault), SW_OK);
        assert_int_equal(folder_place_key(&folder, sealing[n], again, &fault), SW_OK);
        assert_memory_equal(place[n], again, SEAL_KEY_BYTES);
        folder_close(&folder);
    }
    assert_memory_equal(sealing[0], sealing[1], SEAL_KEY_BYTES);
    assert_memory_not_equal(place[0], place[1], SEAL_KEY_BYTES);
    assert_memory_not_equal(place[0], sealing[0], SEAL_KEY_BYTES);
}

static void a_broken_secret_is_not_replaced(void **state) {
    (void)state;
    char file[FOLDER_PATH_MAX];
    struct folder folder;
    struct fault fault = {0};
    struct crypto_key *key;
    uint8_t sealing[SEAL_KEY_BYTES];
    char token[TOKEN_DIGITS + 1];
    static const char *const names[] = {"server_key.pem", "session_key", "admin_token"};
    assert_int_equal(folder_open(&folder, scratch_folder, &fault), SW_OK);
    for (size_t n = 0; n < 3; n++) {
        assert_int_equal(folder_file(&folder, names[n], file, &fault), SW_OK);
        FILE *out = fopen(file, "we");
        assert_non_null(out);
        fputs("not what it should be", out);
        fclose(out);
    }
    assert_int_equal(folder_server_key(&folder, &key, &fault), SW_E_INPUT);
    assert_int_equal(folder_session_key(&folder, sealing, &fault), SW_E_INPUT);
    assert_int_equal(folder_secret(&folder, "admin_token", token, &fault), SW_E_INPUT);
    folder_close(&folder);
}

static void the_life_of_the_daemon_is_a_sound_machine(void **state) {
    (void)state;
    assert_null(fsm_audit(&life_fsm, UINT32_MAX));
}

int main(void) {
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(secrets_are_made_once_and_kept_private),
        IN_FOLDER(a_copy_of_the_folder_does_not_unseal_its_sessions),
        IN_FOLDER(a_broken_secret_is_not_replaced),
        cmocka_unit_test(the_life_of_the_daemon_is_a_sound_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
