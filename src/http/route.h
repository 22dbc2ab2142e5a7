/* The one table of routes: what the door answers to, who may ask, and what a request may carry.
 * Router, authorisation, CORS, 405 replies, the OpenAPI check and the table-walking tests all read
 * it; no handler decides any of this by itself. */
#ifndef SLIPWAY_HTTP_ROUTE_H
#define SLIPWAY_HTTP_ROUTE_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

struct request;

/* Makes the reply of a request (see request.h); never blocks unless the route is ROUTE_WORKER. */
typedef void route_fn(struct request *rq);

enum method {
    METHOD_GET,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_HEAD,    /* served by the route of GET */
    METHOD_OPTIONS, /* served without a route */
    METHOD_OTHER
};

const char *method_name(enum method method);
enum method method_of(const char *name);

enum route_flag {
    ROUTE_OPEN = 1, /* needs no token */
    ROUTE_WORKER =
        2, /* waits for the disk or a device: runs on a worker, never on an epoll thread */
    ROUTE_STREAM = 4,   /* ends in an event stream */
    ROUTE_FILE = 8,     /* takes multipart/form-data with one file */
    ROUTE_FORM = 16,    /* takes nothing but application/x-www-form-urlencoded */
    ROUTE_NO_KEY = 32,  /* repeating it is harmless: no idempotency keys are kept for it */
    ROUTE_LOGIN = 64,   /* counts against the stricter limit for guessing */
    ROUTE_ANY = 128,    /* every user and API user may, whatever the scopes */
    ROUTE_IMPORT = 256, /* the file is a list of devices, not firmware */
    ROUTE_SECRET = 512, /* its reply has a token: it is never kept */
    ROUTE_SEARCH = 1024 /* runs on a worker when it is asked for what takes a walk to find */
};

#define ROUTE_PARAMS_MAX 4

struct route {
    enum method method;
    unsigned flags;
    const char *pattern; /* "/v1/products/:product/firmware" */
    const char *name;    /* the operation in api/openapi.yaml and in the access log */
    const char *scope;   /* what an API user needs; NULL = closed to API users */
    route_fn *handle;
};

extern const struct route routes[];
extern const size_t route_count;

#define PATH_SEGMENTS_MAX 10
#define PATH_BYTES_MAX    1024

/* A path cut at its slashes, then percent-decoded segment by segment, so that an encoded slash
 * stays inside its segment. A slash at the end changes nothing. */
struct path {
    size_t count;
    const char *segments[PATH_SEGMENTS_MAX]; /* into text */
    char text[PATH_BYTES_MAX];
};

/* raw: a request target up to but without its '?', as a path or with "http://host" before it. Some
 * clients join a base that ends with a slash and a path that begins with one: slashes at the front
 * count as one. SW_E_INPUT: not absolute, a bad percent escape,
 * a NUL; SW_E_FULL: too long or too deep. */
int path_parse(struct span raw, struct path *out) SW_NODISCARD;

struct route_match {
    const struct route *route; /* NULL if none */
    const char *names[ROUTE_PARAMS_MAX];
    const char *values[ROUTE_PARAMS_MAX]; /* into the path */
    size_t count;
    unsigned methods; /* without a route: bit per enum method that this path has one for */
};

/* The first route of the table wins, so literals stand before parameters there. HEAD is matched as
 * GET. */
void route_find(const struct route *table, size_t count, enum method method,
                const struct path *path, struct route_match *out);

/* The value of ":name", or NULL. */
const char *route_param(const struct route_match *match, const char *name);

/* "GET, HEAD, PUT, OPTIONS" */
void route_allow(unsigned methods, char *out, size_t cap);

#endif
