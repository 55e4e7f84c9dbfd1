/* Multi-level neurons over T timesteps, and max pooling of what they send, forward and backward, each in
   one pass over memory. lava_mlsnn/neuron/surrogate.py says what neurons compute; kernels.py and pools.py
   call what is here.

   Arrays are (T, rows, width): a row is all channels of some pixels, which lie together in memory.
   What holds for a channel (gain, shift, mean) is repeated to the width before the work begins.
   Words are float or bfloat16, arithmetic is float. Rows are dealt out in GROUPS, whose sums are
   added in their order, so results do not depend on the number of threads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 64, PARTS = 8 };

typedef struct {
    int64_t timesteps, rows, width, channels, parts;
    const void *part[PARTS];
    const float *gain[PARTS], *shift[PARTS], *mean[PARTS]; /* NULL: 1, 0, no sum wanted */
    float vth, start, low, high;                            /* the window of H / vth */
    int32_t levels, detached;
    void *z;      /* payloads; backward: dL/dz in, a timestep's words as those of the parts */
    int8_t *code; /* payload, less 128 outside the window */
    void *grad;   /* dL/dH */
    float *sums;  /* (GROUPS, 1 + parts, width): of dL/dH, and of dL/dH (part - mean) */
    double *totals; /* (1 + parts, channels): over all of them */
    int32_t lost[GROUPS]; /* whether an H is not finite */
} neurons;

typedef struct {
    int64_t rows, width, channels;
    const void *grad, *part;
    const float *by[4]; /* mean, of the gradient, of the part, constant */
    void *out;
} affine;

typedef struct { /* kh x kw each, side by side, all of the image */
    int64_t rows, width, channels, kh, kw; /* a row: width outputs of all channels */
    const int8_t *code;
    int8_t *largest, *which; /* payload, and the first tap that has it */
    void *z;                 /* payloads; backward: dL/dz in */
    void *grad;              /* dL/dx */
} windows;

typedef void (*work)(void *job, int64_t first, int64_t last, int64_t group, float *spare);

/* -- words ------------------------------------------------------------------------------ */
static inline float from_float(float x) { return x; }
static inline float to_float(float x) { return x; }

static inline float from_bfloat16(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static inline uint16_t to_bfloat16(float x) /* to the nearest, ties to even */
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return x != x ? 0x7fc0 : (uint16_t)rounded;
}

#define WORD float
#define LOAD from_float
#define STORE to_float
#define NAME(x) x##_float
#include "rows.h"
#include "pools.h"
#undef WORD
#undef LOAD
#undef STORE
#undef NAME
#define WORD uint16_t
#define LOAD from_bfloat16
#define STORE to_bfloat16
#define NAME(x) x##_bfloat16
#include "rows.h"
#include "pools.h"

/* -- threads: torch's own, as others would wait behind those, which spin for more work ----- */
typedef struct {
    work run;
    void *job;
    int64_t rows, groups, width, next, seat;
    float *spare;
} shared;

/* libgomp's entry, in libomp as well; found where torch loaded either. */
extern void GOMP_parallel(void (*run)(void *), void *data, unsigned threads, unsigned flags) __attribute__((weak));

int has_threads(void) { return GOMP_parallel != NULL; }

static void take(void *argument)
{
    shared *s = argument;
    float *spare = s->spare + 2 * s->width * __atomic_fetch_add(&s->seat, 1, __ATOMIC_RELAXED);
    for (;;) {
        const int64_t g = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
        if (g >= s->groups)
            return;
        s->run(s->job, s->rows * g / s->groups, s->rows * (g + 1) / s->groups, g, spare);
    }
}

static int deal(work run, void *job, int64_t rows, int64_t width, int threads)
{
    shared s = {run, job, rows, rows < GROUPS ? rows : GROUPS, width, 0, 0, NULL};
    s.spare = malloc(sizeof(float) * (2 * (size_t)width * (size_t)threads + 1));
    if (s.spare == NULL)
        return -1;
    if (threads > 1 && GOMP_parallel)
        GOMP_parallel(take, &s, (unsigned)threads, 0);
    else
        take(&s);
    free(s.spare);
    return 0;
}

/* -- what is called: 0, or -1 where memory was missing ------------------------------------- */

/* Repeats what holds for a channel to a row, each in its place in memory that the caller frees. */
static float *repeated(const float **given[], int64_t count, int64_t width, int64_t channels)
{
    float *room = malloc(sizeof(float) * (size_t)(count * width + 1));
    if (room == NULL)
        return NULL;
    for (int64_t k = 0; k < count; k++) {
        if (*given[k] == NULL)
            continue;
        for (int64_t i = 0; i < width; i += channels)
            memcpy(room + k * width + i, *given[k], sizeof(float) * (size_t)channels);
        *given[k] = room + k * width;
    }
    return room;
}

int forward(neurons *n, int bfloat16, int threads)
{
    const float **given[2 * PARTS];
    for (int64_t k = 0; k < n->parts; k++) {
        given[2 * k] = &n->gain[k];
        given[2 * k + 1] = &n->shift[k];
    }
    float *room = repeated(given, 2 * n->parts, n->width, n->channels);
    const int failed = room == NULL ? -1 : deal(bfloat16 ? forward_bfloat16 : forward_float, n, n->rows, n->width, threads);
    free(room);
    return failed;
}

int backward(neurons *n, int bfloat16, int threads)
{
    const float **given[PARTS];
    const int64_t groups = n->rows < GROUPS ? n->rows : GROUPS, sums = (1 + n->parts) * n->width;
    for (int64_t k = 0; k < n->parts; k++)
        given[k] = &n->mean[k];
    float *room = repeated(given, n->parts, n->width, n->channels);
    n->sums = malloc(sizeof(float) * (size_t)(groups * sums));
    const int failed = room == NULL || n->sums == NULL
        ? -1 : deal(bfloat16 ? backward_bfloat16 : backward_float, n, n->rows, n->width, threads);
    if (!failed)
        for (int64_t g = 0; g < groups; g++)
            for (int64_t i = 0; i < sums; i += n->channels)
                for (int64_t c = 0; c < n->channels; c++)
                    n->totals[i / n->width * n->channels + c] += n->sums[g * sums + i + c];
    free(n->sums);
    free(room);
    return failed;
}

int scale(affine *a, int bfloat16, int threads)
{
    const float **given[] = {&a->by[0], &a->by[1], &a->by[2], &a->by[3]};
    float *room = repeated(given, 4, a->width, a->channels);
    const int failed = room == NULL ? -1 : deal(bfloat16 ? scale_bfloat16 : scale_float, a, a->rows, a->width, threads);
    free(room);
    return failed;
}

int decode(affine *a, int bfloat16, int threads)
{
    return deal(bfloat16 ? decode_bfloat16 : decode_float, a, a->rows, a->width, threads);
}

int pool(windows *p, int bfloat16, int threads)
{
    return deal(bfloat16 ? pool_bfloat16 : pool_float, p, p->rows, 0, threads);
}

int spread(windows *p, int bfloat16, int threads)
{
    return deal(bfloat16 ? spread_bfloat16 : spread_float, p, p->rows, 0, threads);
}
