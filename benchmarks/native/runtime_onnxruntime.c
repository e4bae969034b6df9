/* ONNX Runtime through its C interface (libonnxruntime.so).
 *
 * The interface is one table of functions that only ever grows at its end, so a function is known by its
 * place in the table. Places and signatures follow OrtApi in onnxruntime_c_api.h, version 16.
 */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { API_VERSION = 16, LOG_ERRORS = 3, OPTIMIZE_ALL = 99 };

enum place {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    ENABLE_PROFILING = 14,
    SET_OPTIMIZATION = 23,
    SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25,
    INPUT_COUNT = 30,
    OUTPUT_COUNT = 31,
    INPUT_TYPE = 33,
    OUTPUT_TYPE = 34,
    INPUT_NAME = 36,
    OUTPUT_NAME = 37,
    CREATE_TENSOR = 48,
    TENSOR_DATA = 51,
    AS_TENSOR_INFO = 55,
    ELEMENT_TYPE = 60,
    DIMENSION_COUNT = 61,
    DIMENSIONS = 62,
    DEFAULT_ALLOCATOR = 78,
    END_PROFILING = 110,
};

typedef void *status; /* NULL means success */

struct api_base {
    const void *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

static const struct api_base *base;
static void *const *table;
static void *session, *allocator;
static char *input_names[MAX_TENSORS], *output_names[MAX_TENSORS];
static void *input_values[MAX_TENSORS], *output_values[MAX_TENSORS];
static size_t input_count, output_count;

static void check(status failure, enum status kind)
{
    if (failure)
        fail(kind, "ONNX Runtime: %s", ((const char *(*)(status))table[GET_ERROR_MESSAGE])(failure));
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
static void *make_value(enum place type_of, enum place name_of, size_t index, struct tensor *tensor, char **name)
{
    void *type, *value;
    const void *info;
    int element;
    size_t rank;
    check(((status(*)(void *, size_t, void *, char **))table[name_of])(session, index, allocator, name), STATUS_MODEL);
    check(((status(*)(void *, size_t, void **))table[type_of])(session, index, &type), STATUS_MODEL);
    check(((status(*)(const void *, const void **))table[AS_TENSOR_INFO])(type, &info), STATUS_MODEL);
    if (!info)
        fail(STATUS_MODEL, "%s is not a tensor", *name);
    check(((status(*)(const void *, int *))table[ELEMENT_TYPE])(info, &element), STATUS_MODEL);
    check(((status(*)(const void *, size_t *))table[DIMENSION_COUNT])(info, &rank), STATUS_MODEL);
    if (rank > MAX_RANK)
        fail(STATUS_MODEL, "tensor %s has %zu dimensions", *name, rank);
    check(((status(*)(const void *, int64_t *, size_t))table[DIMENSIONS])(info, tensor->shape, rank), STATUS_MODEL);

    snprintf(tensor->name, sizeof tensor->name, "%s", *name);
    tensor->dtype = dtype_of(element);
    tensor->rank = (int)rank;
    tensor->bytes = element_size(tensor->dtype);
    for (size_t axis = 0; axis < rank; axis++) {
        if (tensor->shape[axis] < 1 && axis == 0)
            tensor->shape[axis] = 1; /* a batch that the caller chooses: one image */
        if (tensor->shape[axis] < 1)
            fail(STATUS_MODEL, "dimension %zu of tensor %s is not fixed; export with a fixed shape", axis, *name);
        tensor->bytes *= (size_t)tensor->shape[axis];
    }
    check(((status(*)(void *, const int64_t *, size_t, int, void **))table[CREATE_TENSOR])(
              allocator, tensor->shape, rank, element, &value),
          STATUS_MODEL);
    return value;
}

static size_t count_of(enum place which)
{
    size_t count;
    check(((status(*)(void *, size_t *))table[which])(session, &count), STATUS_MODEL);
    if (count > MAX_TENSORS)
        fail(STATUS_MODEL, "%zu tensors on one side, at most %d are served", count, MAX_TENSORS);
    return count;
}

static void *session_options(const struct options *asked)
{
    void *options;
    check(((status(*)(void **))table[CREATE_SESSION_OPTIONS])(&options), STATUS_MODEL);
    check(((status(*)(void *, int))table[SET_INTRA_THREADS])(options, (int)asked->threads), STATUS_MODEL);
    check(((status(*)(void *, int))table[SET_INTER_THREADS])(options, 1), STATUS_MODEL);
    check(((status(*)(void *, int))table[SET_OPTIMIZATION])(options, OPTIMIZE_ALL), STATUS_MODEL);
    if (asked->per_op) {
        char prefix[4096];
        snprintf(prefix, sizeof prefix, "%s.trace", asked->report ? asked->report : "bench");
        check(((status(*)(void *, const char *))table[ENABLE_PROFILING])(options, prefix), STATUS_MODEL);
    }
    return options;
}

static void load(const struct options *asked, struct tensors *inputs, struct tensors *outputs)
{
    void *environment;
    if (asked->fp16)
        fail(STATUS_USAGE, "ONNX Runtime has no half precision arithmetic to ask for; use litert or tflite");
    base = ((const struct api_base *(*)(void))symbol("OrtGetApiBase"))();
    table = base->get_api(API_VERSION);
    if (!table)
        fail(STATUS_LIBRARY, "ONNX Runtime %s does not offer version %d of its interface", base->get_version(),
             API_VERSION);
    check(((status(*)(int, const char *, void **))table[CREATE_ENV])(LOG_ERRORS, "bench", &environment),
          STATUS_LIBRARY);
    check(((status(*)(void *, const char *, void *, void **))table[CREATE_SESSION])(
              environment, asked->model, session_options(asked), &session),
          STATUS_MODEL);
    check(((status(*)(void **))table[DEFAULT_ALLOCATOR])(&allocator), STATUS_MODEL);
    inputs->count = input_count = count_of(INPUT_COUNT);
    outputs->count = output_count = count_of(OUTPUT_COUNT);
    for (size_t k = 0; k < input_count; k++)
        input_values[k] = make_value(INPUT_TYPE, INPUT_NAME, k, &inputs->at[k], &input_names[k]);
    for (size_t k = 0; k < output_count; k++)
        output_values[k] = make_value(OUTPUT_TYPE, OUTPUT_NAME, k, &outputs->at[k], &output_names[k]);
}

static const char *version(void)
{
    return base->get_version();
}

static void *data_of(void *value)
{
    void *data;
    check(((status(*)(void *, void **))table[TENSOR_DATA])(value, &data), STATUS_INFERENCE);
    return data;
}

static void write_input(size_t index, const void *data, size_t bytes)
{
    memcpy(data_of(input_values[index]), data, bytes);
}

static void invoke(void)
{
    check(((status(*)(void *, const void *, const char *const *, const void *const *, size_t, const char *const *,
                      size_t, void **))table[RUN])(
              session, NULL, (const char *const *)input_names, (const void *const *)input_values, input_count,
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
    check(((status(*)(void *, void *, char **))table[END_PROFILING])(session, allocator, &path), STATUS_INFERENCE);
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
