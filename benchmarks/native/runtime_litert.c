/* LiteRT 2.x through its C interface (libLiteRt.so). XNNPACK is its default on CPUs.
 *
 * Functions are declared here as litert/c/{litert_environment,litert_model,litert_options,
 * litert_opaque_options,litert_compiled_model,litert_tensor_buffer,litert_profiler}.h of LiteRT 2.3 have
 * them. Handles are opaque pointers, so void * stands for each; a status of 0 is success.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { HARDWARE_CPU = 1 };                    /* LiteRtHwAccelerators */
enum { LOCK_TO_READ = 0, LOCK_TO_WRITE = 1 }; /* LiteRtTensorBufferLockMode */

/* XNNPACK's delegate flags: what LiteRT sets by itself for int8, and half precision arithmetic. */
enum { XNNPACK_QS8 = 1, XNNPACK_QU8 = 2, XNNPACK_FORCE_FP16 = 4 };

/* LiteRtRankedTensorType, declared ABI-stable by LiteRT: an element type, then LiteRtLayout, whose first
 * word holds the rank in seven bits and a flag for strides in the eighth. */
struct ranked_type {
    int32_t element;
    uint32_t rank_and_flag;
    int32_t dimensions[8];
    uint32_t strides[8];
};
_Static_assert(sizeof(struct ranked_type) == 72, "as LiteRT asserts it");

/* ProfiledEventData. The two memory records are not used here, but they set its size. */
struct profiled_event {
    const char *tag;
    int32_t type;
    uint64_t start_us, elapsed_us;
    int64_t memory_before[3], memory_after[3];
    uint64_t metadata[2];
    int32_t source;
};
enum { EVENT_OPERATOR = 1 << 1, EVENT_DELEGATE_OPERATOR = 1 << 2, EVENT_PROFILED_OPERATOR = 1 << 3 };

typedef void (*release)(void *payload);

#define LITERT_FUNCTIONS(F)                                                                                     \
    F(LiteRtCreateEnvironment, (int count, const void *options, void **environment))                            \
    F(LiteRtCreateModelFromFile, (void *environment, const char *path, void **model))                           \
    F(LiteRtCreateOptions, (void **options))                                                                    \
    F(LiteRtSetOptionsHardwareAccelerators, (void *options, int hardware))                                      \
    F(LiteRtCreateOpaqueOptions, (const char *identifier, void *payload, release, void **opaque))               \
    F(LiteRtAddOpaqueOptions, (void *options, void *opaque))                                                    \
    F(LiteRtCreateCompiledModel, (void *environment, void *model, void *options, void **compiled))              \
    F(LiteRtGetModelSignature, (void *model, size_t index, void **signature))                                   \
    F(LiteRtGetNumSignatureInputs, (void *signature, size_t *count))                                            \
    F(LiteRtGetNumSignatureOutputs, (void *signature, size_t *count))                                           \
    F(LiteRtGetSignatureInputName, (void *signature, size_t index, const char **name))                          \
    F(LiteRtGetSignatureOutputName, (void *signature, size_t index, const char **name))                         \
    F(LiteRtGetSignatureInputTensorByIndex, (void *signature, size_t index, void **tensor))                     \
    F(LiteRtGetSignatureOutputTensorByIndex, (void *signature, size_t index, void **tensor))                    \
    F(LiteRtGetRankedTensorType, (void *tensor, struct ranked_type *))                                          \
    F(LiteRtGetCompiledModelInputBufferRequirements, (void *compiled, size_t signature, size_t, void **needs))  \
    F(LiteRtGetCompiledModelOutputBufferRequirements, (void *compiled, size_t signature, size_t, void **needs)) \
    F(LiteRtCreateManagedTensorBufferFromRequirements,                                                          \
      (void *environment, const struct ranked_type *, void *needs, void **buffer))                              \
    F(LiteRtGetTensorBufferPackedSize, (void *buffer, size_t *bytes))                                           \
    F(LiteRtLockTensorBuffer, (void *buffer, void **memory, int mode))                                          \
    F(LiteRtUnlockTensorBuffer, (void *buffer))                                                                 \
    F(LiteRtRunCompiledModel, (void *compiled, size_t signature, size_t, void **inputs, size_t, void **outputs)) \
    F(LiteRtCompiledModelGetProfiler, (void *compiled, void **profiler))                                        \
    F(LiteRtStartProfiler, (void *profiler))                                                                    \
    F(LiteRtStopProfiler, (void *profiler))                                                                     \
    F(LiteRtResetProfiler, (void *profiler))                                                                    \
    F(LiteRtGetNumProfilerEvents, (void *profiler, int *count))                                                 \
    F(LiteRtGetProfilerEvents, (void *profiler, int count, struct profiled_event *))

#define DECLARE(name, arguments) static int(*name) arguments;
LITERT_FUNCTIONS(DECLARE)

static void *environment, *model, *compiled, *profiler;
static void *input_buffers[MAX_TENSORS], *output_buffers[MAX_TENSORS];
static size_t input_count, output_count;

/* LiteRT prints its reason on standard error by itself; this says which step it was. */
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

static void keep(void *payload)
{
    (void)payload; /* it is static: there is nothing to release */
}

static void add_options(void *options, const char *identifier, char *toml)
{
    void *opaque;
    check(LiteRtCreateOpaqueOptions(identifier, toml, keep, &opaque), STATUS_MODEL, "making options");
    check(LiteRtAddOpaqueOptions(options, opaque), STATUS_MODEL, "adding options");
}

static void *compilation_options(const struct options *asked)
{
    static char xnnpack[64], profiling[] = "enable_profiling = true\n";
    void *options;
    check(LiteRtCreateOptions(&options), STATUS_MODEL, "making options");
    check(LiteRtSetOptionsHardwareAccelerators(options, HARDWARE_CPU), STATUS_MODEL, "choosing the CPU");
    int length = snprintf(xnnpack, sizeof xnnpack, "num_threads = %ld\n", asked->threads);
    if (asked->fp16)
        snprintf(xnnpack + length, sizeof xnnpack - (size_t)length, "flags = %d\n",
                 XNNPACK_QS8 | XNNPACK_QU8 | XNNPACK_FORCE_FP16);
    add_options(options, "xnnpack", xnnpack);
    if (asked->per_op)
        add_options(options, "runtime_options_string", profiling);
    return options;
}

/* Describes one tensor and makes the buffer it travels in. */
static void *make_buffer(const char *name, void *handle, void *needs, struct tensor *tensor)
{
    struct ranked_type type;
    void *buffer;
    size_t packed;
    memset(&type, 0, sizeof type);
    check(LiteRtGetRankedTensorType(handle, &type), STATUS_MODEL, "asking for a tensor's type");
    tensor->name = copy_text(name);
    tensor->dtype = dtype_of(type.element);
    tensor->rank = (int)(type.rank_and_flag & 0x7f);
    if (tensor->rank > MAX_RANK)
        fail(STATUS_MODEL, "tensor %s has %d dimensions", name, tensor->rank);
    tensor->bytes = element_size(tensor->dtype);
    for (int axis = 0; axis < tensor->rank; axis++) {
        if (type.dimensions[axis] < 1)
            fail(STATUS_MODEL, "dimension %d of tensor %s is not fixed; export with a fixed shape", axis, name);
        tensor->shape[axis] = type.dimensions[axis];
        tensor->bytes *= (size_t)type.dimensions[axis];
    }
    check(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, needs, &buffer), STATUS_MODEL,
          "making a buffer");
    check(LiteRtGetTensorBufferPackedSize(buffer, &packed), STATUS_MODEL, "asking for a buffer's size");
    if (packed != tensor->bytes)
        fail(STATUS_MODEL, "tensor %s takes %zu bytes, its buffer holds %zu", name, tensor->bytes, packed);
    return buffer;
}

static void describe_inputs(void *signature, struct tensors *inputs)
{
    const char *name;
    void *tensor, *needs;
    check(LiteRtGetNumSignatureInputs(signature, &inputs->count), STATUS_MODEL, "counting inputs");
    check_tensor_count(inputs->count);
    for (size_t k = 0; k < inputs->count; k++) {
        check(LiteRtGetSignatureInputName(signature, k, &name), STATUS_MODEL, "asking for an input's name");
        check(LiteRtGetSignatureInputTensorByIndex(signature, k, &tensor), STATUS_MODEL, "asking for an input");
        check(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, k, &needs), STATUS_MODEL,
              "asking what an input needs");
        input_buffers[k] = make_buffer(name, tensor, needs, &inputs->at[k]);
    }
    input_count = inputs->count;
}

static void describe_outputs(void *signature, struct tensors *outputs)
{
    const char *name;
    void *tensor, *needs;
    check(LiteRtGetNumSignatureOutputs(signature, &outputs->count), STATUS_MODEL, "counting outputs");
    check_tensor_count(outputs->count);
    for (size_t k = 0; k < outputs->count; k++) {
        check(LiteRtGetSignatureOutputName(signature, k, &name), STATUS_MODEL, "asking for an output's name");
        check(LiteRtGetSignatureOutputTensorByIndex(signature, k, &tensor), STATUS_MODEL, "asking for an output");
        check(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, k, &needs), STATUS_MODEL,
              "asking what an output needs");
        output_buffers[k] = make_buffer(name, tensor, needs, &outputs->at[k]);
    }
    output_count = outputs->count;
}

static void load(const struct options *options, struct tensors *inputs, struct tensors *outputs)
{
#define FIND(name, arguments) name = (int(*) arguments)symbol(#name);
    LITERT_FUNCTIONS(FIND)
    void *signature;
    check(LiteRtCreateEnvironment(0, NULL, &environment), STATUS_LIBRARY, "starting");
    check(LiteRtCreateModelFromFile(environment, options->model, &model), STATUS_MODEL, "reading the model");
    check(LiteRtCreateCompiledModel(environment, model, compilation_options(options), &compiled), STATUS_MODEL,
          "compiling the model");
    check(LiteRtGetModelSignature(model, 0, &signature), STATUS_MODEL, "asking for the model's signature");
    describe_inputs(signature, inputs);
    describe_outputs(signature, outputs);
}

static const char *version(void)
{
    return ""; /* the interface has no call for it; the library's digest identifies it */
}

static void write_input(size_t index, const void *data, size_t bytes)
{
    void *memory;
    check(LiteRtLockTensorBuffer(input_buffers[index], &memory, LOCK_TO_WRITE), STATUS_INFERENCE, "locking an input");
    memcpy(memory, data, bytes);
    check(LiteRtUnlockTensorBuffer(input_buffers[index]), STATUS_INFERENCE, "unlocking an input");
}

static void invoke(void)
{
    check(LiteRtRunCompiledModel(compiled, 0, input_count, input_buffers, output_count, output_buffers),
          STATUS_INFERENCE, "running the model");
}

static void read_output(size_t index, void *data, size_t bytes)
{
    void *memory;
    check(LiteRtLockTensorBuffer(output_buffers[index], &memory, LOCK_TO_READ), STATUS_INFERENCE, "locking an output");
    memcpy(data, memory, bytes);
    check(LiteRtUnlockTensorBuffer(output_buffers[index]), STATUS_INFERENCE, "unlocking an output");
}

static void profile_begin(void)
{
    check(LiteRtCompiledModelGetProfiler(compiled, &profiler), STATUS_INFERENCE, "asking for the profiler");
    if (!profiler)
        fail(STATUS_INFERENCE, "this LiteRT has no profiler");
    check(LiteRtStartProfiler(profiler), STATUS_INFERENCE, "starting the profiler");
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
    check(LiteRtStopProfiler(profiler), STATUS_INFERENCE, "stopping the profiler");
    check(LiteRtGetNumProfilerEvents(profiler, &count), STATUS_INFERENCE, "counting the profile's events");
    struct profiled_event *events = allocate((size_t)count * sizeof *events);
    if (count > 0)
        check(LiteRtGetProfilerEvents(profiler, count, events), STATUS_INFERENCE, "reading the profile");
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
    check(LiteRtResetProfiler(profiler), STATUS_INFERENCE, "resetting the profiler");
}

const struct runtime litert_runtime = {
    "litert", "libLiteRt.so", load, version, write_input, invoke, read_output, profile_begin, profile_end,
};
