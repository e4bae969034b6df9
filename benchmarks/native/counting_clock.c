/* A clock that counts how often it is read: preloaded under emulation, never on a device.
 *
 * Runtimes profile their operators by reading the clock between them. Under emulation time means nothing,
 * but those reads sit exactly where one operator ends and the next begins. This library replaces the clock
 * by a counter: the n-th read returns n microseconds and sends MARKER_TICK n, on which the counting plugin
 * notes how many instructions have run. The profile that the runtime writes then holds tick numbers where
 * it believes to have microseconds, and ticks lead to exact instructions per operator.
 *
 * Build: cc -shared -fPIC counting_clock.c -o libcountingclock.so     Use: ld.so --preload, or LD_PRELOAD
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/prctl.h>
#include <time.h>

#include "markers.h"

static atomic_ulong ticks;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock; /* every clock of the process is this one: differences between clocks stay zero */
    unsigned long tick = atomic_fetch_add(&ticks, 1) + 1;
    now->tv_sec = (time_t)(tick / 1000000);
    now->tv_nsec = (long)(tick % 1000000) * 1000;
    prctl(MARKER_MAGIC, MARKER_TICK, tick, 0, 0);
    return 0;
}
