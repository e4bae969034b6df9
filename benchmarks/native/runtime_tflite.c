/* The TFLite C interface (libLiteRtRuntimeCApi.so of the 1.x wheels, or any libtensorflowlite_c.so).
 *
 * Functions are declared here as tflite/core/c/{c_api,c_api_experimental}.h and
 * tflite/profiling/telemetry/c/profiler.h of LiteRT 1.4 have them. Handles are opaque pointers, so void *
 * stands for each; a status of 0 is success. XNNPACK is not applied by default here, so it is created.
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

#define TFLITE_FUNCTIONS(F)                                                                    \
    F(void *, TfLiteModelCreateFromFile, (const char *path))                                   \
    F(void *, TfLiteInterpreterOptionsCreate, (void))                                          \
    F(void, TfLiteInterpreterOptionsSetNumThreads, (void *options, int32_t threads))           \
    F(void, TfLiteInterpreterOptionsSetTelemetryProfiler, (void *options, struct telemetry *)) \
    F(void, TfLiteInterpreterOptionsAddDelegate, (void *options, void *delegate))              \
    F(struct xnnpack_options, TfLiteXNNPackDelegateOptionsDefault, (void))                     \
    F(void *, TfLiteXNNPackDelegateCreate, (const struct xnnpack_options *))                   \
    F(void *, TfLiteInterpreterCreate, (void *model, void *options))                           \
    F(int, TfLiteInterpreterAllocateTensors, (void *interpreter))                              \
    F(int, TfLiteInterpreterInvoke, (void *interpreter))                                       \
    F(int32_t, TfLiteInterpreterGetInputTensorCount, (void *interpreter))                      \
    F(int32_t, TfLiteInterpreterGetOutputTensorCount, (void *interpreter))                     \
    F(void *, TfLiteInterpreterGetInputTensor, (void *interpreter, int32_t index))             \
    F(const void *, TfLiteInterpreterGetOutputTensor, (void *interpreter, int32_t index))      \
    F(const char *, TfLiteTensorName, (const void *tensor))                                    \
    F(int, TfLiteTensorType, (const void *tensor))                                             \
    F(int32_t, TfLiteTensorNumDims, (const void *tensor))                                      \
    F(int32_t, TfLiteTensorDim, (const void *tensor, int32_t axis))                            \
    F(size_t, TfLiteTensorByteSize, (const void *tensor))                                      \
    F(int, TfLiteTensorCopyFromBuffer, (void *tensor, const void *data, size_t bytes))         \
    F(int, TfLiteTensorCopyToBuffer, (const void *tensor, void *data, size_t bytes))           \
    F(const char *, TfLiteVersion, (void))

#define DECLARE(result, name, arguments) static result(*name) arguments;
TFLITE_FUNCTIONS(DECLARE)

static void *interpreter;
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
    const char *name = TfLiteTensorName(handle);
    tensor->name = copy_text(name ? name : "");
    tensor->dtype = dtype_of(TfLiteTensorType(handle));
    tensor->rank = TfLiteTensorNumDims(handle);
    if (tensor->rank > MAX_RANK)
        fail(STATUS_MODEL, "tensor %s has %d dimensions", tensor->name, tensor->rank);
    tensor->bytes = TfLiteTensorByteSize(handle);
    size_t expected = element_size(tensor->dtype);
    for (int axis = 0; axis < tensor->rank; axis++) {
        tensor->shape[axis] = TfLiteTensorDim(handle, axis);
        expected *= (size_t)tensor->shape[axis];
    }
    if (expected != tensor->bytes)
        fail(STATUS_MODEL, "tensor %s takes %zu bytes by its shape, %zu by the runtime", tensor->name, expected,
             tensor->bytes);
}

static void *make_xnnpack(const struct options *asked)
{
    struct xnnpack_options options = TfLiteXNNPackDelegateOptionsDefault();
    options.threads = (int32_t)asked->threads;
    if (asked->fp16)
        options.flags |= XNNPACK_FORCE_FP16;
    void *delegate = TfLiteXNNPackDelegateCreate(&options);
    if (!delegate)
        fail(STATUS_MODEL, "XNNPACK cannot be created");
    return delegate;
}

static void load(const struct options *asked, struct tensors *inputs, struct tensors *outputs)
{
#define FIND(result, name, arguments) name = (result(*) arguments)symbol(#name);
    TFLITE_FUNCTIONS(FIND)
    void *model = TfLiteModelCreateFromFile(asked->model);
    if (!model)
        fail(STATUS_MODEL, "%s: TFLite cannot read it", asked->model);
    void *options = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsSetNumThreads(options, (int32_t)asked->threads);
    if (asked->per_op)
        TfLiteInterpreterOptionsSetTelemetryProfiler(options, &profiler);
    TfLiteInterpreterOptionsAddDelegate(options, make_xnnpack(asked));
    interpreter = TfLiteInterpreterCreate(model, options);
    if (!interpreter)
        fail(STATUS_MODEL, "%s: TFLite cannot run it", asked->model);
    if (TfLiteInterpreterAllocateTensors(interpreter))
        fail(STATUS_MODEL, "%s: TFLite cannot allocate its tensors", asked->model);
    inputs->count = (size_t)TfLiteInterpreterGetInputTensorCount(interpreter);
    outputs->count = (size_t)TfLiteInterpreterGetOutputTensorCount(interpreter);
    check_tensor_count(inputs->count);
    check_tensor_count(outputs->count);
    for (size_t k = 0; k < inputs->count; k++)
        describe(TfLiteInterpreterGetInputTensor(interpreter, (int32_t)k), &inputs->at[k]);
    for (size_t k = 0; k < outputs->count; k++)
        describe(TfLiteInterpreterGetOutputTensor(interpreter, (int32_t)k), &outputs->at[k]);
}

static const char *version(void)
{
    return TfLiteVersion();
}

static void write_input(size_t index, const void *data, size_t bytes)
{
    if (TfLiteTensorCopyFromBuffer(TfLiteInterpreterGetInputTensor(interpreter, (int32_t)index), data, bytes))
        fail(STATUS_INFERENCE, "TFLite does not take input %zu", index);
}

/* A profiled inference is itself an event, so that one knows where its operators' clock reads begin. */
static void invoke(void)
{
    double start_us = recording ? 1e3 * now_ms() : 0;
    uint32_t handle = recording ? add_event("Invoke", "other", 0, start_us, 0) : 0;
    if (TfLiteInterpreterInvoke(interpreter))
        fail(STATUS_INFERENCE, "TFLite failed while running the model");
    if (recording)
        events[handle].elapsed_us = 1e3 * now_ms() - start_us;
}

static void read_output(size_t index, void *data, size_t bytes)
{
    if (TfLiteTensorCopyToBuffer(TfLiteInterpreterGetOutputTensor(interpreter, (int32_t)index), data, bytes))
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
