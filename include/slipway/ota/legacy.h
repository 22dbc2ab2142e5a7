/* The sending side of the legacy chunked transfer (devices whose Hello lacks the v3 flag), as a
 * pure machine. The device chooses the form. Fast: it answers no chunk; they are paced, and what is
 * missing is told at the end. Slow: each chunk awaits the answer to the one before. Uses the states
 * of enum ota_state; FINISHING may lead back to SENDING. Not resumable. */
#ifndef SLIPWAY_OTA_LEGACY_H
#define SLIPWAY_OTA_LEGACY_H

#include "slipway/ota/ota.h"

#define OTA_LEGACY_CHUNKS_MAX  65534
#define OTA_LEGACY_MISSING_MAX 40
#define OTA_LEGACY_RATE        20000 /* bytes a second when none is given */

extern const struct fsm ota_legacy_fsm;

struct ota_legacy {
    uint8_t state;   /* enum ota_state; only legacy.c writes it */
    uint8_t failure; /* enum ota_failure */
    int32_t device_error;
    struct ota_params params; /* outstanding_max is not used */
    uint32_t chunk_count;
    uint32_t next_new; /* 0-based index of the next chunk: fast, never sent; slow, not accepted */
    bool is_finish_sent;
    bool is_slow, is_awaiting; /* slow: the chunk at next_new is out */
    uint8_t tries;             /* slow: how often the device called it damaged */
    uint8_t missing_count, missing_next;
    uint16_t missing[OTA_LEGACY_MISSING_MAX];
    uint16_t rounds; /* of missing chunks */
    mono_time pace, deadline;
    uint64_t chunks_sent, chunks_resent;
};

/* UpdateBegin was sent. SW_E_RANGE on bad parameters. */
int ota_legacy_begin(struct ota_legacy *ota, const struct ota_params *params,
                     mono_time now) SW_NODISCARD;
/* UpdateReady; is_fast as the device says. */
void ota_legacy_ready(struct ota_legacy *ota, bool is_fast, mono_time now);
/* Slow form: the device's answer to the chunk that was sent; false = damaged, to be sent again. */
void ota_legacy_answered(struct ota_legacy *ota, bool is_accepted, mono_time now);
/* GET /c: big-endian 16-bit indices. Nonsense in it is left out. */
void ota_legacy_missing(struct ota_legacy *ota, struct span indices, mono_time now);
/* 2.04 to UpdateDone, with the result that it told. */
void ota_legacy_finished(struct ota_legacy *ota, int32_t result, mono_time now);
/* An error in answer to UpdateBegin, UpdateDone or, in the slow form, a chunk. */
void ota_legacy_refused(struct ota_legacy *ota, int32_t device_error, mono_time now);
void ota_legacy_aborted(struct ota_legacy *ota, enum ota_failure failure, mono_time now);
/* As ota_next; .index is 0-based here. The last chunk of the file may be shorter: pad it. In the
 * slow form a chunk is to be sent reliably. */
void ota_legacy_next(struct ota_legacy *ota, mono_time now, bool may_send, struct ota_output *out);
/* Bytes with the device; in the fast form, which tells nothing before the end, bytes sent. */
uint32_t ota_legacy_progress(const struct ota_legacy *ota);

#endif
