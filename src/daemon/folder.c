/* A file with a secret is written under another name, synced and renamed, so that it is there whole
 * or not at all; and never with a mode that lets others read it, not even for a moment. */
#include "folder.h"

#include "slipway/crypto/hash.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 4096 /* bytes of the files read here */

/* What a copy needs besides the database. */
static const char *const secret_names[] = {"server_key.pem", "session_key", "admin_token",
                                           "admin_password"};

int folder_file(const struct folder *folder, const char *name, char out[FOLDER_PATH_MAX],
                struct fault *fault) {
    int len = snprintf(out, FOLDER_PATH_MAX, "%s/%s", folder->path, name);
    return len > 0 && len < FOLDER_PATH_MAX
               ? SW_OK
               : fault_set(fault, SW_E_RANGE, "the data folder's path is too long");
}

int folder_open(struct folder *folder, const char *path, struct fault *fault) {
    folder->lock = -1;
    if (strlen(path) >= sizeof folder->path) {
        return fault_set(fault, SW_E_RANGE, "the data folder's path is too long");
    }
    memcpy(folder->path, path, strlen(path) + 1);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fault_set(fault, SW_E_IO, "folder %s cannot be made: %s", path, strerror(errno));
    }
    return store_lock_folder(path, &folder->lock, fault);
}

void folder_name(struct folder *folder, const char *path) {
    *folder = (struct folder){.lock = -1};
    (void)snprintf(folder->path, sizeof folder->path, "%s", path);
}

void folder_close(struct folder *folder) {
    if (folder->lock >= 0) {
        (void)close(folder->lock);
        folder->lock = -1;
    }
}

/* SW_E_NOT_FOUND when there is no such file; else the bytes read, with a NUL behind. */
static int file_read(const char *path, uint8_t *out, size_t cap, size_t *len, struct fault *fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT
                   ? SW_E_NOT_FOUND
                   : fault_set(fault, SW_E_IO, "%s cannot be opened: %s", path, strerror(errno));
    }
    *len = 0;
    ssize_t got = 1;
    while (got > 0 && *len < cap - 1) {
        got = read(fd, out + *len, cap - 1 - *len);
        *len += got > 0 ? (size_t)got : 0;
    }
    int error = errno;
    (void)close(fd);
    out[*len] = '\0';
    return got < 0 ? fault_set(fault, SW_E_IO, "%s cannot be read: %s", path, strerror(error))
                   : SW_OK;
}

static int file_put(int fd, struct span bytes) {
    size_t at = 0;
    while (at < bytes.len) {
        ssize_t put = write(fd, bytes.data + at, bytes.len - at);
        if (put < 0) {
            return SW_E_IO;
        }
        at += (size_t)put;
    }
    return fsync(fd) == 0 ? SW_OK : SW_E_IO;
}

static int file_write(const char *path, mode_t mode, struct span bytes, struct fault *fault) {
    char fresh[FOLDER_PATH_MAX + 8];
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    (void)unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int status = fd < 0 ? SW_E_IO : file_put(fd, bytes);
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && status == SW_OK) {
        status = SW_E_IO;
        error = errno;
    }
    if (status == SW_OK && rename(fresh, path) != 0) {
        status = SW_E_IO;
        error = errno;
    }
    if (status == SW_OK) {
        return SW_OK;
    }
    (void)unlink(fresh);
    return fault_set(fault, status, "%s cannot be written: %s", path, strerror(error));
}

/* A key may be made only for a new folder: what is in a database depends on the ones that were
 * there, and a fleet that knows another server would be lost without a word. */
static int key_may_be_made(const struct folder *folder, const char *path, struct fault *fault) {
    char database[FOLDER_PATH_MAX];
    int status = folder_file(folder, FOLDER_DATABASE, database, fault);
    return status == SW_OK && access(database, F_OK) == 0
               ? fault_set(fault, SW_E_STATE,
                           "%s is missing, and %s depends on it: restore it from a backup", path,
                           FOLDER_DATABASE)
               : status;
}

/* Others can make no use of the public half; it is written each time so that it always fits. */
static int key_publish(const struct folder *folder, const struct crypto_key *key,
                       struct fault *fault) {
    char path[FOLDER_PATH_MAX], pem[512];
    uint8_t spki[P256_SPKI_BYTES];
    int len = p256_point_to_pem(crypto_key_point(key), pem, sizeof pem);
    if (len < 0) {
        return fault_set(fault, len, "the public key cannot be written as PEM");
    }
    p256_spki_encode(crypto_key_point(key), spki);
    int status = folder_file(folder, "server_key.pub.pem", path, fault);
    status = status != SW_OK ? status : file_write(path, 0644, span_of(pem, (size_t)len), fault);
    status = status != SW_OK ? status : folder_file(folder, "server_key.pub.der", path, fault);
    return status != SW_OK ? status : file_write(path, 0644, span_of(spki, sizeof spki), fault);
}

int folder_server_key(const struct folder *folder, struct crypto_key **out, struct fault *fault) {
    char path[FOLDER_PATH_MAX];
    uint8_t pem[FILE_MAX];
    size_t len = 0;
    *out = NULL;
    int status = folder_file(folder, "server_key.pem", path, fault);
    if (status != SW_OK) {
        return status;
    }
    status = file_read(path, pem, sizeof pem, &len, fault);
    if (status == SW_OK) {
        *out = crypto_key_from_pem(span_of(pem, len));
        if (*out == NULL) {
            status = fault_set(fault, SW_E_INPUT, "%s is not a P-256 private key", path);
        }
    } else if (status == SW_E_NOT_FOUND &&
               (status = key_may_be_made(folder, path, fault)) == SW_OK) {
        *out = crypto_key_generate();
        int wrote = *out == NULL ? SW_E_CRYPTO : crypto_key_to_pem(*out, (char *)pem, sizeof pem);
        status = wrote < 0 ? fault_set(fault, wrote, "no server key can be made")
                           : file_write(path, 0600, span_of(pem, (size_t)wrote), fault);
    }
    crypto_wipe(pem, sizeof pem);
    status = status != SW_OK ? status : key_publish(folder, *out, fault);
    if (status != SW_OK) {
        crypto_key_free(*out);
        *out = NULL;
    }
    return status;
}

int folder_session_key(const struct folder *folder, uint8_t out[SEAL_KEY_BYTES],
                       struct fault *fault) {
    char path[FOLDER_PATH_MAX];
    uint8_t bytes[SEAL_KEY_BYTES + 2];
    size_t len = 0;
    int status = folder_file(folder, "session_key", path, fault);
    if (status != SW_OK) {
        return status;
    }
    status = file_read(path, bytes, sizeof bytes, &len, fault);
    if (status == SW_OK && len != SEAL_KEY_BYTES) {
        status = fault_set(fault, SW_E_INPUT, "%s is not %d bytes long", path, SEAL_KEY_BYTES);
    } else if (status == SW_E_NOT_FOUND &&
               (status = key_may_be_made(folder, path, fault)) == SW_OK) {
        sys_entropy(bytes, SEAL_KEY_BYTES);
        status = file_write(path, 0600, span_of(bytes, SEAL_KEY_BYTES), fault);
    }
    if (status == SW_OK) {
        memcpy(out, bytes, SEAL_KEY_BYTES);
    }
    crypto_wipe(bytes, sizeof bytes);
    return status;
}

/* By its number, and its time of birth where the file system has that: numbers are given again. */
int folder_place_key(const struct folder *folder, const uint8_t key[SEAL_KEY_BYTES],
                     uint8_t out[SEAL_KEY_BYTES], struct fault *fault) {
    char path[FOLDER_PATH_MAX];
    struct statx info;
    int status = folder_file(folder, "session_key", path, fault);
    if (status != SW_OK) {
        return status;
    }
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &info) != 0) {
        return fault_set(fault, SW_E_IO, "%s cannot be looked at: %s", path, strerror(errno));
    }
    bool has_birth = (info.stx_mask & STATX_BTIME) != 0;
    const uint64_t place[] = {info.stx_ino, has_birth ? (uint64_t)info.stx_btime.tv_sec : 0,
                              has_birth ? info.stx_btime.tv_nsec : 0};
    struct sha256 derived;
    hmac_sha256(span_of(key, SEAL_KEY_BYTES), span_of(place, sizeof place), &derived);
    memcpy(out, derived.b, SEAL_KEY_BYTES);
    crypto_wipe(&derived, sizeof derived);
    return SW_OK;
}

int folder_make_keys(const struct folder *folder, struct fault *fault) {
    struct crypto_key *key = NULL;
    uint8_t sealing[SEAL_KEY_BYTES];
    int status = folder_server_key(folder, &key, fault);
    status = status != SW_OK ? status : folder_session_key(folder, sealing, fault);
    crypto_key_free(key);
    crypto_wipe(sealing, sizeof sealing);
    return status;
}

int folder_secret(const struct folder *folder, const char *name, char out[TOKEN_DIGITS + 1],
                  struct fault *fault) {
    char path[FOLDER_PATH_MAX];
    uint8_t text[TOKEN_DIGITS + 8], random[TOKEN_DIGITS / 2];
    size_t len = 0;
    int status = folder_file(folder, name, path, fault);
    if (status != SW_OK) {
        return status;
    }
    status = file_read(path, text, sizeof text, &len, fault);
    if (status == SW_E_NOT_FOUND) {
        sys_entropy(random, sizeof random);
        hex_encode(span_of(random, sizeof random), out, TOKEN_DIGITS + 1);
        memcpy(text, out, TOKEN_DIGITS);
        text[TOKEN_DIGITS] = '\n';
        status = file_write(path, 0600, span_of(text, TOKEN_DIGITS + 1), fault);
    } else if (status == SW_OK) {
        if (hex_decode((const char *)text, len < TOKEN_DIGITS ? len : TOKEN_DIGITS, random,
                       sizeof random) != SW_OK) {
            status =
                fault_set(fault, SW_E_INPUT, "%s is not %d hexadecimal digits", path, TOKEN_DIGITS);
        } else {
            memcpy(out, text, TOKEN_DIGITS);
            out[TOKEN_DIGITS] = '\0';
        }
    }
    crypto_wipe(text, sizeof text);
    crypto_wipe(random, sizeof random);
    return status;
}

int folder_copy_secrets(const struct folder *from, const struct folder *to, struct fault *fault) {
    uint8_t bytes[FILE_MAX];
    int status = SW_OK;
    for (size_t n = 0; n < SW_COUNT(secret_names) && status == SW_OK; n++) {
        char path[FOLDER_PATH_MAX];
        size_t len = 0;
        status = folder_file(from, secret_names[n], path, fault);
        status = status != SW_OK ? status : file_read(path, bytes, sizeof bytes, &len, fault);
        if (status == SW_E_NOT_FOUND) {
            status = SW_OK;
            continue;
        }
        status = status != SW_OK ? status : folder_file(to, secret_names[n], path, fault);
        status = status != SW_OK ? status : file_write(path, 0600, span_of(bytes, len), fault);
    }
    crypto_wipe(bytes, sizeof bytes);
    return status;
}

void folder_discard_copy(const struct folder *to) {
    char path[FOLDER_PATH_MAX];
    struct fault fault = {0};
    for (size_t n = 0; n < SW_COUNT(secret_names); n++) {
        if (folder_file(to, secret_names[n], path, &fault) == SW_OK) {
            (void)unlink(path);
        }
    }
    (void)rmdir(to->path);
}
