/* The data folder: everything that the daemon keeps. One daemon to a folder.
 *
 *   slipway.db           the database
 *   server_key.pem       private key that devices know the server by, 0600
 *   server_key.pub.pem   its public half, .pub.der the same as SubjectPublicKeyInfo
 *   session_key          seals stored sessions, PSKs and webhooks, 0600
 *   admin_token          the administrator's token unless one is given, 0600
 *   admin_password       its first password, likewise, 0600
 *
 * The two keys are made for a new folder only: beside a database a missing one is a mistake. */
#ifndef SLIPWAY_DAEMON_FOLDER_H
#define SLIPWAY_DAEMON_FOLDER_H

#include "slipway/app/token.h"
#include "slipway/crypto/key.h"
#include "slipway/crypto/secret.h"

#define FOLDER_PATH_MAX 4096
#define FOLDER_DATABASE "slipway.db"

struct folder {
    char path[FOLDER_PATH_MAX];
    int lock; /* -1 when not locked */
};

/* Creates the folder (0700) when it is missing, and locks it. SW_E_BUSY: another daemon has it. */
int folder_open(struct folder *folder, const char *path, struct fault *fault) SW_NODISCARD;
void folder_close(struct folder *folder);
/* Without the lock, to work beside a running daemon; there is nothing to close. */
void folder_name(struct folder *folder, const char *path);
/* The path of a file in it; SW_E_RANGE when too long. */
int folder_file(const struct folder *folder, const char *name, char out[FOLDER_PATH_MAX],
                struct fault *fault) SW_NODISCARD;

/* Each reads its file, or makes it. SW_E_STATE: a key is missing beside a database. */
int folder_server_key(const struct folder *folder, struct crypto_key **out,
                      struct fault *fault) SW_NODISCARD;
int folder_session_key(const struct folder *folder, uint8_t out[SEAL_KEY_BYTES],
                       struct fault *fault) SW_NODISCARD;
/* What seals sessions: of the session key and of the very file that it is in, so that a copy of the
 * folder, put back or used beside it, has no sessions. Numbers that the original used since would
 * be used twice, and with them nonces. */
int folder_place_key(const struct folder *folder, const uint8_t key[SEAL_KEY_BYTES],
                     uint8_t out[SEAL_KEY_BYTES], struct fault *fault) SW_NODISCARD;
/* Both, for their files alone. */
int folder_make_keys(const struct folder *folder, struct fault *fault) SW_NODISCARD;
/* 40 hexadecimal digits. */
int folder_secret(const struct folder *folder, const char *name, char out[TOKEN_DIGITS + 1],
                  struct fault *fault) SW_NODISCARD;
/* Copies the keys and secrets that there are to another folder. */
int folder_copy_secrets(const struct folder *from, const struct folder *to,
                        struct fault *fault) SW_NODISCARD;
/* Removes them there, and the folder if nothing else is in it. */
void folder_discard_copy(const struct folder *to);

#endif
