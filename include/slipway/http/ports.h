/* What the REST door needs from the live sessions. The daemon fills struct http_ports with the
 * gateway's functions; the door itself knows no gateway. Everything here is called on the door's
 * own threads and must return at once: answers come later through the given function. */
#ifndef SLIPWAY_HTTP_PORTS_H
#define SLIPWAY_HTTP_PORTS_H

#include "slipway/model/ids.h"

enum device_command_kind {
    DEVICE_COMMAND_PING,     /* is it there? */
    DEVICE_COMMAND_SIGNAL,   /* make it shout rainbows: flag */
    DEVICE_COMMAND_FUNCTION, /* name, argument -> return_value */
    DEVICE_COMMAND_VARIABLE, /* name -> value */
    DEVICE_COMMAND_VITALS    /* ask for its diagnostics; they arrive as an event */
};

#define DEVICE_NAME_MAX     64   /* of a function or variable */
#define DEVICE_ARGUMENT_MAX 1024 /* bytes */
#define DEVICE_VALUE_MAX    1024 /* bytes */

enum device_value_kind {
    DEVICE_VALUE_NONE,
    DEVICE_VALUE_TEXT,
    DEVICE_VALUE_NUMBER,
    DEVICE_VALUE_BOOL
};

struct device_command {
    enum device_command_kind kind;
    struct device_id device;
    bool flag;                         /* SIGNAL */
    struct span name;                  /* FUNCTION, VARIABLE; borrowed for the call */
    struct span argument;              /* FUNCTION; borrowed for the call */
    enum device_value_kind value_kind; /* VARIABLE: as the device described it; NONE = unknown */
    int64_t timeout_ms;                /* an answer after this is of no use */
};

struct device_reply {
    /*   SW_OK           the device answered
     *   SW_E_STATE      it has no session or is asleep: nothing was sent
     *   SW_E_BUSY       it did not answer in time
     *   SW_E_FULL       another command is under way and nothing was sent: the door asks again
     *   SW_E_NOT_FOUND  it knows no such function or variable
     *   SW_E_DENIED     it refuses (updates are disabled) */
    int status;
    int32_t return_value; /* FUNCTION */
    enum device_value_kind value_kind;
    double number;     /* VARIABLE, number or bool */
    struct span value; /* VARIABLE, text; borrowed for the call */
};

/* Called exactly once for each accepted command, on any thread, perhaps before device_command
 * returned. It does not block. */
typedef void device_reply_fn(void *arg, const struct device_reply *reply);

struct http_ports {
    void *ctx;
    /* SW_OK: accepted, `reply` will be called. Any other code: refused, it will not be
     * (SW_E_STATE the device has no session, SW_E_FULL the queue to the loop is full). */
    int (*device_command)(void *ctx, const struct device_command *command, device_reply_fn *reply,
                          void *arg);
    /* Whether the daemon serves devices: what GET /health reports. May be NULL: then it does. */
    bool (*is_serving)(void *ctx);
    /* The device door in numbers, as GET /metrics gives them: a heap text for the caller; NULL = no
     * memory. May be NULL: then there are none. */
    char *(*metrics)(void *ctx);
};

#endif
