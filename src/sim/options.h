/* The command line of slipway-sim. */
#ifndef SLIPWAY_SIM_OPTIONS_H
#define SLIPWAY_SIM_OPTIONS_H

#include "slipway/model/ids.h"
#include "slipway/model/platform.h"

#define OPTION_IDS_MAX 64 /* of one --disable-updates list */

struct options {
    const char *server;     /* HOST:PORT */
    const char *server_key; /* file */
    const char *ids_file;   /* instead of `devices` */
    const char *firmware;   /* file that all devices run at first */
    const char *control;    /* path, or "-" */
    const char *status_file;
    const struct platform *platform;
    long devices;
    long version; /* at first; VERSION_NONE = none */
    long system_version;
    long loss_percent, latency_ms, jitter_ms;
    long power_cut_percent, reboot_ms, ping_ms, functions;
    long enable_after_s; /* 0 = never */
    long start_rate;     /* devices powered on per second; 0 = all at once */
    long seed;
    bool is_legacy, is_slow, is_json, prints_ids, prints_keys, keeps_old, has_own_addresses;
    size_t disabled_count;
    struct device_id disabled[OPTION_IDS_MAX];
};

/* False after a complaint on standard error, or when help was asked for (*asked). */
bool options_read(int argc, char **argv, struct options *out, bool *asked);

#endif
