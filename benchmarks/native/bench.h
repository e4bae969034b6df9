/* What the parts of the bench share: the options, a tensor's description, a runtime's operations.
 *
 * The bench loads one model into one runtime, feeds it tensors from a file, writes its outputs to a file,
 * times it, and writes what it saw as JSON. It speaks only the C interfaces of the runtimes and finds them
 * with dlopen, so the same source serves a phone, an emulator and the machine it is compiled on.
 */
#ifndef MOCOVIT_BENCH_H
#define MOCOVIT_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses. Every failure prints one line, "bench: ...", on standard error. */
enum status {
    STATUS_OK = 0,
    STATUS_INTERNAL = 1,  /* out of memory, or the report cannot be written */
    STATUS_USAGE = 2,     /* an option is unknown, missing or out of range */
    STATUS_LIBRARY = 3,   /* the runtime's library cannot be loaded, or lacks a function */
    STATUS_MODEL = 4,     /* the runtime refuses the model, or a tensor of it cannot be served */
    STATUS_DATA = 5,      /* the input file does not fit the model, or the output cannot be written */
    STATUS_INFERENCE = 6, /* the runtime failed while running the model */
    STATUS_DEADLINE = 7,  /* time was up */
    STATUS_CRASH = 8,     /* the runtime crashed, as it may on a damaged model */
};

struct options {
    const char *runtime; /* "litert", "tflite" or "onnxruntime" */
    const char *library; /* path of the runtime; a bare name is searched for by the dynamic loader */
    const char *model;
    const char *input;  /* `samples` times all inputs, raw, little-endian; NULL: numbers made here */
    const char *output; /* where all outputs of every sample go, in the same form; NULL: nowhere */
    const char *report; /* where the JSON goes; NULL: standard output */
    long samples;       /* how many samples the input file holds; each runs once, before the warm-up */
    long threads;
    long warmup_runs; /* warm-up ends when both of these are reached */
    double warmup_min_s;
    long runs; /* sampling ends when both of these are reached */
    double min_s;
    double deadline_s; /* of the whole program */
    long per_op;       /* how many more inferences to profile operator by operator */
    bool fp16;         /* ask for half precision arithmetic */
};

#define MAX_RANK 8
#define MAX_TENSORS 64

struct tensor {
    const char *name;
    const char *dtype; /* numpy's name for it */
    int rank;
    int64_t shape[MAX_RANK];
    size_t bytes;
};

struct tensors {
    size_t count;
    struct tensor at[MAX_TENSORS];
};

/* One runtime. Each function either succeeds or ends the program through fail(). */
struct runtime {
    const char *name;
    const char *default_library;
    void (*load)(const struct options *, struct tensors *inputs, struct tensors *outputs);
    const char *(*version)(void); /* "" where the interface does not tell */
    void (*write_input)(size_t index, const void *data, size_t bytes);
    void (*invoke)(void);
    /* Reads an output after invoke(). Sizes are known beforehand and do not change. */
    void (*read_output)(size_t index, void *data, size_t bytes);
    void (*profile_begin)(void);
    /* Writes what the runtime recorded about the one inference since profile_begin(), as a JSON value. */
    void (*profile_end)(FILE *, bool last);
};

extern const struct runtime litert_runtime, tflite_runtime, onnxruntime_runtime;

/* options.c */
struct options parse_options(int argc, char **argv);

/* support.c */
_Noreturn void fail(enum status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arm_deadline(double seconds);
void report_crashes(void);
double now_ms(void);
void *allocate(size_t bytes);
void mark(int what);
void open_library(const char *path);
void *symbol(const char *name); /* ends the program if the library has no such function */
char *copy_text(const char *);
size_t element_size(const char *dtype);
void check_tensor_count(size_t count);

/* json.c */
void json_string(FILE *, const char *);
void json_tensors(FILE *, const char *key, const struct tensors *);
void json_numbers(FILE *, const char *key, const double *values, size_t count);
void json_event(FILE *, bool first, const char *name, const char *kind, long long index,
                double start_us, double elapsed_us);

#endif
