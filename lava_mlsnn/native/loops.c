/* Multi-level neurons over T timesteps, and max pooling of what they send, forward and backward, each in
   one pass over memory. lava_mlsnn/neuron/surrogate.py says what neurons compute; kernels.py and pools.py
   call what is here.

   Arrays are (T, rows, width): a row is what lies together in memory, all channels of some pixels,
   and what holds for a channel (gain, shift, mean) comes repeated to the width. Words are float or
   bfloat16, arithmetic is float. Rows are dealt out in GROUPS, whose sums are added in their order,
   so results do not depend on the number of threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 64, PARTS = 8, THREADS = 64 };

typedef struct {
    int64_t timesteps, rows, width, parts;
    const void *part[PARTS];
    const float *gain[PARTS], *shift[PARTS], *mean[PARTS]; /* NULL: 1, 0, no sum wanted */
    float vth, start, low, high;                            /* the window of H / vth */
    int32_t levels, detached;
    void *z;      /* payloads; backward: dL/dz in, a timestep's words as those of the parts */
    int8_t *code; /* payload, less 128 outside the window */
    void *grad;   /* dL/dH */
    float *sums;  /* (GROUPS, 1 + parts, width): of dL/dH, and of dL/dH (part - mean) */
    int32_t *lost; /* (GROUPS): whether an H is not finite */
} neurons;

typedef struct {
    int64_t rows, width;
    const void *grad, *part;
    const float *mean, *by_grad, *by_part, *constant;
    void *out;
} affine;

typedef struct { /* kh x kw each, side by side, all of the image */
    int64_t rows, width, channels, kh, kw; /* a row: width outputs of all channels */
    const int8_t *code;
    int8_t *largest, *which; /* payload, and the first tap that has it */
    void *z;                 /* payloads; backward: dL/dz in */
    void *grad;              /* dL/dx */
} windows;

typedef void (*work)(const void *job, int64_t first, int64_t last, int64_t group, float *spare);

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

/* -- threads ---------------------------------------------------------------------------- */
typedef struct {
    work run;
    const void *job;
    int64_t rows, groups, first, last;
    float *spare;
} share;

static void *shared(void *argument)
{
    const share *s = argument;
    for (int64_t g = s->first; g < s->last; g++)
        s->run(s->job, s->rows * g / s->groups, s->rows * (g + 1) / s->groups, g, s->spare);
    return NULL;
}

/* Returns 0, or -1 where memory was missing. A thread that does not start is made up for here. */
static int deal(work run, const void *job, int64_t rows, int64_t width, int threads)
{
    const int64_t groups = rows < GROUPS ? rows : GROUPS;
    share s[THREADS];
    pthread_t thread[THREADS];
    int started[THREADS] = {0};
    if (threads > THREADS)
        threads = THREADS;
    if (threads > groups)
        threads = (int)groups;
    if (threads < 1)
        threads = 1;
    float *spare = malloc(sizeof(float) * (2 * (size_t)width * (size_t)threads + 1));
    if (spare == NULL)
        return -1;
    for (int k = 0; k < threads; k++) {
        s[k] = (share){run, job, rows, groups, groups * k / threads, groups * (k + 1) / threads, spare + 2 * width * k};
        if (k + 1 < threads)
            started[k] = pthread_create(&thread[k], NULL, shared, &s[k]) == 0;
    }
    for (int k = threads - 1; k >= 0; k--)
        if (!started[k])
            shared(&s[k]);
    for (int k = 0; k < threads; k++)
        if (started[k])
            pthread_join(thread[k], NULL);
    free(spare);
    return 0;
}

/* -- what is called --------------------------------------------------------------------- */
int forward(const neurons *n, int bfloat16, int threads)
{
    return deal(bfloat16 ? forward_bfloat16 : forward_float, n, n->rows, n->width, threads);
}

int backward(const neurons *n, int bfloat16, int threads)
{
    return deal(bfloat16 ? backward_bfloat16 : backward_float, n, n->rows, n->width, threads);
}

int scale(const affine *a, int bfloat16, int threads)
{
    return deal(bfloat16 ? scale_bfloat16 : scale_float, a, a->rows, a->width, threads);
}

int decode(const affine *a, int bfloat16, int threads)
{
    return deal(bfloat16 ? decode_bfloat16 : decode_float, a, a->rows, a->width, threads);
}

int pool(const windows *p, int bfloat16, int threads)
{
    return deal(bfloat16 ? pool_bfloat16 : pool_float, p, p->rows, 0, threads);
}

int spread(const windows *p, int bfloat16, int threads)
{
    return deal(bfloat16 ? spread_bfloat16 : spread_float, p, p->rows, 0, threads);
}
