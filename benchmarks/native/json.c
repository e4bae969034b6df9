/* Writing JSON: strings escaped, numbers with all their digits. */
#include "bench.h"

void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20) /* the rest is UTF-8 already, as JSON is */
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

void json_tensors(FILE *out, const char *key, const struct tensors *tensors)
{
    fprintf(out, ",\n \"%s\": [", key);
    for (size_t k = 0; k < tensors->count; k++) {
        const struct tensor *tensor = &tensors->at[k];
        fprintf(out, "%s{\"name\": ", k ? ", " : "");
        json_string(out, tensor->name);
        fprintf(out, ", \"dtype\": \"%s\", \"bytes\": %zu, \"shape\": [", tensor->dtype, tensor->bytes);
        for (int axis = 0; axis < tensor->rank; axis++)
            fprintf(out, "%s%lld", axis ? ", " : "", (long long)tensor->shape[axis]);
        fprintf(out, "]}");
    }
    fputc(']', out);
}

void json_numbers(FILE *out, const char *key, const double *values, size_t count)
{
    fprintf(out, ",\n \"%s\": [", key);
    for (size_t k = 0; k < count; k++)
        fprintf(out, "%s%.6f", k ? ", " : "", values[k]);
    fputc(']', out);
}

void json_event(FILE *out, bool first, const char *name, const char *kind, long long index,
                double start_us, double elapsed_us)
{
    fprintf(out, "%s{\"name\": ", first ? "\n  " : ",\n  ");
    json_string(out, name);
    fprintf(out, ", \"kind\": \"%s\", \"index\": %lld, \"start_us\": %.3f, \"elapsed_us\": %.3f}", kind,
            index, start_us, elapsed_us);
}
