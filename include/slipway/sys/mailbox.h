/* A bounded queue between threads, any number at either end. Items are embedded in the sender's
 * structs, so posting never allocates; whoever takes an item owns it. */
#ifndef SLIPWAY_SYS_MAILBOX_H
#define SLIPWAY_SYS_MAILBOX_H

#include "slipway/util/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embed one in each message; `container_of` style access is by making it the first member. */
struct mail {
    struct mail *next; /* the mailbox's while queued */
};

/* Called after a post to an empty box, outside the lock, on the poster's thread: for instance
 * uv_async_send. Must not block. */
typedef void mailbox_wake_fn(void *arg);

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct mail *first;
    struct mail **last;
    size_t count, cap;
    bool closed;
    mailbox_wake_fn *wake; /* may be NULL */
    void *wake_arg;
};

/* At most cap messages wait at a time; cap > 0. */
void mailbox_init(struct mailbox *box, size_t cap, mailbox_wake_fn *wake, void *arg);
/* Must be empty, and no other thread may still use it. */
void mailbox_destroy(struct mailbox *box);

/* SW_E_FULL: the limit is reached, the sender keeps the message; SW_E_STATE: closed, likewise. */
int mailbox_post(struct mailbox *box, struct mail *mail) SW_NODISCARD;
/* Everything that waits, oldest first, linked by next; NULL when empty. Never blocks. */
struct mail *mailbox_take_all(struct mailbox *box);
/* The oldest `max` messages (0 = all) as one list, or NULL after timeout_ms (negative: no limit) or
 * once the box is closed and empty. */
struct mail *mailbox_wait(struct mailbox *box, size_t max, int64_t timeout_ms);
/* No more posts; waiters wake. What is queued can still be taken. */
void mailbox_close(struct mailbox *box);
bool mailbox_is_closed(struct mailbox *box);

/* One signal between two threads: a request handler waits for the commit of its job. */
struct latch {
    struct mailbox box;
    struct mail mail;
};
void latch_init(struct latch *latch);
void latch_signal(struct latch *latch); /* once */
void latch_wait(struct latch *latch);   /* returns once signalled, then destroys the latch */

#endif
