/* A client on mbedTLS, which knows connection ids by RFC 9146, for messages that its own
 * ssl_client2 cannot send: those of a device.
 *
 *   dtls_mbed PORT SUITE CID psk IDENTITY KEY
 *   dtls_mbed PORT SUITE CID x509 CERTIFICATE PRIVATE_KEY AUTHORITY
 *
 * Suite, id and PSK are hexadecimal, files PEM; CID is what its records are to be found by, empty
 * for none of that direction, "-" for no such extension. Sends each line of standard input, a
 * message in hexadecimal, and prints what comes back; says goodbye at its end. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    mbedtls_timing_delay_context timer;
    mbedtls_net_context net;
    mbedtls_x509_crt certificate, authority;
    mbedtls_pk_context key;
    int suites[2];
};

static struct client client;

/* Ends the program when a call of mbedTLS has failed. */
static void need(const char *what, int result) {
    if (result != 0) {
        (void)printf("failed %s -0x%04x\n", what, (unsigned)-result);
        exit(1);
    }
}

static size_t from_hex(const char *text, unsigned char *out, size_t cap) {
    size_t len = 0;
    for (unsigned byte; len < cap && sscanf(text + 2 * len, "%2x", &byte) == 1; len++) {
        out[len] = (unsigned char)byte;
    }
    return len;
}

static void take_credentials(char **args) {
    mbedtls_ssl_config *config = &client.config;
    if (strcmp(args[0], "psk") == 0) {
        unsigned char key[MBEDTLS_PSK_MAX_LEN];
        size_t len = from_hex(args[2], key, sizeof key);
        need("psk", mbedtls_ssl_conf_psk(config, key, len, (const unsigned char *)args[1],
                                         strlen(args[1])));
        return;
    }
    need("certificate", mbedtls_x509_crt_parse_file(&client.certificate, args[1]));
    need("key", mbedtls_pk_parse_keyfile(&client.key, args[2], NULL, mbedtls_ctr_drbg_random,
                                         &client.random));
    need("authority", mbedtls_x509_crt_parse_file(&client.authority, args[3]));
    need("own", mbedtls_ssl_conf_own_cert(config, &client.certificate, &client.key));
    mbedtls_ssl_conf_ca_chain(config, &client.authority, NULL);
}

static void set_up(char **args) {
    mbedtls_ssl_config *config = &client.config;
    unsigned char cid[MBEDTLS_SSL_CID_IN_LEN_MAX];
    bool has_cid = strcmp(args[2], "-") != 0;
    size_t cid_len = has_cid ? from_hex(args[2], cid, sizeof cid) : 0;
    mbedtls_entropy_init(&client.entropy);
    mbedtls_ctr_drbg_init(&client.random);
    mbedtls_ssl_config_init(config);
    mbedtls_ssl_init(&client.ssl);
    mbedtls_net_init(&client.net);
    mbedtls_pk_init(&client.key);
    need("random",
         mbedtls_ctr_drbg_seed(&client.random, mbedtls_entropy_func, &client.entropy, NULL, 0));
    need("defaults",
         mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT));
    mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &client.random);
    mbedtls_ssl_conf_read_timeout(config, 100);
    client.suites[0] = (int)strtol(args[1], NULL, 16);
    mbedtls_ssl_conf_ciphersuites(config, client.suites);
    need("cid", mbedtls_ssl_conf_cid(config, cid_len, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE));
    take_credentials(args + 3);
    need("setup", mbedtls_ssl_setup(&client.ssl, config));
    need("name", mbedtls_ssl_set_hostname(&client.ssl, "localhost"));
    need("own cid", mbedtls_ssl_set_cid(
                        &client.ssl, has_cid ? MBEDTLS_SSL_CID_ENABLED : MBEDTLS_SSL_CID_DISABLED,
                        cid, cid_len));
    need("socket", mbedtls_net_connect(&client.net, "127.0.0.1", args[0], MBEDTLS_NET_PROTO_UDP));
    mbedtls_ssl_set_bio(&client.ssl, &client.net, mbedtls_net_send, mbedtls_net_recv,
                        mbedtls_net_recv_timeout);
    mbedtls_ssl_set_timer_cb(&client.ssl, &client.timer, mbedtls_timing_set_delay,
                             mbedtls_timing_get_delay);
}

static void say_established(void) {
    unsigned char cid[MBEDTLS_SSL_CID_OUT_LEN_MAX];
    size_t len = 0;
    int is_used = 0;
    need("peer's cid", mbedtls_ssl_get_peer_cid(&client.ssl, &is_used, cid, &len));
    (void)printf("established %s cid=%zu\n", mbedtls_ssl_get_ciphersuite(&client.ssl),
                 is_used == MBEDTLS_SSL_CID_ENABLED ? len : 0);
}

/* One record, if one comes soon. False: the association is over. */
static bool hear(void) {
    unsigned char bytes[2048];
    int got = mbedtls_ssl_read(&client.ssl, bytes, sizeof bytes);
    if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        (void)printf("closed\n");
        return false;
    }
    if (got < 0 && got != MBEDTLS_ERR_SSL_TIMEOUT && got != MBEDTLS_ERR_SSL_WANT_READ) {
        need("read", got);
    }
    for (int i = 0; i < got; i++) {
        (void)printf(i == 0 ? "received %02x" : "%02x", bytes[i]);
    }
    (void)printf(got > 0 ? "\n" : "");
    return true;
}

/* A line of standard input, if there is one. False: there will be no more. */
static bool speak(void) {
    char line[4096];
    unsigned char bytes[sizeof line / 2];
    struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&wait, 1, 0) <= 0) {
        return true;
    }
    if (fgets(line, sizeof line, stdin) == NULL) {
        return false;
    }
    int sent = mbedtls_ssl_write(&client.ssl, bytes, from_hex(line, bytes, sizeof bytes));
    need("write", sent < 0 ? sent : 0);
    return true;
}

int main(int argc, char **argv) {
    if (argc < 7) {
        (void)fprintf(stderr, "usage: dtls_mbed PORT SUITE CID psk|x509 ...\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* what poll says is true of lines, too */
    set_up(argv + 1);
    int result = mbedtls_ssl_handshake(&client.ssl);
    while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE) {
        result = mbedtls_ssl_handshake(&client.ssl);
    }
    need("handshake", result);
    say_established();
    while (hear() && speak()) {
    }
    (void)mbedtls_ssl_close_notify(&client.ssl);
    return 0;
}
