/* The two engines that are held against each other: the same measurements of both. */
#ifndef BENCH_DTLS_MEASURE_H
#define BENCH_DTLS_MEASURE_H

#include <stdint.h>

#define RECORD_BYTES 512

enum credential { RAW, PSK, CERTIFICATE, KNOWN_CERTIFICATE };
#define CREDENTIALS 4

#define BENCH_PSK "0123456789abcdef"

/* How long each measurement lasts, in seconds of CPU time; and that of this thread. */
extern double seconds;
double cpu_now(void);

/* Before the others of ours. */
void ours_load(void);
/* Handshakes a second of the server's CPU time. */
double ours_handshakes(enum credential credential);
double theirs_handshakes(enum credential credential);
/* Microseconds that anybody's first datagram costs. */
double ours_first_hello(void);
/* Microseconds for a record of RECORD_BYTES. */
void ours_records(double *seal_us, double *open_us, uint16_t suite);
void theirs_records(double *seal_us, double *open_us);
/* Bytes of heap for an established session. */
double theirs_memory(void);

#endif
