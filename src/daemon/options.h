/* The command line of slipwayd. */
#ifndef SLIPWAY_DAEMON_OPTIONS_H
#define SLIPWAY_DAEMON_OPTIONS_H

#include "config.h"

enum task {
    TASK_SERVE,
    TASK_KEY,   /* print the server's public key */
    TASK_TOKEN, /* print the administrator's token */
    TASK_TOKEN_CREATE,
    TASK_BACKUP,
    TASK_USER_ADD,
    TASK_USER_PASSWORD,
    TASK_USER_REMOVE,
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
    const char *to;          /* TASK_BACKUP: the folder to make */
};

#define OPTIONS_USAGE                                                                              \
    "usage: slipwayd --data DIR [--http HOST:PORT] [--dtls HOST:PORT] [--config FILE]\n"           \
    "       slipwayd COMMAND --data DIR [OPTIONS]\n"                                               \
    "\n"                                                                                           \
    "Serves REST clients at --http and devices at --dtls (UDP), and keeps everything in\n"         \
    "DIR. SIGTERM ends it, SIGHUP makes it read FILE again.\n"                                     \
    "\n"                                                                                           \
    "commands:\n"                                                                                  \
    "  token                   prints the administrator's token\n"                                 \
    "  token create NAME       makes one for a person, for 90 days\n"                              \
    "      --expires-in SECONDS    or for so long; 0 = for ever\n"                                 \
    "  user add NAME           makes a person; asks for the password\n"                            \
    "  user password NAME      sets the password, which ends the person's tokens\n"                \
    "      --password-file FILE    has the password instead\n"                                     \
    "  user remove NAME        ends the person and their tokens\n"                                 \
    "  key                     prints the public key by which devices know the server, as PEM\n"   \
    "      --spki                  as DER in hexadecimal\n"                                        \
    "      --dct HOST              as the 320 bytes of a device's server record\n"                 \
    "  backup --to FOLDER      copies the data to a new folder, which can be used as DIR\n"        \
    "\n"                                                                                           \
    "without a folder:\n"                                                                          \
    "  --example-config        settings with their defaults and what they mean\n"                  \
    "  --dump-config           settings as they are after reading --config FILE, checked\n"        \
    "  --version, --help\n"                                                                        \
    "\n"                                                                                           \
    "environment:\n"                                                                               \
    "  SLIPWAY_ADMIN_TOKEN     the administrator's token: 40 hexadecimal digits\n"                 \
    "  SLIPWAY_ADMIN_PASSWORD  and password; another one ends the other tokens\n"

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
