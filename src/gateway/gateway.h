/* The core's own state and the functions by which its files call each other. */
#ifndef SLIPWAY_GATEWAY_GATEWAY_H
#define SLIPWAY_GATEWAY_GATEWAY_H

#include "gateway/handshake/half.h"
#include "gateway/handshake/lobby.h"
#include "gateway/jobs.h"
#include "gateway/seat/desk.h"
#include "gateway/seat/farewell.h"
#include "gateway/seat/former.h"
#include "gateway/table/line.h"

#define KEEP_FORM         2    /* of a session at rest */
#define KEEP_FORM_KEYS    1    /* the first one, which knew raw keys only */
#define SETTLE_MS         3000 /* after a Hello, for the device to tell whether it may be disturbed */
#define GATEWAY_BOX_BYTES (OUTBOX_ITEMS_MAX * SESSION_DATAGRAM_MAX)

struct moment {
    mono_time mono;
    wall_time wall;
};

/* A burst of at most a second's worth. */
struct allowance {
    uint32_t per_s;
    int64_t left_us; /* of time, at per_s things a second */
    mono_time filled;
};

/* Connected devices of a product that an immediate release concerns, looked at in turn with those
 * of other products. */
#define ROUNDS_MAX 64
struct round {
    uint16_t product; /* 0 = unused */
    bool is_reading, is_again;
    struct device_id *devices; /* malloc'ed */
    size_t count, at;
};

/* Devices that wait for a transfer slot: a lane for each product, served in turn. */
#define LANES_MAX 64
struct lane {
    uint16_t product; /* 0 = unused */
    struct line line;
};

/* What transfers may send together, when that is limited. */
struct pace {
    struct line line; /* seats with a chunk due and nothing granted */
    int64_t credit;   /* millionths of a byte; below 0: granted in advance */
    mono_time filled;
};

/* A published event on its way to the devices that asked for it. */
#define DELIVERIES_MAX 16
struct delivery {
    struct app_delivery *what; /* NULL = unused; of its ids, those that are left */
    size_t at, kept;           /* the next one of this round; how many are busy until the next */
    mono_time due, deadline;
};

/* From one tick to the next, as far as ClientHellos are concerned: see arrive.c. */
struct turn {
    int left;                /* of what it may spend on them */
    unsigned steps, replies; /* of handshakes that went on, and cookies given */
    mono_time at;
};

struct gateway {
    struct gateway_config config; /* every 0 replaced by its default */
    struct gateway_ports ports;
    struct gateway_counters counters;
    struct dtls_endpoint *endpoint;
    struct dtls_crypto *crypto; /* the endpoint's */
    struct table table;
    struct half_table halves;
    struct lobby lobby;
    struct turn turn;
    struct pool desks; /* struct desk */
    struct images images;
    struct line due; /* seats to look at, one by one */
    struct round rounds[ROUNDS_MAX];
    struct lane lanes[LANES_MAX];
    struct delivery deliveries[DELIVERIES_MAX];
    unsigned round_next, lane_next;
    uint32_t jobs;      /* in flight */
    uint32_t looks;     /* JOB_PLAN among them */
    uint32_t calls;     /* of these, of devices whose turn for a transfer slot has come */
    uint32_t transfers; /* slots taken */
    struct pace pace;
    struct farewells farewells;
    struct formers formers;
    struct allowance probes;
    mono_time cookie_due, expire_due;
    mono_time silence_due; /* not before, though a device is silent: the store is busy */
    bool is_ready, is_draining, is_saved;
    uint32_t drain_at; /* the next seat to save */
    struct session_out out;
    uint8_t box[GATEWAY_BOX_BYTES];
};

/* arrive.c: what came in. A turn begins: ClientHellos that wait are taken, as many as it may. */
void arrive_waiting(struct gateway *gw, struct moment now);
mono_time arrive_deadline(const struct gateway *gw); /* of the next turn, if anybody waits */

/* handshake/hello.c: from the first datagram to a session */
/* A ClientHello. True: it began a handshake. */
bool hello_take(struct gateway *gw, const struct gateway_arrival *hello, struct moment now);
void hello_continue(struct gateway *gw, struct half *half, struct span bytes, struct moment now);
void hello_tick(struct gateway *gw, struct moment now);
void hello_done(struct gateway *gw, const struct seat *seat);
/* The key of a PSK client was looked up. */
void hello_psk(struct gateway *gw, struct gateway_job *job, int code, struct moment now);
void hello_rotate(struct gateway *gw);

/* seat/seat.c: one session's life */
struct seat *seat_open(struct gateway *gw, const struct session *session,
                       const struct app_proof *proof, gateway_path path, struct moment now);
void seat_datagram(struct gateway *gw, struct seat *seat, gateway_path path,
                   const struct address *from, struct span bytes, struct moment now);
void seat_tick(struct gateway *gw, struct seat *seat, struct moment now);
/* After every call on its session: sends, handles events, grants wishes, reserves, sets the timer.
 * False: the session ended, and the seat may no longer be touched. */
bool seat_settle(struct gateway *gw, struct seat *seat, struct moment now);
/* SW_OK when the seat has a desk. */
int seat_activate(struct gateway *gw, struct seat *seat) SW_NODISCARD;
/* Ends the session here; a device that has no other is offline. is_told: with a close_notify, after
 * which the device handshakes anew. */
void seat_close(struct gateway *gw, struct seat *seat, bool is_told, struct moment now);
/* The last job of a seat that is gone came back. */
void seat_release(struct gateway *gw, struct seat *seat);
void seat_list(struct gateway *gw, struct seat *seat, enum seat_list list, mono_time now);
/* That it is offline could not be written: its silence is found once more, some seconds later. */
void seat_silent_again(struct gateway *gw, struct seat *seat, mono_time now);
/* One record by itself; what is in the outbox is gone. */
void seat_send(struct gateway *gw, gateway_path path, const struct address *to, struct span record);
/* Forgets who has been offline for very long. */
void seat_expire(struct gateway *gw, struct moment now);
mono_time seat_expiry(const struct gateway *gw);
/* At the gateway's end: what it holds is given back, nothing is told or stored. */
void seat_abandon(struct gateway *gw, struct seat *seat);
/* The peer's address as text, without the port. */
void address_text(const struct address *address, char out[ADDRESS_BYTES]);

/* deliver.c: published events on their way to devices. What is too much at once is not delivered:
 * nobody promised that events arrive. */
void deliver_event(struct gateway *gw, int64_t event_id, struct moment now);
void deliver_found(struct gateway *gw, struct gateway_job *job, int code, struct moment now);
void deliver_pump(struct gateway *gw, struct moment now);
mono_time deliver_deadline(const struct gateway *gw);
void deliver_free(struct app_delivery *what); /* or NULL */
void deliver_close(struct gateway *gw);

/* event.c: what a session told. Returns a ticket that can be confirmed at once, or 0: the session
 * is not to be called before all its events are handled, as they point into its memory. */
uint32_t event_handle(struct gateway *gw, struct seat *seat, const struct session_event *event,
                      struct moment now) SW_NODISCARD;

/* jobs.c */
int job_submit(struct gateway *gw, struct gateway_job *job, struct seat *seat,
               struct moment now) SW_NODISCARD;
int job_submit_read(struct gateway *gw, struct gateway_job *job, struct moment now) SW_NODISCARD;

/* done.c: what became of a job */
void job_finish(struct gateway *gw, struct gateway_job *job, int code, struct moment now);

/* update/plan.c: what a device is due */
void plan_follow(struct gateway *gw, struct seat *seat, const struct app_plan *plan,
                 struct moment now);
void plan_looked(struct gateway *gw, struct seat *seat);
/* Wants a look at the seat's update. */
void plan_due(struct gateway *gw, struct seat *seat, enum update_cause cause);
/* Looks, as many as may be in flight. */
void plan_pump(struct gateway *gw, struct moment now);
/* Its devices that are being updated: what they get may have lost its reason. */
void plan_running(struct gateway *gw, uint16_t product);
void plan_product(struct gateway *gw, uint16_t product, struct moment now);
void plan_candidates(struct gateway *gw, struct gateway_job *job, int code, struct moment now);
/* Tells the device what it is to be told. */
void plan_wishes(struct gateway *gw, struct seat *seat, struct moment now);
void plan_close(struct gateway *gw);

/* update/transfer.c */
void transfer_start(struct gateway *gw, struct seat *seat, const struct app_offer *offer,
                    struct moment now);
/* discard: what the device holds of the image will not be asked for again. */
void transfer_cancel(struct gateway *gw, struct seat *seat, bool discard, struct moment now);
void transfer_event(struct gateway *gw, struct seat *seat, const struct session_event *event,
                    struct moment now);
void transfer_image(struct gateway *gw, struct gateway_job *job, int code, struct moment now);
void transfer_moved(struct gateway *gw, struct seat *seat, const struct gateway_job *job, int code,
                    struct moment now);
void transfer_ended(struct gateway *gw, struct seat *seat, const struct gateway_job *job, int code,
                    struct moment now);
/* Submits what is due of it: a move, its end, its progress. */
void transfer_pump(struct gateway *gw, struct seat *seat, struct moment now);
mono_time transfer_deadline(const struct desk *desk);
/* The session goes away: the update is due again at the device's next word. */
void transfer_drop(struct gateway *gw, struct seat *seat, struct moment now);

/* update/pace.c: what transfers may send together */
bool pace_is_metered(const struct gateway *gw);
/* Slots: so many that each one's share is no less than what keeps a transfer alive. */
uint32_t pace_transfers_max(const struct gateway *gw);
/* Puts a seat in line that has a chunk due and nothing granted. When to call it again, at the
 * latest: MONO_NEVER but without memory. */
mono_time pace_wait(struct gateway *gw, struct seat *seat, mono_time now);
/* Grants what there is, first come first served. */
void pace_pump(struct gateway *gw, struct moment now);
mono_time pace_deadline(const struct gateway *gw);
void pace_configure(struct gateway *gw); /* after the rate changed */

/* seat/keep.c: sessions at rest */
void keep_reserve(struct gateway *gw, struct seat *seat, struct moment now);
void keep_saved(struct gateway *gw, struct seat *seat, const struct gateway_job *job, int code,
                struct moment now);
void keep_forget(struct gateway *gw, const struct seat *seat, struct moment now);
void keep_restore(struct gateway *gw, struct moment now);
void keep_restored(struct gateway *gw, struct gateway_job *job, int code, struct moment now);
/* Devices that were in the middle of a transfer are woken, which leads to its next offer. */
void keep_interrupted(struct gateway *gw, struct gateway_job *job, int code, struct moment now);
void keep_drain(struct gateway *gw, struct moment now);
/* Keeps a datagram until the reservation is there, and gives it again then. */
void keep_hold(struct gateway *gw, struct seat *seat, gateway_path path, const struct address *from,
               struct span bytes);
void keep_let_go(struct gateway *gw, struct seat *seat, struct moment now);

/* seat/knock.c: at devices that may not be heard after a crash; the seat has a desk */
/* At the address where it was last. */
void knock_begin(struct seat *seat, mono_time now);
/* One spoke, and could not be heard. */
void knock_unheard(struct seat *seat, gateway_path path, const struct address *from, mono_time now);
/* Numbers are reserved. */
void knock_may(struct seat *seat, mono_time now);
/* Sends what is due, which is one. */
void knock_pump(struct gateway *gw, struct seat *seat, mono_time now);
mono_time knock_deadline(const struct seat *seat); /* MONO_NEVER: none is due */
/* None is due, and the pause behind the last one is over. */
bool knock_is_over(const struct seat *seat, mono_time now);

/* seat/command.c */
void command_answer(struct gateway *gw, struct seat *seat, const struct session_event *event);
void command_heard(struct gateway *gw, struct seat *seat);
void command_unreachable(struct gateway *gw, struct seat *seat);
void command_tick(struct gateway *gw, struct seat *seat, mono_time now);
mono_time command_deadline(const struct desk *desk);
void command_drop(struct gateway *gw, struct desk *desk);

#endif
