/* The command line of slipwayd. */
#ifndef SLIPWAY_DAEMON_OPTIONS_H
#define SLIPWAY_DAEMON_OPTIONS_H

#include "config.h"

enum task {
    TASK_SERVE,
    TASK_KEY,   /* print the server's public key */
    TASK_TOKEN, /* print the administrator's token */
    TASK_TOKEN_CREATE,
    TASK_USER_ADD,
    TASK_USER_PASSWORD,
    TASK_DUMP,
    TASK_EXAMPLE,
    TASK_VERSION,
    TASK_HELP
};

struct options {
    enum task task;
    const char *data;        /* folder */
    const char *file;        /* NULL = no settings file */
    const char *http, *dtls; /* NULL = as the settings say */
    const char *name;        /* of a user */
    const char *password;    /* file with it; NULL = asked for, or standard input's first line */
    int64_t lifetime_s;      /* TASK_TOKEN_CREATE; 0 = never ends */
    const char *dct;         /* TASK_KEY: host for the device's configuration block */
    bool spki;               /* TASK_KEY: hexadecimal instead of PEM */
};

#define OPTIONS_USAGE                                                                              \
    "usage: slipwayd --data DIR [--http HOST:PORT] [--dtls HOST:PORT] [--config FILE]\n"           \
    "       slipwayd key --data DIR [--spki | --dct HOST]   public key: PEM, DER in "              \
    "hexadecimal,\n"                                                                               \
    "                                 or the 320 bytes for a device's configuration on stdout\n"   \
    "       slipwayd token --data DIR   the administrator's token\n"                               \
    "       slipwayd token create NAME --data DIR [--expires-in SECONDS]   0 = never; else 90 "    \
    "days\n"                                                                                       \
    "       slipwayd user add NAME --data DIR [--password-file FILE]\n"                            \
    "       slipwayd user password NAME --data DIR [--password-file FILE]   ends its tokens\n"     \
    "       slipwayd --dump-config [--config FILE] | --example-config | --version | --help\n"      \
    "SLIPWAY_ADMIN_TOKEN (40 hexadecimal digits) sets the administrator's token, and\n"            \
    "SLIPWAY_ADMIN_PASSWORD its password, which ends its other tokens when it changes.\n"

int options_read(int argc, char **argv, struct options *out, struct fault *fault) SW_NODISCARD;
/* Defaults, then the file, then the command line. */
int options_config(const struct options *options, struct config *out,
                   struct fault *fault) SW_NODISCARD;

#define HOST_MAX 64
/* "127.0.0.1:80", "[::1]:80" or "name:80" to a numeric address and a port. */
int host_port_parse(const char *text, char host[HOST_MAX], uint16_t *port,
                    struct fault *fault) SW_NODISCARD;
/* The other way; out holds HOST_MAX + 8. */
void host_port_text(const char *host, uint16_t port, char out[HOST_MAX + 8]);

#endif
