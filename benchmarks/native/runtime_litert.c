/* LiteRT 2.x through its C interface (libLiteRt.so). XNNPACK is its default on CPUs.
 *
 * Declarations follow litert/c/{litert_model,litert_compiled_model,litert_tensor_buffer,litert_profiler}.h
 * of LiteRT 2.3; handles are opaque pointers, so void * stands for each of them.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { LITERT_CPU = 1 };                 /* kLiteRtHwAcceleratorCpu */
enum { LOCK_TO_READ = 0, LOCK_TO_WRITE = 1 }; /* LiteRtTensorBufferLockMode */

/* XNNPACK's delegate flags: what LiteRT sets by itself for int8, and half precision arithmetic. */
enum { XNNPACK_QS8 = 1, XNNPACK_QU8 = 2, XNNPACK_FORCE_FP16 = 4 };

/* LiteRtRankedTensorType, declared ABI-stable by LiteRT: an element type, then LiteRtLayout, whose first
 * word holds the rank in seven bits and a flag for strides in the eighth. */
struct ranked_type {
    int32_t element;
    uint32_t rank_and_flags;
    int32_t dimensions[8];
    uint32_t strides[8];
};
_Static_assert(sizeof(struct ranked_type) == 72, "as LiteRT asserts it");

/* ProfiledEventData of LiteRT 2.3. The two memory records are not used here, but they set the size. */
struct litert_event {
    const char *tag;
    int32_t type;
    uint64_t start_us, elapsed_us;
    int64_t memory_before[3], memory_after[3];
    uint64_t metadata[2];
    int32_t source;
};
enum { EVENT_OPERATOR = 1 << 1, EVENT_DELEGATE_OPERATOR = 1 << 2, EVENT_PROFILED_OPERATOR = 1 << 3 };

static void *environment, *model, *compiled, *profiler;
static void *input_buffers[MAX_TENSORS], *output_buffers[MAX_TENSORS];
static size_t input_count, output_count;
static int (*run)(void *, size_t, size_t, void **, size_t, void **);
static int (*lock)(void *, void **, int);
static int (*unlock)(void *);

/* LiteRT prints its reason on standard error by itself; the status number says which call it was. */
static void check(int status, enum status kind, const char *doing)
{
    if (status)
        fail(kind, "LiteRT status %d while %s", status, doing);
}

static const char *dtype_of(int32_t element)
{
    switch (element) {
    case 1: return "float32";
    case 2: return "int32";
    case 3: return "uint8";
    case 4: return "int64";
    case 6: return "bool";
    case 7: return "int16";
    case 9: return "int8";
    case 10: return "float16";
    case 11: return "float64";
    case 13: return "uint64";
    case 16: return "uint32";
    case 17: return "uint16";
    default: fail(STATUS_MODEL, "a tensor of LiteRT element type %d cannot be read or written", element);
    }
}

static void no_release(void *payload)
{
    (void)payload; /* static text */
}

static void add_options(void *options, const char *identifier, const char *toml)
{
    int (*create)(const char *, void *, void (*)(void *), void **) = symbol("LiteRtCreateOpaqueOptions");
    int (*add)(void *, void *) = symbol("LiteRtAddOpaqueOptions");
    void *opaque;
    check(create(identifier, (void *)(uintptr_t)toml, no_release, &opaque), STATUS_MODEL, "making options");
    check(add(options, opaque), STATUS_MODEL, "adding options");
}

static void *compilation_options(const struct options *asked)
{
    static char xnnpack[64];
    void *options;
    check(((int (*)(void **))symbol("LiteRtCreateOptions"))(&options), STATUS_MODEL, "making options");
    check(((int (*)(void *, int))symbol("LiteRtSetOptionsHardwareAccelerators"))(options, LITERT_CPU),
          STATUS_MODEL, "choosing the CPU");
    int length = snprintf(xnnpack, sizeof xnnpack, "num_threads = %ld\n", asked->threads);
    if (asked->fp16)
        snprintf(xnnpack + length, sizeof xnnpack - (size_t)length, "flags = %d\n",
                 XNNPACK_QS8 | XNNPACK_QU8 | XNNPACK_FORCE_FP16);
    add_options(options, "xnnpack", xnnpack);
    if (asked->per_op)
        add_options(options, "runtime_options_string", "enable_profiling = true\n");
    return options;
}

/* Describes one tensor of the signature and makes the buffer it travels in. */
static void *make_buffer(void *signature, size_t index, const char *side, struct tensor *tensor)
{
    char name[64];
    void *handle, *requirements, *buffer;
    const char *given;
    struct ranked_type type;
    memset(&type, 0, sizeof type);

    snprintf(name, sizeof name, "LiteRtGetSignature%sTensorByIndex", side);
    check(((int (*)(void *, size_t, void **))symbol(name))(signature, index, &handle), STATUS_MODEL, name);
    snprintf(name, sizeof name, "LiteRtGetSignature%sName", side);
    check(((int (*)(void *, size_t, const char **))symbol(name))(signature, index, &given), STATUS_MODEL, name);
    snprintf(name, sizeof name, "LiteRtGetCompiledModel%sBufferRequirements", side);
    check(((int (*)(void *, size_t, size_t, void **))symbol(name))(compiled, 0, index, &requirements),
          STATUS_MODEL, name);
    check(((int (*)(void *, struct ranked_type *))symbol("LiteRtGetRankedTensorType"))(handle, &type),
          STATUS_MODEL, "asking for a tensor's type");

    snprintf(tensor->name, sizeof tensor->name, "%s", given);
    tensor->dtype = dtype_of(type.element);
    tensor->rank = (int)(type.rank_and_flags & 0x7f);
    if (tensor->rank > MAX_RANK)
        fail(STATUS_MODEL, "tensor %s has %d dimensions", given, tensor->rank);
    tensor->bytes = element_size(tensor->dtype);
    for (int axis = 0; axis < tensor->rank; axis++) {
        if (type.dimensions[axis] < 1)
            fail(STATUS_MODEL, "dimension %d of tensor %s is not fixed; export with a fixed shape", axis, given);
        tensor->shape[axis] = type.dimensions[axis];
        tensor->bytes *= (size_t)type.dimensions[axis];
    }
    int (*create)(void *, const struct ranked_type *, void *, void **) =
        symbol("LiteRtCreateManagedTensorBufferFromRequirements");
    check(create(environment, &type, requirements, &buffer), STATUS_MODEL, "making a buffer");
    size_t packed;
    check(((int (*)(void *, size_t *))symbol("LiteRtGetTensorBufferPackedSize"))(buffer, &packed), STATUS_MODEL,
          "asking for a buffer's size");
    if (packed != tensor->bytes)
        fail(STATUS_MODEL, "tensor %s takes %zu bytes, its buffer holds %zu", given, tensor->bytes, packed);
    return buffer;
}

static size_t make_buffers(void *signature, const char *side, struct tensors *tensors, void **buffers)
{
    char name[64];
    snprintf(name, sizeof name, "LiteRtGetNumSignature%ss", side);
    check(((int (*)(void *, size_t *))symbol(name))(signature, &tensors->count), STATUS_MODEL, name);
    if (tensors->count > MAX_TENSORS)
        fail(STATUS_MODEL, "%zu tensors on one side, at most %d are served", tensors->count, MAX_TENSORS);
    for (size_t k = 0; k < tensors->count; k++)
        buffers[k] = make_buffer(signature, k, side, &tensors->at[k]);
    return tensors->count;
}

static void load(const struct options *options, struct tensors *inputs, struct tensors *outputs)
{
    void *signature;
    run = symbol("LiteRtRunCompiledModel");
    lock = symbol("LiteRtLockTensorBuffer");
    unlock = symbol("LiteRtUnlockTensorBuffer");
    check(((int (*)(int, const void *, void **))symbol("LiteRtCreateEnvironment"))(0, NULL, &environment),
          STATUS_LIBRARY, "starting");
    check(((int (*)(void *, const char *, void **))symbol("LiteRtCreateModelFromFile"))(
              environment, options->model, &model),
          STATUS_MODEL, "reading the model");
    check(((int (*)(void *, void *, void *, void **))symbol("LiteRtCreateCompiledModel"))(
              environment, model, compilation_options(options), &compiled),
          STATUS_MODEL, "compiling the model");
    check(((int (*)(void *, size_t, void **))symbol("LiteRtGetModelSignature"))(model, 0, &signature), STATUS_MODEL,
          "asking for the model's signature");
    input_count = make_buffers(signature, "Input", inputs, input_buffers);
    output_count = make_buffers(signature, "Output", outputs, output_buffers);
}

static const char *version(void)
{
    return ""; /* the interface has no call for it; the library's digest in the bundle identifies it */
}

static void write_input(size_t index, const void *data, size_t bytes)
{
    void *memory;
    check(lock(input_buffers[index], &memory, LOCK_TO_WRITE), STATUS_INFERENCE, "locking an input");
    memcpy(memory, data, bytes);
    check(unlock(input_buffers[index]), STATUS_INFERENCE, "unlocking an input");
}

static void invoke(void)
{
    check(run(compiled, 0, input_count, input_buffers, output_count, output_buffers), STATUS_INFERENCE,
          "running the model");
}

static void read_output(size_t index, void *data, size_t bytes)
{
    void *memory;
    check(lock(output_buffers[index], &memory, LOCK_TO_READ), STATUS_INFERENCE, "locking an output");
    memcpy(data, memory, bytes);
    check(unlock(output_buffers[index]), STATUS_INFERENCE, "unlocking an output");
}

static void profile_begin(void)
{
    check(((int (*)(void *, void **))symbol("LiteRtCompiledModelGetProfiler"))(compiled, &profiler), STATUS_INFERENCE,
          "asking for the profiler");
    if (!profiler)
        fail(STATUS_INFERENCE, "this LiteRT has no profiler");
    check(((int (*)(void *))symbol("LiteRtStartProfiler"))(profiler), STATUS_INFERENCE, "starting the profiler");
}

static const char *kind_of(int32_t type)
{
    return type == EVENT_OPERATOR            ? "operator"
           : type == EVENT_DELEGATE_OPERATOR ? "delegate"
           : type == EVENT_PROFILED_OPERATOR ? "profiled"
                                             : "other";
}

static void profile_end(FILE *out, bool last)
{
    int count = 0;
    (void)last;
    check(((int (*)(void *))symbol("LiteRtStopProfiler"))(profiler), STATUS_INFERENCE, "stopping the profiler");
    check(((int (*)(void *, int *))symbol("LiteRtGetNumProfilerEvents"))(profiler, &count), STATUS_INFERENCE,
          "counting the profile's events");
    struct litert_event *events = allocate((size_t)count * sizeof *events + 1);
    if (count > 0)
        check(((int (*)(void *, int, struct litert_event *))symbol("LiteRtGetProfilerEvents"))(profiler, count, events),
              STATUS_INFERENCE, "reading the profile");
    fputc('[', out);
    for (int k = 0; k < count; k++) {
        /* The structure is not declared stable: better no profile than a wrong one. */
        if (events[k].source < 0 || events[k].source > 2 || events[k].type < 1)
            fail(STATUS_LIBRARY, "this LiteRT lays out its profile differently from 2.3; profile with 2.3");
        json_event(out, k == 0, events[k].tag, kind_of(events[k].type), (long long)events[k].metadata[0],
                   (double)events[k].start_us, (double)events[k].elapsed_us);
    }
    fputc(']', out);
    free(events);
    check(((int (*)(void *))symbol("LiteRtResetProfiler"))(profiler), STATUS_INFERENCE, "resetting the profiler");
}

const struct runtime litert_runtime = {
    "litert", "libLiteRt.so", load, version, write_input, invoke, read_output, profile_begin, profile_end,
};
