/* The device door in the daemon: a thread with a libuv loop that owns the UDP socket and the core,
 * and a reader thread for what the core reads from the store. Every function here may be called on
 * any thread and returns at once, unless it says otherwise. */
#ifndef SLIPWAY_GATEWAY_LOOP_H
#define SLIPWAY_GATEWAY_LOOP_H

#include "slipway/app/app.h"
#include "slipway/gateway/core.h"

struct loop;

struct loop_options {
    const char *host;                     /* numeric IPv4 or IPv6 address; "::" takes IPv4 too */
    uint16_t port;                        /* 0 = any free one */
    uint32_t receive_buffer, send_buffer; /* bytes; 0 = the kernel's default */
    bool without_segments; /* every datagram by itself, even where the kernel can cut */
    struct app *app;       /* borrowed until loop_stop */
    struct gateway_config gateway;
};

/* Binds the socket and starts the threads; devices are served once the stored sessions are read.
 * Blocks for a moment. SW_E_EXISTS: the port is in use. SW_E_INPUT: not an address. SW_E_IO. */
int loop_open(struct loop **out, const struct loop_options *options,
              struct fault *fault) SW_NODISCARD;
uint16_t loop_port(const struct loop *loop);

/* For app_options.notice: arg is the loop. */
void loop_notice(void *arg, const struct app_notice *notice);
/* New limits and rates; SW_E_MEMORY: the old ones stay. */
int loop_configure(struct loop *loop, const struct gateway_config *config) SW_NODISCARD;

/* reply is called once, on the loop's thread, with an id that means nothing. SW_E_FULL: too many
 * wait; SW_E_STATE: the loop is ending. */
typedef void loop_reply_fn(void *arg, const struct gateway_reply *reply);
int loop_command(struct loop *loop, const struct gateway_command *command, loop_reply_fn *reply,
                 void *arg) SW_NODISCARD;

/* A copy of the counters and sizes; blocks until the loop thread has made it. */
struct loop_report {
    struct gateway_counters counters;
    struct gateway_sizes sizes;
    bool is_ready, is_drained;
};
void loop_report(struct loop *loop, struct loop_report *out);

/* Saves every session and stops serving; blocks until that is done, or limit_ms are over (false).
 */
bool loop_drain(struct loop *loop, int64_t limit_ms);
/* Ends the threads; jobs that are out must be able to come back, so the app is still open. Blocks.
 * Afterwards loop_notice does nothing, and everything else may not be called. Accepts NULL. */
void loop_stop(struct loop *loop);
/* After the app was closed, whose writer may still have told notices. Accepts NULL. */
void loop_free(struct loop *loop);

#endif
