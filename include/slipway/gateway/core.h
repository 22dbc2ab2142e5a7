/* The device door without its sockets: who is connected, what each device is due, and what goes out
 * next. It reads no clock, no entropy, no socket and no file: datagrams, time, finished store jobs
 * and requests come in through the functions below; datagrams, store jobs and answers leave through
 * the ports. The same inputs give the same outputs, so the daemon's loop and the simulator drive
 * the same code.
 *
 * Threads: one thread (the loop's) calls everything here, and is the thread that the ports are
 * called on. A port never calls back into the gateway before it returns.
 *
 * Durable first: what a device reports becomes a store job; only when the job comes back done is
 * the report acknowledged. A job that failed is not acknowledged: the device repeats. */
#ifndef SLIPWAY_GATEWAY_CORE_H
#define SLIPWAY_GATEWAY_CORE_H

#include "slipway/crypto/certificate.h"
#include "slipway/crypto/key.h"
#include "slipway/crypto/secret.h"
#include "slipway/model/ids.h"
#include "slipway/util/address.h"
#include "slipway/util/outbox.h"
#include "slipway/util/time.h"

/* Where current Device OS looks for its server, whatever port a server record names. */
#define GATEWAY_PORT 5684

struct gateway;
struct store_job;

/* One of our own addresses, as a small number that the socket layer gave to it: answers leave from
 * the address that was spoken to, as devices connect() their sockets. 0 where it does not matter.
 */
typedef uint8_t gateway_path;

struct gateway_reply {
    uint64_t id;         /* the command's */
    int status;          /* SW_OK; SW_E_NOT_FOUND = not connected; SW_E_BUSY = no answer in time;
                          * SW_E_FULL = others are under way, nothing was sent; SW_E_DENIED = not
                          * a device we serve */
    uint8_t code;        /* CoAP code of the device's answer; 0 = none */
    struct span payload; /* valid during the call */
};

struct gateway_ports {
    void *ctx;
    /* Sends every datagram in the box to the peer; what cannot be sent is lost, as datagrams are.
     */
    void (*send)(void *ctx, gateway_path path, const struct address *peer,
                 const struct outbox *box);
    /* Hands a job (whose run is set) to the store's writer, or to a reader with a store of its own.
     * The port sets job->done. SW_OK: it comes back exactly once through gateway_job_done, after
     * this call returned. Anything else: it was not taken. */
    int (*submit)(void *ctx, struct store_job *job);
    int (*submit_read)(void *ctx, struct store_job *job);
    void (*entropy)(void *ctx, void *out, size_t len);
    /* The outcome of a gateway_command that returned SW_OK, exactly once for each. */
    void (*reply)(void *ctx, const struct gateway_reply *reply);
    /* One line for the operator, already bounded and free of secrets. May be NULL. */
    void (*note)(void *ctx, bool unusual, const char *text);
    /* A handshake came to nothing; why is static text. Strangers cause these. May be NULL. */
    void (*unmet)(void *ctx, const struct address *peer, const char *why);
};

struct gateway_config {
    const struct crypto_key *key;     /* the server's; borrowed for the gateway's life */
    uint8_t seal_key[SEAL_KEY_BYTES]; /* seals sessions for storage */
    /* X.509: our chain as PEM (empty = none is shown; read by gateway_new only), the key of its
     * first one (NULL = the server's), and the authorities of devices (NULL = no certificates are
     * taken); both borrowed for the gateway's life. */
    struct span certificates;
    const struct crypto_key *certificate_key;
    struct crypto_trust *trust;
    bool accepts_psk; /* of devices that have one in the store */
    /* Limits; 0 = the default in brackets. */
    uint32_t sessions_max;         /* [1,000,000] least recently heard goes first */
    uint32_t active_max;           /* sessions with working memory at once [65,536] */
    uint32_t half_open_max;        /* handshakes under way [4,096] */
    uint32_t half_open_source_max; /* of them from one IP address [256] */
    uint32_t jobs_max;             /* store jobs in flight [4,096] */
    uint32_t transfers_max;        /* transfers at once [256] */
    uint32_t image_bytes_max;      /* bytes of firmware held in memory [67,108,864] */
    uint32_t rate_total_bytes_s;   /* of all transfers together, in equal shares [0 = no limit] */
    uint32_t rate_device_bytes_s;  /* of one transfer [0 = no limit] */
    uint32_t resumptions;          /* by session id, of standard clients with keys [1,024] */
    uint32_t idle_days;            /* silence after which a session is forgotten [30] */
    uint32_t probes_per_s;         /* reachability probes echoed, in total [1,000] */
    /* Silence after which a device counts as offline, if it pings every 25 s; in proportion more if
     * it shows that it pings less often [75] */
    uint32_t offline_after_s;
    uint32_t offline_cellular_s; /* the same for a cellular device, and 23 minutes [3,600] */
};

/* NULL when memory or libcrypto fails. */
struct gateway *gateway_new(const struct gateway_config *config, const struct gateway_ports *ports,
                            mono_time now, wall_time wall);
/* All jobs must have come back. Sessions in memory are wiped, not saved (see gateway_drain). */
void gateway_free(struct gateway *gw);
/* New limits and rates; the keys stay as they are. */
void gateway_configure(struct gateway *gw, const struct gateway_config *config);

/* Before the first datagram: reads the stored sessions through submit_read. Datagrams are dropped
 * until gateway_is_ready. */
void gateway_start(struct gateway *gw, mono_time now, wall_time wall);
bool gateway_is_ready(const struct gateway *gw);

struct gateway_arrival {
    gateway_path path;
    struct address from;
    struct span bytes;
};
/* A batch, in the order in which it came. Established devices are served first; handshakes are
 * taken as far as this turn allows (gateway_tick begins the next), those that are under way before
 * new ones. The others wait, and the oldest are dropped when there are too many. */
void gateway_arrivals(struct gateway *gw, const struct gateway_arrival *items, size_t count,
                      mono_time now, wall_time wall);
/* One by itself. */
void gateway_datagram(struct gateway *gw, gateway_path path, const struct address *from,
                      struct span bytes, mono_time now, wall_time wall);
/* Call at gateway_deadline, and after every batch of datagrams, jobs and commands. */
void gateway_tick(struct gateway *gw, mono_time now, wall_time wall);
mono_time gateway_deadline(const struct gateway *gw); /* MONO_NEVER when nothing waits */
/* A job that submit or submit_read took; the gateway owns it again. code: what its done was given,
 * or what run returned. */
void gateway_job_done(struct gateway *gw, struct store_job *base, int code, mono_time now,
                      wall_time wall);

/* The ports' ctx of the gateway that made the job: for done functions. */
void *gateway_job_ctx(const struct store_job *job);

/* Something changed in the store that concerns devices: look again. Cheap; evaluation follows in
 * bounded steps, in an order that is fair to all products. */
struct app_notice; /* EVENTS are ignored here */
void gateway_notice(struct gateway *gw, const struct app_notice *notice, mono_time now,
                    wall_time wall);

enum gateway_command_kind {
    GATEWAY_COMMAND_PING,
    GATEWAY_COMMAND_LOOK,     /* at its update, now */
    GATEWAY_COMMAND_FUNCTION, /* name, argument */
    GATEWAY_COMMAND_VARIABLE, /* name */
    GATEWAY_COMMAND_DESCRIBE, /* argument: one raw byte 1, 2 or 4 */
    GATEWAY_COMMAND_SIGNAL,   /* argument: one raw byte 1 or 0 */
    GATEWAY_COMMAND_EVENT,    /* name, argument = data */
    GATEWAY_COMMAND_FORGET    /* end the association: the device makes a new handshake */
};
struct gateway_command {
    uint64_t id; /* chosen by the caller, returned in the reply */
    enum gateway_command_kind kind;
    struct device_id device;
    struct span name, argument; /* borrowed for the call */
    int64_t wait_ms;            /* an answer after this is of no use; 0 = 60,000 */
};
/* SW_OK: ports.reply will tell the outcome, perhaps before this returns. SW_E_FULL: too many. */
int gateway_command(struct gateway *gw, const struct gateway_command *command, mono_time now,
                    wall_time wall) SW_NODISCARD;

/* No new handshakes and no new transfers; every session is saved exactly as it is. Drained when all
 * is stored and no job is out. */
void gateway_drain(struct gateway *gw, mono_time now, wall_time wall);
bool gateway_is_drained(const struct gateway *gw);

/* What came in, what was dropped and why, with a sentence for metrics. Names are stable. */
#define GATEWAY_COUNTERS(X)                                                                        \
    X(datagrams_in, "Datagrams that came in")                                                      \
    X(datagrams_out, "Datagrams that went out")                                                    \
    X(dropped_noise, "Dropped: no record that is known, keep-alives of one byte included")         \
    X(dropped_unready, "Dropped: before the stored sessions were read, or while draining")         \
    X(dropped_unknown, "Dropped: no such connection id or address")                                \
    X(farewells, "Of the unknown ones, answered with the alert that ended their session")          \
    X(dropped_session, "Dropped by their session: replay, forgery, junk")                          \
    X(dropped_hello, "Dropped: ClientHello that is malformed or unacceptable")                     \
    X(dropped_busy, "Dropped: no working memory, or too much held for a session")                  \
    X(knocks, "Pings at devices that could not be heard after a crash")                            \
    X(probes_echoed, "Reachability probes that were echoed")                                       \
    X(probes_dropped, "Reachability probes over the rate, or from a server")                       \
    X(hellos_cookie, "ClientHellos answered with a cookie, statelessly")                           \
    X(hellos_refused, "ClientHellos answered with an alert")                                       \
    X(alerts_dropped, "Alerts over the rate of their source")                                      \
    X(handshakes_started, "Handshakes whose cookie came back")                                     \
    X(handshakes_done, "Handshakes that made a session")                                           \
    X(handshakes_failed, "Handshakes that came to nothing")                                        \
    X(handshakes_shed, "Datagrams of handshakes that waited in vain, under a storm")               \
    X(handshakes_evicted, "Handshakes that gave way in a full pool")                               \
    X(sessions_restored, "Sessions read from the store at the start")                              \
    X(sessions_replaced, "Sessions replaced by a newer one of their device")                       \
    X(devices_doubled, "Sessions that spoke on though a newer one had replaced them")              \
    X(sessions_expired, "Sessions forgotten after their silence")                                  \
    X(sessions_evicted, "Sessions that gave way in a full table")                                  \
    X(sessions_closed, "Sessions closed by their device")                                          \
    X(sessions_resumed, "Sessions that were resumed")                                              \
    X(reservations, "Blocks of sequence numbers made durable")                                     \
    X(held, "Datagrams kept until a reservation was durable")                                      \
    X(jobs_submitted, "Jobs given to the store")                                                   \
    X(jobs_failed, "Jobs that the store could not do")                                             \
    X(jobs_refused, "Jobs that the store did not take")                                            \
    X(reports_shed, "Reports of devices that say more than Device OS does")                        \
    X(transfers_started, "Transfers that were started")                                            \
    X(transfers_committed, "Transfers whose device took the image")                                \
    X(transfers_failed, "Transfers that failed")                                                   \
    X(events_delivered, "Published events sent to a device that asked for them")                   \
    X(events_undelivered, "Published events dropped: the device was busy, or too many")            \
    X(quarantined, "Reports of devices that are not served")

struct gateway_counters {
#define GATEWAY_COUNTER_FIELD(name, help) uint64_t name;
    GATEWAY_COUNTERS(GATEWAY_COUNTER_FIELD)
#undef GATEWAY_COUNTER_FIELD
};

/* Present sizes. */
struct gateway_sizes {
    uint32_t sessions, online, active, half_open, transfers, images, jobs;
    uint64_t image_bytes;
};
const struct gateway_counters *gateway_counters(const struct gateway *gw);
void gateway_sizes(const struct gateway *gw, struct gateway_sizes *out);

#endif
