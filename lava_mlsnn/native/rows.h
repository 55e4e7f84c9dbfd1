/* The loops of the neurons for one kind of words: WORD, LOAD, STORE, NAME. */

/* H of one timestep of a row without what was carried: the sum of gain part + shift. */
static inline void NAME(currents)(const neurons *n, int64_t offset, float *restrict h)
{
    memset(h, 0, sizeof(float) * (size_t)n->width);
    for (int64_t k = 0; k < n->parts; k++) {
        const WORD *restrict x = (const WORD *)n->part[k] + offset;
        const float *restrict gain = n->gain[k], *restrict shift = n->shift[k];
        if (gain)
            for (int64_t i = 0; i < n->width; i++)
                h[i] += __builtin_fmaf(LOAD(x[i]), gain[i], shift[i]); /* as torch.addcmul */
        else if (shift)
            for (int64_t i = 0; i < n->width; i++)
                h[i] += LOAD(x[i]) + shift[i];
        else
            for (int64_t i = 0; i < n->width; i++)
                h[i] += LOAD(x[i]);
    }
}

static void NAME(forward)(void *job, int64_t first, int64_t last, int64_t group, float *spare)
{
    neurons *n = job;
    const float vth = n->vth, low = n->low, high = n->high, most = (float)n->levels;
    const int64_t width = n->width;
    float *restrict h = spare, *restrict v = spare + width;
    int32_t lost = 0;
    for (int64_t row = first; row < last; row++) {
        for (int64_t i = 0; i < width; i++)
            v[i] = n->start;
        for (int64_t t = 0; t < n->timesteps; t++) {
            const int64_t offset = (t * n->rows + row) * width;
            WORD *restrict z = (WORD *)n->z + offset;
            int8_t *restrict code = n->code + offset;
            NAME(currents)(n, offset, h);
            for (int64_t i = 0; i < width; i++) {
                const float a = v[i] + h[i];
                const float u = vth == 1.0f ? a : a / vth;
                float within = u > 0.0f ? u : 0.0f;
                within = within < most ? within : most;
                const int32_t whole = (int32_t)within;
                h[i] = (float)whole;
                lost |= a - a != 0.0f || u != u;
                code[i] = (int8_t)(whole | (u >= low && u <= high ? 0 : -128));
                v[i] = a - (float)whole * vth;
            }
            for (int64_t i = 0; i < width; i++)
                z[i] = STORE(h[i]);
        }
    }
    n->lost[group] = lost;
}

static void NAME(backward)(void *job, int64_t first, int64_t last, int64_t group, float *spare)
{
    const neurons *n = job;
    const int64_t width = n->width;
    const float vth = n->vth;
    float *restrict later = spare;
    float *restrict total = n->sums + group * (1 + n->parts) * width;
    memset(total, 0, sizeof(float) * (size_t)((1 + n->parts) * width));
    for (int64_t row = first; row < last; row++) {
        memset(later, 0, sizeof(float) * (size_t)width);
        for (int64_t t = n->timesteps - 1; t >= 0; t--) {
            const int64_t offset = (t * n->rows + row) * width;
            const WORD *restrict g = (const WORD *)n->z + offset;
            const int8_t *restrict code = n->code + offset;
            WORD *restrict out = (WORD *)n->grad + offset;
            for (int64_t i = 0; i < width; i++) {
                const float now = vth == 1.0f ? LOAD(g[i]) : LOAD(g[i]) / vth;
                const float through = n->detached ? now + later[i] : now;
                const WORD found = STORE(code[i] >= 0 ? through : later[i]);
                out[i] = found;
                later[i] = LOAD(found);
                total[i] += LOAD(found);
            }
            for (int64_t k = 0; k < n->parts; k++) {
                const WORD *restrict x = (const WORD *)n->part[k] + offset;
                const float *restrict mean = n->mean[k];
                float *restrict product = total + (1 + k) * width;
                if (mean)
                    for (int64_t i = 0; i < width; i++)
                        product[i] += later[i] * (LOAD(x[i]) - mean[i]);
            }
        }
    }
}

static void NAME(scale)(void *job, int64_t first, int64_t last, int64_t group, float *spare)
{
    const affine *a = job;
    const float *restrict mean = a->by[0], *restrict by_grad = a->by[1];
    const float *restrict by_part = a->by[2], *restrict constant = a->by[3];
    (void)group, (void)spare;
    for (int64_t row = first; row < last; row++) {
        const WORD *g = (const WORD *)a->grad + row * a->width; /* out may be the same */
        const WORD *restrict x = (const WORD *)a->part + row * a->width;
        WORD *out = (WORD *)a->out + row * a->width;
#pragma GCC ivdep
        for (int64_t i = 0; i < a->width; i++)
            out[i] = STORE(LOAD(g[i]) * by_grad[i] + (LOAD(x[i]) - mean[i]) * by_part[i] + constant[i]);
    }
}

static void NAME(decode)(void *job, int64_t first, int64_t last, int64_t group, float *spare)
{
    const affine *a = job;
    (void)group, (void)spare;
    for (int64_t row = first; row < last; row++) {
        const int8_t *restrict code = (const int8_t *)a->part + row * a->width;
        WORD *restrict out = (WORD *)a->out + row * a->width;
        for (int64_t i = 0; i < a->width; i++)
            out[i] = STORE((float)(code[i] & 127));
    }
}
