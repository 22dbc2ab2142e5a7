/* The REST door: one libmicrohttpd daemon with a pool of epoll threads, a few workers for requests
 * that wait for the disk, and one thread that feeds the event streams.
 *
 * Life: http_server_start opens the port last of all; http_server_drain stops taking connections,
 * ends the event streams and lets requests finish; http_server_stop ends everything. */
#ifndef SLIPWAY_HTTP_SERVER_H
#define SLIPWAY_HTTP_SERVER_H

#include "slipway/http/ports.h"

struct app;
struct http_server;

struct http_config {
    const char *bind;                 /* numeric IPv4 or IPv6 address; NULL = "127.0.0.1" */
    uint16_t port;                    /* 0 = any free one, see http_server_port */
    unsigned threads;                 /* epoll threads; 0 = one for each processor, at most 4 */
    unsigned workers;                 /* requests that may wait for the disk at once; 0 = 16 */
    unsigned connections_max;         /* 0 = 12000 */
    unsigned address_connections_max; /* per client address; 0 = no limit */
    unsigned address_requests_max;    /* per client address and 5 minutes; 0 = no limit */
    unsigned address_logins_max;      /* tries to log in, likewise; 0 = no limit */
    unsigned idle_timeout_s;          /* of a connection without a request under way; 0 = 30 */
    unsigned request_timeout_s;       /* for a whole request, and for its reply; 0 = 120 */
    unsigned device_timeout_ms;       /* for a device's answer; 0 = 10000 */
    size_t upload_bytes_max;          /* one file; 0 = 16 MiB */
    size_t body_bytes_max;            /* any other body; 0 = 1 MiB */
    size_t import_bytes_max;          /* a list of devices; 0 = 8 MiB */
    const char *cors_origins; /* comma-separated, "*" = any; NULL = no other origin is allowed */
    const char *tls_cert_pem; /* contents, not a path; NULL = HTTP; one HTTPS door a process */
    const char *tls_key_pem;
    const char *base_url; /* how clients reach this server, for links in replies; NULL = relative */
};

/* The texts of config are borrowed until http_server_stop, the PEM texts only for the call. SW_OK;
 * SW_E_INPUT for a setting that cannot be (the fault names it); SW_E_IO when the port cannot be
 * opened. */
int http_server_start(const struct http_config *config, struct app *app,
                      const struct http_ports *ports, struct http_server **out,
                      struct fault *fault) SW_NODISCARD;
uint16_t http_server_port(const struct http_server *server);

/* Another certificate and key for connections to come, of a door that speaks HTTPS already; those
 * that are open keep theirs. If the two are not usable together the old ones stay: SW_E_INPUT, and
 * the fault says why. Not on two threads at once. */
int http_server_certificate(struct http_server *server, const char *cert_pem, const char *key_pem,
                            struct fault *fault) SW_NODISCARD;

/* Events were committed: wakes the streams. Any thread, never blocks. */
void http_server_events_ready(struct http_server *server);

/* No new connections, streams end, requests under way have limit_ms to finish; the rest is cut off
 * by http_server_stop. Returns how many are still under way. */
unsigned http_server_drain(struct http_server *server, int64_t limit_ms);
/* Accepts NULL. */
void http_server_stop(struct http_server *server);

#endif
