/* A client on wolfSSL, for a suite that no program of the others speaks: ECDHE_PSK with
 * AES-128-GCM. dtls_wolf PORT IDENTITY PSK CIPHER MESSAGE    (key and message in hexadecimal) Sends
 * the message and prints what comes back, in hexadecimal; says goodbye when standard input ends. */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *identity;
static unsigned char key[64];
static unsigned key_len;

static unsigned from_hex(const char *text, unsigned char *out, unsigned cap) {
    unsigned len = 0;
    for (; len < cap && text[0] != '\0' && text[1] != '\0'; text += 2) {
        const char digits[3] = {text[0], text[1], '\0'};
        out[len++] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return len;
}

static unsigned give_psk(WOLFSSL *ssl, const char *hint, char *name, unsigned name_cap,
                         unsigned char *out, unsigned cap) {
    (void)ssl;
    (void)hint;
    (void)snprintf(name, name_cap, "%s", identity);
    if (key_len > cap) {
        return 0;
    }
    memcpy(out, key, key_len);
    return key_len;
}

static int fail(const char *what, WOLFSSL *ssl, int result) {
    char text[WOLFSSL_MAX_ERROR_SZ] = "";
    if (ssl != NULL) {
        wolfSSL_ERR_error_string((unsigned long)wolfSSL_get_error(ssl, result), text);
    }
    printf("failed %s %s\n", what, text);
    return 1;
}

static int talk(WOLFSSL *ssl, const char *message) {
    unsigned char bytes[1024];
    unsigned len = from_hex(message, bytes, sizeof bytes);
    int result = wolfSSL_connect(ssl);
    if (result != WOLFSSL_SUCCESS) {
        return fail("handshake", ssl, result);
    }
    printf("established %s\n", wolfSSL_get_cipher(ssl));
    result = wolfSSL_write(ssl, bytes, (int)len);
    if (result <= 0) {
        return fail("write", ssl, result);
    }
    int got = wolfSSL_read(ssl, bytes, sizeof bytes);
    if (got <= 0) {
        return fail("read", ssl, got);
    }
    printf("received ");
    for (int i = 0; i < got; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
    (void)fflush(stdout);
    while (getchar() != EOF) {
    }
    (void)wolfSSL_shutdown(ssl);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        return fail("usage", NULL, 0);
    }
    identity = argv[2];
    key_len = from_hex(argv[3], key, sizeof key);
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
    WOLFSSL *ssl = NULL;
    if (fd < 0 || ctx == NULL || connect(fd, (struct sockaddr *)&server, sizeof server) != 0) {
        return fail("socket", NULL, 0);
    }
    wolfSSL_CTX_set_psk_client_callback(ctx, give_psk);
    if (wolfSSL_CTX_set_cipher_list(ctx, argv[4]) != WOLFSSL_SUCCESS ||
        (ssl = wolfSSL_new(ctx)) == NULL ||
        wolfSSL_dtls_set_peer(ssl, &server, sizeof server) != WOLFSSL_SUCCESS ||
        wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS) {
        return fail("setup", NULL, 0);
    }
    int status = talk(ssl, argv[5]);
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(ctx);
    close(fd);
    return status;
}
