/* The one-shot commands of slipwayd. Each returns the program's exit code. */
#ifndef SLIPWAY_DAEMON_TASKS_H
#define SLIPWAY_DAEMON_TASKS_H

#include "folder.h"
#include "options.h"

int task_key(const struct options *options);
int task_token(const struct options *options);
/* A new folder with the state of this moment, without sessions; a daemon may serve meanwhile. */
int task_backup(const struct options *options);
/* TASK_USER_ADD, TASK_USER_PASSWORD, TASK_USER_REMOVE, TASK_TOKEN_CREATE. Beside a running daemon
 * they write through the database's own locks and are in force at once; without one they hold the
 * folder's lock, and make what is missing. */
int task_account(const struct options *options);

/* What devices keep of the server in one piece of their configuration: its public key padded with
 * FF to 192 bytes, then address type, length, the address, and at 258 the port. The host is a
 * dotted IPv4 address or a name of at most 63 bytes; SW_E_RANGE otherwise. */
#define DCT_BYTES 320
int dct_encode(const struct p256_point *key, const char *host, uint8_t out[DCT_BYTES]) SW_NODISCARD;

#endif
