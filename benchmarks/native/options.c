/* The command line: --name=value, each at most meaningful once, nothing positional. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, WHOLE, SECONDS, SWITCH };

struct option {
    const char *name;
    enum kind kind;
    void *target;
    double least, most;
};

static long whole(const struct option *option, const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || (double)value < option->least || (double)value > option->most)
        fail(STATUS_USAGE, "--%s=%s: give a whole number from %.0f to %.0f", option->name, text,
             option->least, option->most);
    return value;
}

static double seconds(const struct option *option, const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno || end == text || *end || !(value >= option->least && value <= option->most))
        fail(STATUS_USAGE, "--%s=%s: give seconds from %g to %g", option->name, text, option->least,
             option->most);
    return value;
}

static void set(const struct option *option, const char *text)
{
    switch (option->kind) {
    case TEXT: *(const char **)option->target = text; break;
    case WHOLE: *(long *)option->target = whole(option, text); break;
    case SWITCH: *(bool *)option->target = whole(option, text) != 0; break;
    case SECONDS: *(double *)option->target = seconds(option, text); break;
    }
}

struct options parse_options(int argc, char **argv)
{
    struct options o = {.runtime = "litert", .samples = 1, .threads = 1, .deadline_s = 600};
    const double day_s = 86400;
    const struct option known[] = {
        {"runtime", TEXT, &o.runtime, 0, 0},
        {"library", TEXT, &o.library, 0, 0},
        {"model", TEXT, &o.model, 0, 0},
        {"input", TEXT, &o.input, 0, 0},
        {"output", TEXT, &o.output, 0, 0},
        {"report", TEXT, &o.report, 0, 0},
        {"samples", WHOLE, &o.samples, 1, 100000},
        {"threads", WHOLE, &o.threads, 1, 64},
        {"warmup-runs", WHOLE, &o.warmup_runs, 0, 1000000},
        {"warmup-min-s", SECONDS, &o.warmup_min_s, 0, day_s},
        {"runs", WHOLE, &o.runs, 0, 1000000},
        {"min-s", SECONDS, &o.min_s, 0, day_s},
        {"deadline-s", SECONDS, &o.deadline_s, 0.001, day_s},
        {"per-op", WHOLE, &o.per_op, 0, 100},
        {"fp16", SWITCH, &o.fp16, 0, 1},
    };
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        size_t length = equals ? (size_t)(equals - argv[i]) : 0;
        const struct option *found = NULL;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (length == strlen(known[k].name) + 2 && !strncmp(argv[i], "--", 2) &&
                !strncmp(argv[i] + 2, known[k].name, length - 2))
                found = &known[k];
        if (!found)
            fail(STATUS_USAGE, "%s: unknown option; options have the form --name=value", argv[i]);
        set(found, equals + 1);
    }
    if (!o.model)
        fail(STATUS_USAGE, "--model=FILE is missing");
    if (o.samples > 1 && !o.input)
        fail(STATUS_USAGE, "--samples=%ld without --input=FILE", o.samples);
    return o;
}
