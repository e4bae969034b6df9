/* How the bench tells an observer (the counting plugin) where an inference begins and ends.
 *
 * A marker is prctl(MARKER_MAGIC, what, number). The kernel does not know this option and answers EINVAL,
 * so markers are harmless on a phone; an emulator's plugin sees the system call.
 *
 *   MARKER_STOP    counting stops
 *   MARKER_START   counting starts; one START .. STOP per inference
 *   MARKER_TICK    between START and STOP: note the counters as they are now, under `number`. Sent, with
 *                  --ticks=1 only, each time the runtime's own profiler reads the clock, so that the
 *                  difference of two ticks is what one operator cost. `number` counts from 0 in each region.
 */
#ifndef MOCOVIT_MARKERS_H
#define MOCOVIT_MARKERS_H

#define MARKER_MAGIC 0x4d56424e /* "MVBN" */

enum { MARKER_STOP = 0, MARKER_START = 1, MARKER_TICK = 2 };

#endif
