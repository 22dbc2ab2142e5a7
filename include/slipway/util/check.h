/* SW_CHECK: for what can only be false if this program is wrong. Always on, also in release
 * builds; prints the condition and its place to standard error, then aborts. Never for input. */
#ifndef SLIPWAY_UTIL_CHECK_H
#define SLIPWAY_UTIL_CHECK_H

_Noreturn void sw_check_failed(const char *condition, const char *file, int line);

#define SW_CHECK(condition)                                                                        \
    ((condition) ? (void)0 : sw_check_failed(#condition, __FILE__, __LINE__))

#define SW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
