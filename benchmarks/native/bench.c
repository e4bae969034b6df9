/* The order of a measurement: load, run every sample once, warm up, time, profile, report. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "markers.h"

struct samples {
    double *at;
    size_t count, capacity;
};

static const struct runtime *const runtimes[] = {&litert_runtime, &tflite_runtime, &onnxruntime_runtime};

static const struct runtime *find_runtime(const char *name)
{
    for (size_t k = 0; k < sizeof runtimes / sizeof *runtimes; k++)
        if (!strcmp(runtimes[k]->name, name))
            return runtimes[k];
    fail(STATUS_USAGE, "--runtime=%s: give litert, tflite or onnxruntime", name);
}

static void append(struct samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? 2 * samples->capacity : 1024;
        samples->at = realloc(samples->at, samples->capacity * sizeof *samples->at);
        if (!samples->at)
            fail(STATUS_INTERNAL, "out of memory for %zu samples", samples->capacity);
    }
    samples->at[samples->count++] = value;
}

static size_t total_bytes(const struct tensors *tensors)
{
    size_t total = 0;
    for (size_t k = 0; k < tensors->count; k++)
        total += tensors->at[k].bytes;
    return total;
}

/* Numbers in [0, 1) for floats, small whole numbers otherwise: the same on every machine. */
static void make_up(const struct tensor *tensor, unsigned char *data)
{
    uint32_t state = 1;
    size_t width = element_size(tensor->dtype);
    bool is_float32 = !strcmp(tensor->dtype, "float32");
    for (size_t at = 0; at + width <= tensor->bytes; at += width) {
        state = state * 1664525u + 1013904223u;
        float value = (float)(state >> 8) * (1.0f / 16777216.0f);
        if (is_float32)
            memcpy(data + at, &value, sizeof value);
        else if (strncmp(tensor->dtype, "float", 5))
            data[at] = (unsigned char)(state >> 31); /* 0 or 1: an index or a truth value stays valid */
    }
}

/* All inputs of all samples, in one piece. */
static unsigned char *read_inputs(const struct options *options, const struct tensors *inputs)
{
    size_t each = total_bytes(inputs), wanted = each * (size_t)options->samples;
    unsigned char *data = allocate(wanted);
    if (!options->input) {
        size_t at = 0;
        for (size_t k = 0; k < inputs->count; at += inputs->at[k++].bytes)
            make_up(&inputs->at[k], data + at);
        return data;
    }
    FILE *file = fopen(options->input, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info))
        fail(STATUS_DATA, "%s: %s", options->input, strerror(errno));
    if ((size_t)info.st_size != wanted)
        fail(STATUS_DATA, "%s: %lld bytes, but %ld samples of this model's inputs take %zu", options->input,
             (long long)info.st_size, options->samples, wanted);
    if (fread(data, 1, wanted, file) != wanted)
        fail(STATUS_DATA, "%s: cannot be read", options->input);
    fclose(file);
    return data;
}

static void write_inputs(const struct runtime *runtime, const struct tensors *inputs, const unsigned char *data)
{
    for (size_t k = 0; k < inputs->count; data += inputs->at[k++].bytes)
        runtime->write_input(k, data, inputs->at[k].bytes);
}

static double timed_invoke(const struct runtime *runtime)
{
    double start = now_ms();
    runtime->invoke();
    return now_ms() - start;
}

static void append_outputs(const struct runtime *runtime, const struct tensors *outputs, FILE *file,
                           const char *path)
{
    for (size_t k = 0; k < outputs->count; k++) {
        void *data = allocate(outputs->at[k].bytes);
        runtime->read_output(k, data, outputs->at[k].bytes);
        if (fwrite(data, 1, outputs->at[k].bytes, file) != outputs->at[k].bytes)
            fail(STATUS_DATA, "%s: %s", path, strerror(errno));
        free(data);
    }
}

/* Runs every sample once and keeps its outputs. Returns how long the very first inference took. */
static double run_samples(const struct runtime *runtime, const struct options *options,
                          const struct tensors *inputs, const struct tensors *outputs,
                          const unsigned char *data)
{
    FILE *file = options->output ? fopen(options->output, "wb") : NULL;
    if (options->output && !file)
        fail(STATUS_DATA, "%s: %s", options->output, strerror(errno));
    double first_ms = 0;
    for (long k = 0; k < options->samples; k++) {
        write_inputs(runtime, inputs, data + (size_t)k * total_bytes(inputs));
        double took_ms = timed_invoke(runtime);
        if (k == 0)
            first_ms = took_ms;
        if (file)
            append_outputs(runtime, outputs, file, options->output);
    }
    if (file && fclose(file))
        fail(STATUS_DATA, "%s: %s", options->output, strerror(errno));
    return first_ms;
}

static void warm_up(const struct runtime *runtime, const struct options *options, struct samples *taken)
{
    double start = now_ms();
    while (taken->count < (size_t)options->warmup_runs || now_ms() - start < 1e3 * options->warmup_min_s)
        append(taken, timed_invoke(runtime));
}

static void take_samples(const struct runtime *runtime, const struct options *options, struct samples *taken)
{
    double start = now_ms();
    while (taken->count < (size_t)options->runs || now_ms() - start < 1e3 * options->min_s) {
        mark(MARKER_START);
        double took_ms = timed_invoke(runtime);
        mark(MARKER_STOP);
        append(taken, took_ms);
    }
}

static void profile(const struct runtime *runtime, long inferences, FILE *out)
{
    fprintf(out, ",\n \"profile\": [");
    for (long k = 0; k < inferences; k++) {
        fputs(k ? ",\n " : "", out);
        runtime->profile_begin();
        mark(MARKER_START);
        runtime->invoke();
        mark(MARKER_STOP);
        runtime->profile_end(out, k == inferences - 1);
    }
    fputc(']', out);
}

static long long peak_memory_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024LL * usage.ru_maxrss; /* Linux counts in KiB */
}

int main(int argc, char **argv)
{
    struct options options = parse_options(argc, argv);
    arm_deadline(options.deadline_s);
    report_crashes();
    const struct runtime *runtime = find_runtime(options.runtime);
    static struct tensors inputs, outputs;

    double start = now_ms();
    open_library(options.library ? options.library : runtime->default_library);
    runtime->load(&options, &inputs, &outputs);
    double load_ms = now_ms() - start;

    struct samples warmup = {0}, taken = {0};
    unsigned char *data = read_inputs(&options, &inputs);
    double first_ms = run_samples(runtime, &options, &inputs, &outputs, data);
    if (options.samples > 1)
        write_inputs(runtime, &inputs, data); /* what is timed is the first sample */
    warm_up(runtime, &options, &warmup);
    take_samples(runtime, &options, &taken);

    FILE *out = options.report ? fopen(options.report, "w") : stdout;
    if (!out)
        fail(STATUS_INTERNAL, "%s: %s", options.report, strerror(errno));
    fprintf(out, "{\"bench_report\": 1, \"runtime\": \"%s\", \"runtime_version\": ", runtime->name);
    json_string(out, runtime->version());
    fprintf(out, ", \"threads\": %ld, \"fp16\": %s, \"cpu\": %d", options.threads,
            options.fp16 ? "true" : "false", sched_getcpu());
    fprintf(out, ",\n \"load_ms\": %.6f, \"first_inference_ms\": %.6f", load_ms, first_ms);
    json_tensors(out, "inputs", &inputs);
    json_tensors(out, "outputs", &outputs);
    json_numbers(out, "warmup_ms", warmup.at, warmup.count);
    json_numbers(out, "samples_ms", taken.at, taken.count);
    if (options.per_op)
        profile(runtime, options.per_op, out);
    fprintf(out, ",\n \"peak_memory_bytes\": %lld}\n", peak_memory_bytes());
    if (fflush(out) || ferror(out) || (options.report && fclose(out)))
        fail(STATUS_INTERNAL, "the report cannot be written: %s", strerror(errno));
    _exit(STATUS_OK); /* runtimes' destructors have nothing to add, and some of them hang */
}
