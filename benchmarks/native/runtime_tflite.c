/* The TFLite C interface (libLiteRtRuntimeCApi.so of the 1.x wheels, or any libtensorflowlite_c.so).
 *
 * Declarations follow tflite/core/c/{c_api,c_api_experimental}.h and tflite/profiling/telemetry/c/profiler.h
 * of LiteRT 1.4; handles are opaque pointers. XNNPACK is not applied by default here, so it is created.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { XNNPACK_FORCE_FP16 = 4 };

/* TfLiteXNNPackDelegateOptions begins with these fields; what follows differs by version. It is returned by
 * value, through a pointer to the caller's memory, so a larger structure receives a smaller one safely. */
struct xnnpack_options {
    int32_t threads;
    uint32_t runtime_flags;
    uint32_t flags;
    char rest[500];
};

/* TfLiteTelemetryProfilerStruct */
struct telemetry {
    void *data;
    void (*event)(struct telemetry *, const char *, uint64_t);
    void (*operator_event)(struct telemetry *, const char *, int64_t, int64_t, uint64_t);
    void (*settings)(struct telemetry *, const char *, const void *);
    uint32_t (*operator_begins)(struct telemetry *, const char *, int64_t, int64_t);
    void (*operator_ends)(struct telemetry *, uint32_t);
    void (*delegate_operator)(struct telemetry *, const char *, uint64_t, int64_t, int64_t);
};

struct event {
    char name[120];
    const char *kind;
    int64_t index;
    double start_us, elapsed_us;
};

static void *interpreter;
static int (*run)(void *);
static void *(*input_tensor)(void *, int);
static const void *(*output_tensor)(void *, int);
static int (*copy_in)(void *, const void *, size_t);
static int (*copy_out)(const void *, void *, size_t);
static struct event *events;
static size_t event_count, event_capacity;
static bool recording;

static const char *dtype_of(int type)
{
    static const char *const names[] = {NULL,   "float32", "int32",   "uint8",   NULL,     NULL,  "bool",
                                        "int16", NULL,      "int8",    "float16", "float64"};
    const char *name = type == 4 ? "int64" : type >= 0 && type < 12 ? names[type] : NULL;
    if (!name)
        fail(STATUS_MODEL, "a tensor of TFLite type %d cannot be read or written", type);
    return name;
}

static uint32_t add_event(const char *name, const char *kind, int64_t index, double start_us, double elapsed_us)
{
    if (event_count == event_capacity) {
        event_capacity = event_capacity ? 2 * event_capacity : 1024;
        events = realloc(events, event_capacity * sizeof *events);
        if (!events)
            fail(STATUS_INTERNAL, "out of memory for %zu events", event_capacity);
    }
    struct event *event = &events[event_count];
    *event = (struct event){.kind = kind, .index = index, .start_us = start_us, .elapsed_us = elapsed_us};
    snprintf(event->name, sizeof event->name, "%s", name);
    return (uint32_t)event_count++;
}

static void ignore_event(struct telemetry *t, const char *name, uint64_t status)
{
    (void)t, (void)name, (void)status;
}

static void ignore_operator_event(struct telemetry *t, const char *name, int64_t op, int64_t graph, uint64_t status)
{
    (void)t, (void)name, (void)op, (void)graph, (void)status;
}

static void ignore_settings(struct telemetry *t, const char *name, const void *settings)
{
    (void)t, (void)name, (void)settings;
}

static uint32_t operator_begins(struct telemetry *t, const char *name, int64_t op, int64_t graph)
{
    (void)t, (void)graph;
    return recording ? add_event(name, "operator", op, 1e3 * now_ms(), 0) : 0;
}

static void operator_ends(struct telemetry *t, uint32_t handle)
{
    (void)t;
    if (recording)
        events[handle].elapsed_us = 1e3 * now_ms() - events[handle].start_us;
}

static void delegate_operator(struct telemetry *t, const char *name, uint64_t elapsed_us, int64_t op, int64_t graph)
{
    (void)t, (void)graph;
    if (recording)
        add_event(name, "delegate", op, 0, (double)elapsed_us);
}

static struct telemetry profiler = {NULL,          ignore_event,  ignore_operator_event, ignore_settings,
                                    operator_begins, operator_ends, delegate_operator};

static void describe(const void *handle, struct tensor *tensor)
{
    const char *name = ((const char *(*)(const void *))symbol("TfLiteTensorName"))(handle);
    snprintf(tensor->name, sizeof tensor->name, "%s", name ? name : "");
    tensor->dtype = dtype_of(((int (*)(const void *))symbol("TfLiteTensorType"))(handle));
    tensor->rank = ((int32_t (*)(const void *))symbol("TfLiteTensorNumDims"))(handle);
    if (tensor->rank > MAX_RANK)
        fail(STATUS_MODEL, "tensor %s has %d dimensions", tensor->name, tensor->rank);
    tensor->bytes = ((size_t (*)(const void *))symbol("TfLiteTensorByteSize"))(handle);
    size_t expected = element_size(tensor->dtype);
    for (int axis = 0; axis < tensor->rank; axis++) {
        tensor->shape[axis] = ((int32_t (*)(const void *, int32_t))symbol("TfLiteTensorDim"))(handle, axis);
        expected *= (size_t)tensor->shape[axis];
    }
    if (expected != tensor->bytes)
        fail(STATUS_MODEL, "tensor %s takes %zu bytes by its shape, %zu by the runtime", tensor->name, expected,
             tensor->bytes);
}

static void add_xnnpack(void *options, const struct options *asked)
{
    struct xnnpack_options xnnpack;
    memset(&xnnpack, 0, sizeof xnnpack);
    xnnpack = ((struct xnnpack_options(*)(void))symbol("TfLiteXNNPackDelegateOptionsDefault"))();
    xnnpack.threads = (int32_t)asked->threads;
    if (asked->fp16)
        xnnpack.flags |= XNNPACK_FORCE_FP16;
    void *delegate =
        ((void *(*)(const struct xnnpack_options *))symbol("TfLiteXNNPackDelegateCreate"))(&xnnpack);
    if (!delegate)
        fail(STATUS_MODEL, "XNNPACK cannot be created");
    ((void (*)(void *, void *))symbol("TfLiteInterpreterOptionsAddDelegate"))(options, delegate);
}

static size_t checked_count(int32_t count)
{
    if (count < 0 || count > MAX_TENSORS)
        fail(STATUS_MODEL, "%d tensors on one side, at most %d are served", count, MAX_TENSORS);
    return (size_t)count;
}

static void load(const struct options *asked, struct tensors *inputs, struct tensors *outputs)
{
    run = symbol("TfLiteInterpreterInvoke");
    input_tensor = symbol("TfLiteInterpreterGetInputTensor");
    output_tensor = symbol("TfLiteInterpreterGetOutputTensor");
    copy_in = symbol("TfLiteTensorCopyFromBuffer");
    copy_out = symbol("TfLiteTensorCopyToBuffer");
    void *model = ((void *(*)(const char *))symbol("TfLiteModelCreateFromFile"))(asked->model);
    if (!model)
        fail(STATUS_MODEL, "%s: TFLite cannot read it", asked->model);
    void *options = ((void *(*)(void))symbol("TfLiteInterpreterOptionsCreate"))();
    ((void (*)(void *, int32_t))symbol("TfLiteInterpreterOptionsSetNumThreads"))(options, (int32_t)asked->threads);
    if (asked->per_op)
        ((void (*)(void *, void *))symbol("TfLiteInterpreterOptionsSetTelemetryProfiler"))(options, &profiler);
    add_xnnpack(options, asked);
    interpreter = ((void *(*)(void *, void *))symbol("TfLiteInterpreterCreate"))(model, options);
    if (!interpreter)
        fail(STATUS_MODEL, "%s: TFLite cannot run it", asked->model);
    if (((int (*)(void *))symbol("TfLiteInterpreterAllocateTensors"))(interpreter))
        fail(STATUS_MODEL, "%s: TFLite cannot allocate its tensors", asked->model);
    inputs->count = checked_count(((int32_t (*)(void *))symbol("TfLiteInterpreterGetInputTensorCount"))(interpreter));
    outputs->count =
        checked_count(((int32_t (*)(void *))symbol("TfLiteInterpreterGetOutputTensorCount"))(interpreter));
    for (size_t k = 0; k < inputs->count; k++)
        describe(input_tensor(interpreter, (int)k), &inputs->at[k]);
    for (size_t k = 0; k < outputs->count; k++)
        describe(output_tensor(interpreter, (int)k), &outputs->at[k]);
}

static const char *version(void)
{
    const char *(*ask)(void) = optional_symbol("TfLiteVersion");
    return ask ? ask() : "";
}

static void write_input(size_t index, const void *data, size_t bytes)
{
    if (copy_in(input_tensor(interpreter, (int)index), data, bytes))
        fail(STATUS_INFERENCE, "TFLite does not take input %zu", index);
}

/* A profiled inference is itself an event, so that one knows where its operators' clock reads begin. */
static void invoke(void)
{
    double start_us = recording ? 1e3 * now_ms() : 0;
    uint32_t handle = recording ? add_event("Invoke", "other", 0, start_us, 0) : 0;
    if (run(interpreter))
        fail(STATUS_INFERENCE, "TFLite failed while running the model");
    if (recording)
        events[handle].elapsed_us = 1e3 * now_ms() - start_us;
}

static void read_output(size_t index, void *data, size_t bytes)
{
    if (copy_out(output_tensor(interpreter, (int)index), data, bytes))
        fail(STATUS_INFERENCE, "TFLite does not give output %zu", index);
}

static void profile_begin(void)
{
    event_count = 0;
    recording = true;
}

static void profile_end(FILE *out, bool last)
{
    (void)last;
    recording = false;
    fputc('[', out);
    for (size_t k = 0; k < event_count; k++)
        json_event(out, k == 0, events[k].name, events[k].kind, events[k].index, events[k].start_us,
                   events[k].elapsed_us);
    fputc(']', out);
}

const struct runtime tflite_runtime = {
    "tflite", "libLiteRtRuntimeCApi.so", load, version, write_input, invoke, read_output, profile_begin, profile_end,
};
