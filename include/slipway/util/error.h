/* The error codes of the whole program. Functions that can fail return int: SW_OK (0), a positive
 * count where their header says so, or one of these negative codes. */
#ifndef SLIPWAY_UTIL_ERROR_H
#define SLIPWAY_UTIL_ERROR_H

enum sw_error {
    SW_OK = 0,
    SW_E_INPUT = -1,     /* malformed: the giver of the bytes is at fault */
    SW_E_RANGE = -2,     /* well formed, but a value is outside what is allowed */
    SW_E_FULL = -3,      /* no room: a bounded buffer, queue or table is at its limit */
    SW_E_STATE = -4,     /* not allowed in the present state */
    SW_E_NOT_FOUND = -5, /* there is no such thing */
    SW_E_EXISTS = -6,    /* there already is such a thing */
    SW_E_DENIED = -7,    /* known, and not allowed */
    SW_E_AUTH = -8,      /* a MAC, signature or secret did not verify */
    SW_E_REPLAY = -9,    /* a record that was seen before, or is too old to tell */
    SW_E_BUSY = -10,     /* cannot be done now; the same call may succeed later */
    SW_E_IO = -11,       /* the disk, the network or the database failed */
    SW_E_MEMORY = -12,   /* out of memory */
    SW_E_VERSION = -13,  /* made by a newer or foreign program */
    SW_E_CONFLICT = -14, /* somebody else changed it first: read again */
    SW_E_CRYPTO = -15,   /* libcrypto failed; not the peer's fault */
    SW_E_LIMIT = -16,    /* a reserved budget (sequence numbers) is used up: reserve, then repeat */
    SW_E_SPACE = -17     /* the disk is full, or a quota is used up */
};

#define SW_NODISCARD __attribute__((warn_unused_result))

/* A static name such as "not_found"; "unknown" for a code that is none of the above. */
const char *sw_error_name(int code);

/* What went wrong in the world (disk, memory, SQLite), filled once where it happened and prefixed
 * on the way up. The owner is the caller of the function that takes it. */
struct fault {
    int code;
    char text[256]; /* NUL-terminated, cut if longer */
};

/* Fills *fault (may be NULL) and returns code. */
int fault_set(struct fault *fault, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "<prefix>: " before the text that is there. */
void fault_prefix(struct fault *fault, const char *prefix);

#endif
