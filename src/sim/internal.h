/* What the parts of a simulated device know of each other. */
#ifndef SLIPWAY_SIM_INTERNAL_H
#define SLIPWAY_SIM_INTERNAL_H

#include "sim/device.h"
#include "slipway/coap/message.h"
#include "slipway/image/image.h"

#define SIM_MESSAGE_MAX     1152
#define SIM_BLOCK_BYTES     1024
#define SIM_APPLICATION_MAX 4096 /* bytes of an application Describe */

enum sim_word_kind {
    WORD_FREE,
    WORD_HELLO,
    WORD_PING,
    WORD_DESCRIBE_SYSTEM,      /* argument: block number */
    WORD_DESCRIBE_APPLICATION, /* the same */
    WORD_TIME,
    WORD_SAFE_MODE,
    WORD_LAST_RESET,
    WORD_ENABLED,           /* argument: 0 or 1 */
    WORD_FORCED,            /* the same */
    WORD_SUBSCRIBE,         /* argument: which */
    WORD_ANSWER_DESCRIBE,   /* argument: kind << 16 | block number */
    WORD_ANSWER_FUNCTION,   /* argument: the result */
    WORD_ANSWER_VARIABLE,   /* argument: 0 = unknown, 1 = boots */
    WORD_ANSWER_READY,      /* legacy 2.04 */
    WORD_ANSWER_CHUNK,      /* legacy, slow: argument 1 = accepted, 0 = damaged */
    WORD_MISSING,           /* legacy GET /c */
    WORD_ANSWER_START,      /* 2.01 */
    WORD_ANSWER_FINISH,     /* 2.04 that awaits the commit */
    WORD_ANSWER_CANCEL,     /* 2.04 without payload */
    WORD_ANSWER_ERROR,      /* argument: the negated error; the connection stays */
    WORD_ANSWER_LAST_ERROR, /* the same, and the connection is dropped when it is acknowledged */
};

/* device.c */
void device_violation(struct sim_device *device, const char *what, int64_t number);
/* For what a lossy or reordering network may cause as well. */
void device_stray(struct sim_device *device, const char *what, int64_t number);
/* The connection is over; another attempt follows. */
void device_lose(struct sim_device *device, bool keeps_session, mono_time now);
void device_acknowledged(struct sim_device *device, const struct sim_word *word, mono_time now,
                         struct outbox *out);

/* words.c: what a device says of its own accord */
/* Sends it and awaits its acknowledgement; `token` counts for answers only. */
void device_say(struct sim_device *device, enum sim_word_kind kind, uint32_t argument,
                uint8_t token, mono_time now, struct outbox *out);
void device_retransmit(struct sim_device *device, struct sim_word *word, struct outbox *out);
bool device_awaits(const struct sim_device *device);
void device_forget_words(struct sim_device *device);
/* One CoAP message, sealed, as a datagram. */
void device_send(struct sim_device *device, struct span message, struct outbox *out);
void device_send_bare(struct sim_device *device, uint8_t type, uint16_t id, struct outbox *out);

/* describe.c */
size_t device_describe_system(const struct sim_device *device, uint8_t *out, size_t cap);
/* What a resumed session compares: its modules, without its assets. */
uint32_t device_system_checksum(const struct sim_device *device);
size_t device_describe_application(const struct sim_device *device, uint8_t *out, size_t cap);
uint32_t device_checksum(struct span bytes); /* never 0 */

/* dispatch.c: what the server says */
void device_dispatch(struct sim_device *device, struct span bytes, mono_time now,
                     struct outbox *out);

/* assets.c */
bool asset_is_there(const struct sim_assets *assets, const uint8_t hash[SHA256_BYTES]);
/* What an application's file says that it depends on. */
void assets_of(struct span file, const struct image_info *info, struct sim_assets *out);
/* Whether what is in an asset module has the hash that it says, unpacked if need be. */
bool asset_is_sound(struct span file, const struct image_info *info);
/* Stores a sound asset module, if there is room. */
bool asset_store(struct sim_device *device, struct span file, const struct image_info *info);

/* update.c */
void device_update_start(struct sim_device *device, const struct coap_message *message,
                         mono_time now, struct outbox *out);
void device_update_chunk(struct sim_device *device, const struct coap_message *message,
                         mono_time now, struct outbox *out);
void device_update_finish(struct sim_device *device, const struct coap_message *message,
                          mono_time now, struct outbox *out);
void device_update_tick(struct sim_device *device, mono_time now, struct outbox *out);
void device_update_stop(struct sim_device *device, bool discard);
void device_update_commit(struct sim_device *device, uint16_t id, mono_time now);
void device_update_install(struct sim_device *device);
mono_time device_update_deadline(const struct sim_device *device);
bool device_is_updating(const struct sim_device *device);

/* Acknowledges a request with a code (0 = empty) and keeps that for its duplicates. `text` lives
 * for ever; NULL = no payload. */
void device_acknowledge(struct sim_device *device, const struct coap_message *request, uint8_t code,
                        const char *text, mono_time now, struct outbox *out);

/* legacy.c */
void legacy_begin(struct sim_device *device, const struct coap_message *message, mono_time now,
                  struct outbox *out);
void legacy_chunk(struct sim_device *device, const struct coap_message *message, mono_time now,
                  struct outbox *out);
void legacy_done(struct sim_device *device, const struct coap_message *message, mono_time now,
                 struct outbox *out);
void legacy_stop(struct sim_device *device);
void legacy_tick(struct sim_device *device, mono_time now);
/* Big-endian numbers of chunks that are not there, a bounded number of them. */
size_t legacy_missing(const struct sim_device *device, uint8_t *out, size_t cap);

#endif
