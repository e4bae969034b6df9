/* How a measured program tells an observer (the counting plugin of the emulator) where it is.
 *
 * A marker is prctl(MARKER_MAGIC, what, number). The kernel does not know this option and answers EINVAL,
 * so markers are harmless on a phone; an emulator's plugin sees the system call.
 *
 *   MARKER_STOP    the inference is over: counting stops
 *   MARKER_START   an inference begins: counting starts. One START .. STOP per inference
 *   MARKER_TICK    sent by libcountingclock.so, see counting_clock.c: `number` is the tick, counted from 1
 *                  since the program started. Between START and STOP an observer notes the counters as they
 *                  are now under that number; the difference of two ticks is what one operator cost.
 *                  Outside START .. STOP it is ignored.
 */
#ifndef MOCOVIT_MARKERS_H
#define MOCOVIT_MARKERS_H

#define MARKER_MAGIC 0x4d56424e /* "MVBN" */

enum { MARKER_STOP = 0, MARKER_START = 1, MARKER_TICK = 2 };

#endif
