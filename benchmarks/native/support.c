/* What every part needs: failing with one line, time, the deadline, the runtime's library. */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "markers.h"

static void *library;

_Noreturn void fail(enum status status, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    fprintf(stderr, "bench: %s\n", line);
    fflush(stderr);
    _exit(status); /* not exit(): a runtime's own threads may still run, and its destructors may wait */
}

static void time_is_up(int number)
{
    static const char line[] = "bench: the deadline has passed; stopped\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
    (void)written;
    _exit(STATUS_DEADLINE);
}

static void crashed(int number)
{
    static const char line[] = "bench: the runtime crashed\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
    (void)written;
    _exit(STATUS_CRASH);
}

/* Runtimes trust a model's tables: a damaged one may lead them anywhere. */
void report_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    static char stack[64 * 1024]; /* of its own, for a crash by endless recursion */
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = crashed;
    action.sa_flags = SA_ONSTACK;
    if (sigaltstack(&alternative, NULL))
        fail(STATUS_INTERNAL, "no stack for crashes");
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
        if (sigaction(signals[k], &action, NULL))
            fail(STATUS_INTERNAL, "signal %d cannot be caught", signals[k]);
}

/* The kernel's own timer: it fires whatever the runtime does, and no clock read can mislead it. */
void arm_deadline(double seconds)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = time_is_up;
    double whole = floor(seconds);
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)whole,
                                           .tv_usec = (suseconds_t)((seconds - whole) * 1e6)}};
    if (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0)
        timer.it_value.tv_usec = 1;
    if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &timer, NULL))
        fail(STATUS_INTERNAL, "the deadline's timer cannot be set");
}

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        fail(STATUS_INTERNAL, "out of memory: %zu bytes were asked for", bytes);
    return memory;
}

void mark(int what)
{
    prctl(MARKER_MAGIC, (unsigned long)what, 0, 0, 0);
}

void open_library(const char *path)
{
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail(STATUS_LIBRARY, "the runtime cannot be loaded: %s", dlerror());
}

void *symbol(const char *name)
{
    void *address = dlsym(library, name);
    if (!address)
        fail(STATUS_LIBRARY, "the runtime has no function %s; it is another runtime or another version",
             name);
    return address;
}

char *copy_text(const char *text)
{
    size_t length = strlen(text) + 1;
    return memcpy(allocate(length), text, length);
}

void check_tensor_count(size_t count)
{
    if (count > MAX_TENSORS)
        fail(STATUS_MODEL, "%zu inputs or outputs; at most %d are served", count, MAX_TENSORS);
}

size_t element_size(const char *dtype)
{
    static const struct {
        const char *name;
        size_t bytes;
    } known[] = {{"float32", 4}, {"float16", 2}, {"float64", 8}, {"int8", 1},  {"uint8", 1}, {"bool", 1},
                 {"int16", 2},   {"uint16", 2},  {"int32", 4},   {"uint32", 4}, {"int64", 8}, {"uint64", 8}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (!strcmp(dtype, known[k].name))
            return known[k].bytes;
    fail(STATUS_INTERNAL, "no element size for type %s", dtype);
}
