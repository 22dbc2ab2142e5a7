/* The running daemon: what is open, in the order in which it was opened. */
#ifndef SLIPWAY_DAEMON_DAEMON_H
#define SLIPWAY_DAEMON_DAEMON_H

#include "credentials.h"
#include "folder.h"
#include "options.h"

#include "slipway/gateway/loop.h"
#include "slipway/hook/hook.h"
#include "slipway/http/server.h"
#include "slipway/util/fsm.h"

enum life { LIFE_STARTING, LIFE_SERVING, LIFE_DRAINING, LIFE_CLOSING, LIFE_CLOSED, LIFE_STATES };
extern const struct fsm life_fsm;

struct daemon {
    uint8_t life; /* enum life; only life_move writes it */
    struct options options;
    struct config config;
    struct folder folder;
    struct crypto_key *key;
    uint8_t session_key[SEAL_KEY_BYTES]; /* of the folder */
    uint8_t place_key[SEAL_KEY_BYTES];   /* and of this very one */
    struct credentials credentials;
    struct app *app;
    _Atomic(struct loop *)
        loop; /* NULL until it is open, as is the next: the writer thread looks */
    _Atomic(struct http_server *) http;
    _Atomic(struct hook_sender *) hooks;
    char http_host[HOST_MAX], dtls_host[HOST_MAX];
    uint16_t http_port, dtls_port;
};

/* What can be said of settings before anything is opened: addresses, and the files in PEM. */
int daemon_check(const struct config *config, struct fault *fault) SW_NODISCARD;
/* Everything up to the open doors. On error what was opened stays for daemon_close. */
int daemon_open(struct daemon *daemon, struct fault *fault) SW_NODISCARD;
/* Settings that may change while it runs. The old ones stay on error. */
int daemon_reload(struct daemon *daemon, struct fault *fault) SW_NODISCARD;
/* No new work; what is under way ends, sessions are saved. False: not all in time. */
bool daemon_drain(struct daemon *daemon);
void daemon_close(struct daemon *daemon);

#endif
