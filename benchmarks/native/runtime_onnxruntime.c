/* ONNX Runtime through its C interface (libonnxruntime.so).
 *
 * The interface is one table of functions that only ever grows at its end, so a function is known by its
 * place in the table. Places and arguments are those of OrtApi in onnxruntime_c_api.h, version 16.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { API_VERSION = 16, LOG_ERRORS = 3, OPTIMIZE_ALL = 99 };

typedef void *status; /* NULL means success */

/* name as in OrtApi, place in the table, arguments; handles are opaque pointers */
#define ORT_FUNCTIONS(F)                                                                            \
    F(CreateEnv, 3, (int log_level, const char *log_id, void **environment))                        \
    F(CreateSession, 7, (void *environment, const char *path, void *options, void **session))       \
    F(Run, 9,                                                                                       \
      (void *session, const void *options, const char *const *input_names, void *const *inputs,     \
       size_t input_count, const char *const *output_names, size_t output_count, void **outputs))   \
    F(CreateSessionOptions, 10, (void **options))                                                   \
    F(EnableProfiling, 14, (void *options, const char *prefix))                                     \
    F(SetSessionGraphOptimizationLevel, 23, (void *options, int level))                             \
    F(SetIntraOpNumThreads, 24, (void *options, int threads))                                       \
    F(SetInterOpNumThreads, 25, (void *options, int threads))                                       \
    F(SessionGetInputCount, 30, (const void *session, size_t *count))                               \
    F(SessionGetOutputCount, 31, (const void *session, size_t *count))                              \
    F(SessionGetInputTypeInfo, 33, (const void *session, size_t index, void **type))                \
    F(SessionGetOutputTypeInfo, 34, (const void *session, size_t index, void **type))               \
    F(SessionGetInputName, 36, (const void *session, size_t index, void *allocator, char **name))   \
    F(SessionGetOutputName, 37, (const void *session, size_t index, void *allocator, char **name))  \
    F(CreateTensorAsOrtValue, 48,                                                                   \
      (void *allocator, const int64_t *shape, size_t rank, int element, void **value))              \
    F(GetTensorMutableData, 51, (void *value, void **data))                                         \
    F(CastTypeInfoToTensorInfo, 55, (const void *type, const void **tensor_info))                   \
    F(GetTensorElementType, 60, (const void *tensor_info, int *element))                            \
    F(GetDimensionsCount, 61, (const void *tensor_info, size_t *rank))                              \
    F(GetDimensions, 62, (const void *tensor_info, int64_t *shape, size_t rank))                    \
    F(GetAllocatorWithDefaultOptions, 78, (void **allocator))                                       \
    F(SessionEndProfiling, 110, (void *session, void *allocator, char **path))

#define DECLARE(name, place, arguments) static status(*name) arguments;
ORT_FUNCTIONS(DECLARE)
static const char *(*GetErrorMessage)(status);
enum { GET_ERROR_MESSAGE = 2 };

struct api_base {
    void *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

static const struct api_base *base;
static void *session, *allocator;
static char *input_names[MAX_TENSORS], *output_names[MAX_TENSORS];
static void *input_values[MAX_TENSORS], *output_values[MAX_TENSORS];
static size_t input_count, output_count;

static void check(status failure, enum status kind)
{
    if (failure)
        fail(kind, "ONNX Runtime: %s", GetErrorMessage(failure));
}

static const char *dtype_of(int type)
{
    static const char *const names[] = {NULL,    "float32", "uint8", "int8",    "uint16",  "int16",  "int32",
                                        "int64", NULL,      "bool",  "float16", "float64", "uint32", "uint64"};
    const char *name = type >= 0 && type < 14 ? names[type] : NULL;
    if (!name)
        fail(STATUS_MODEL, "a tensor of ONNX type %d cannot be read or written", type);
    return name;
}

/* Describes one input or output and makes the value it travels in. */
static void *make_value(const char *name, void *type, struct tensor *tensor)
{
    void *value;
    const void *info;
    int element;
    size_t rank;
    check(CastTypeInfoToTensorInfo(type, &info), STATUS_MODEL);
    if (!info)
        fail(STATUS_MODEL, "%s is not a tensor", name);
    check(GetTensorElementType(info, &element), STATUS_MODEL);
    check(GetDimensionsCount(info, &rank), STATUS_MODEL);
    if (rank > MAX_RANK)
        fail(STATUS_MODEL, "tensor %s has %zu dimensions", name, rank);
    check(GetDimensions(info, tensor->shape, rank), STATUS_MODEL);
    tensor->name = copy_text(name);
    tensor->dtype = dtype_of(element);
    tensor->rank = (int)rank;
    tensor->bytes = element_size(tensor->dtype);
    for (size_t axis = 0; axis < rank; axis++) {
        if (tensor->shape[axis] < 1 && axis == 0)
            tensor->shape[axis] = 1; /* a batch that the caller chooses: one image */
        if (tensor->shape[axis] < 1)
            fail(STATUS_MODEL, "dimension %zu of tensor %s is not fixed; export with a fixed shape", axis, name);
        tensor->bytes *= (size_t)tensor->shape[axis];
    }
    check(CreateTensorAsOrtValue(allocator, tensor->shape, rank, element, &value), STATUS_MODEL);
    return value;
}

static void describe_inputs(struct tensors *inputs)
{
    check(SessionGetInputCount(session, &inputs->count), STATUS_MODEL);
    check_tensor_count(inputs->count);
    for (size_t k = 0; k < inputs->count; k++) {
        void *type;
        check(SessionGetInputName(session, k, allocator, &input_names[k]), STATUS_MODEL);
        check(SessionGetInputTypeInfo(session, k, &type), STATUS_MODEL);
        input_values[k] = make_value(input_names[k], type, &inputs->at[k]);
    }
    input_count = inputs->count;
}

static void describe_outputs(struct tensors *outputs)
{
    check(SessionGetOutputCount(session, &outputs->count), STATUS_MODEL);
    check_tensor_count(outputs->count);
    for (size_t k = 0; k < outputs->count; k++) {
        void *type;
        check(SessionGetOutputName(session, k, allocator, &output_names[k]), STATUS_MODEL);
        check(SessionGetOutputTypeInfo(session, k, &type), STATUS_MODEL);
        output_values[k] = make_value(output_names[k], type, &outputs->at[k]);
    }
    output_count = outputs->count;
}

static void *session_options(const struct options *asked)
{
    void *options;
    check(CreateSessionOptions(&options), STATUS_MODEL);
    check(SetIntraOpNumThreads(options, (int)asked->threads), STATUS_MODEL);
    check(SetInterOpNumThreads(options, 1), STATUS_MODEL);
    check(SetSessionGraphOptimizationLevel(options, OPTIMIZE_ALL), STATUS_MODEL);
    if (asked->per_op) {
        char prefix[4096];
        snprintf(prefix, sizeof prefix, "%s.trace", asked->report ? asked->report : "bench");
        check(EnableProfiling(options, prefix), STATUS_MODEL);
    }
    return options;
}

static void find_functions(void)
{
    const struct api_base *(*get_base)(void) = symbol("OrtGetApiBase");
    base = get_base();
    void *const *table = base->get_api(API_VERSION);
    if (!table)
        fail(STATUS_LIBRARY, "ONNX Runtime %s does not offer version %d of its interface", base->get_version(),
             API_VERSION);
#define FIND(name, place, arguments) name = (status(*) arguments)table[place];
    ORT_FUNCTIONS(FIND)
    GetErrorMessage = (const char *(*)(status))table[GET_ERROR_MESSAGE];
}

static void load(const struct options *asked, struct tensors *inputs, struct tensors *outputs)
{
    void *environment;
    /* Since 1.31 it would send a report to its makers, and leave files behind here and in the temporary folder. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    find_functions();
    if (asked->fp16)
        fail(STATUS_USAGE, "ONNX Runtime has no half precision arithmetic to ask for; use litert or tflite");
    check(CreateEnv(LOG_ERRORS, "bench", &environment), STATUS_LIBRARY);
    check(CreateSession(environment, asked->model, session_options(asked), &session), STATUS_MODEL);
    check(GetAllocatorWithDefaultOptions(&allocator), STATUS_MODEL);
    describe_inputs(inputs);
    describe_outputs(outputs);
}

static const char *version(void)
{
    return base->get_version();
}

static void *data_of(void *value)
{
    void *data;
    check(GetTensorMutableData(value, &data), STATUS_INFERENCE);
    return data;
}

static void write_input(size_t index, const void *data, size_t bytes)
{
    memcpy(data_of(input_values[index]), data, bytes);
}

static void invoke(void)
{
    check(Run(session, NULL, (const char *const *)input_names, input_values, input_count,
              (const char *const *)output_names, output_count, output_values),
          STATUS_INFERENCE);
}

static void read_output(size_t index, void *data, size_t bytes)
{
    memcpy(data, data_of(output_values[index]), bytes);
}

static void profile_begin(void)
{
    /* The session has traced since it was created. */
}

/* ONNX Runtime writes one trace for the whole session, when it ends. It is a file of JSON, and becomes part of
 * the report so that nothing else has to be fetched; its reader takes the last inferences in it. */
static void profile_end(FILE *out, bool last)
{
    char *path;
    if (!last) {
        fputs("null", out);
        return;
    }
    check(SessionEndProfiling(session, allocator, &path), STATUS_INFERENCE);
    FILE *trace = fopen(path, "r");
    if (!trace)
        fail(STATUS_INTERNAL, "%s: the profile cannot be read", path);
    int c;
    while ((c = fgetc(trace)) != EOF)
        fputc(c, out);
    fclose(trace);
    remove(path);
}

const struct runtime onnxruntime_runtime = {
    "onnxruntime", "libonnxruntime.so.1", load, version, write_input, invoke, read_output, profile_begin, profile_end,
};
