/* A convolution of multi-level neurons that skips groups of four channels in which all payloads
   are 0: one 8-bit dot-product instruction takes four channels to 16 outputs, so a group is the
   least that can be left out without giving that instruction up. Needs AVX-512 VNNI. */
#include <stdint.h>

typedef struct {
    int32_t h, w, groups, ho, wo, kh, kw, stride, pad, outputs, levels, unit;
} geometry;

#ifndef __AVX512VNNI__
int layer(void)
{
    return -1;
}
#else
#include <immintrin.h>

enum { ENTRIES = 1 << 14, BLOCK = 64 };

/* The groups of one pixel that are not 0 and where their weights begin; returns how many. */
static inline int entries(const uint8_t *x, int groups, uint32_t first, uint32_t *value, uint32_t *where)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i step = _mm512_mullo_epi32(lane, _mm512_set1_epi32(4 * BLOCK));
    int n = 0;
    for (int g = 0; g < groups; g += 16) {
        const int left = groups - g;
        const __mmask16 in = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        const __m512i four = _mm512_maskz_loadu_epi32(in, x + 4 * g);
        const __mmask16 some = _mm512_test_epi32_mask(four, four);
        const __m512i at = _mm512_add_epi32(step, _mm512_set1_epi32(first + 4 * BLOCK * g));
        _mm512_storeu_si512(value + n, _mm512_maskz_compress_epi32(some, four));
        _mm512_storeu_si512(where + n, _mm512_maskz_compress_epi32(some, at));
        n += __builtin_popcount(some);
    }
    return n;
}

/* clip(floor((unit sum + bias) / vth) + shortcut, 0, N): a float quotient, put right in integers. */
static inline void fire(__m512i sum, const geometry *g, int c, const float *inverse, const int32_t *vth,
                        const int32_t *bias, const uint8_t *shortcut, uint8_t *z)
{
    const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);
    const __m512i v = _mm512_loadu_si512(vth + c);
    const __m512i u = _mm512_add_epi32(_mm512_mullo_epi32(sum, _mm512_set1_epi32(g->unit)),
                                       _mm512_loadu_si512(bias + c));
    const __m512 near = _mm512_mul_ps(_mm512_cvtepi32_ps(u), _mm512_loadu_ps(inverse + c));
    __m512i q = _mm512_cvt_roundps_epi32(near, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const __m512i rest = _mm512_sub_epi32(u, _mm512_mullo_epi32(q, v));
    q = _mm512_mask_sub_epi32(q, _mm512_cmplt_epi32_mask(rest, zero), q, one);
    q = _mm512_mask_add_epi32(q, _mm512_cmpge_epi32_mask(rest, v), q, one);
    if (shortcut)
        q = _mm512_add_epi32(q, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(shortcut + c))));
    q = _mm512_min_epi32(_mm512_max_epi32(q, zero), _mm512_set1_epi32(g->levels));
    _mm_storeu_si128((__m128i *)(z + c), _mm512_cvtepi32_epi8(q));
}

/* written out, since gcc 12 copies accumulators between registers otherwise */
#define DOT(sum, four, weights) \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(four), "m"(*(const __m512i *)(weights)))

/* x (samples, h, w, 4 groups), weight [outputs / 64][kh kw][groups][64 outputs][4 channels] on 64
   bytes, shortcut and z (samples, ho, wo, outputs); vth, bias and 1 / vth a channel. */
int layer(const uint8_t *x, int64_t samples, const geometry *g, const int8_t *weight, const float *inverse,
          const int32_t *vth, const int32_t *bias, const uint8_t *shortcut, uint8_t *z)
{
    static _Thread_local uint32_t value[ENTRIES + 16], where[ENTRIES + 16];
    static _Thread_local int32_t end[ENTRIES];
    const int most = g->kh * g->kw * g->groups, area = g->ho * g->wo, row = 4 * g->groups;
    const int64_t pixels = samples * area, map = (int64_t)g->h * g->w * row;
    if (most > ENTRIES || g->outputs % BLOCK)
        return -1;
    for (int64_t from = 0; from < pixels;) {
        int n = 0, count = 0;
        for (int64_t p = from; p < pixels && n + most <= ENTRIES && count < ENTRIES; p++) {
            const int at = (int)(p % area);
            const int top = at / g->wo * g->stride - g->pad, left = at % g->wo * g->stride - g->pad;
            for (int k = 0; k < g->kh * g->kw; k++) {
                const int y = top + k / g->kw, column = left + k % g->kw;
                if (y < 0 || y >= g->h || column < 0 || column >= g->w)
                    continue;
                const uint8_t *pixel = x + p / area * map + ((int64_t)y * g->w + column) * row;
                n += entries(pixel, g->groups, 4 * BLOCK * k * g->groups, value + n, where + n);
            }
            end[count++] = n;
        }
        for (int b = 0; b < g->outputs; b += BLOCK) {
            const int8_t *w = weight + (int64_t)b * 4 * most;
            for (int k = 0, e = 0; k < count; k++) {
                __m512i s0, s1, s2, s3, t0, t1, t2, t3;
                s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = _mm512_setzero_si512();
                for (; e + 1 < end[k]; e += 2) {
                    const __m512i a = _mm512_set1_epi32(value[e]), c = _mm512_set1_epi32(value[e + 1]);
                    const int8_t *q = w + where[e], *r = w + where[e + 1];
                    DOT(s0, a, q);
                    DOT(t0, c, r);
                    DOT(s1, a, q + 64);
                    DOT(t1, c, r + 64);
                    DOT(s2, a, q + 128);
                    DOT(t2, c, r + 128);
                    DOT(s3, a, q + 192);
                    DOT(t3, c, r + 192);
                }
                if (e < end[k]) {
                    const __m512i a = _mm512_set1_epi32(value[e]);
                    const int8_t *q = w + where[e++];
                    DOT(s0, a, q);
                    DOT(s1, a, q + 64);
                    DOT(s2, a, q + 128);
                    DOT(s3, a, q + 192);
                }
                const int64_t p = (from + k) * g->outputs;
                const uint8_t *added = shortcut ? shortcut + p : 0;
                fire(_mm512_add_epi32(s0, t0), g, b, inverse, vth, bias, added, z + p);
                fire(_mm512_add_epi32(s1, t1), g, b + 16, inverse, vth, bias, added, z + p);
                fire(_mm512_add_epi32(s2, t2), g, b + 32, inverse, vth, bias, added, z + p);
                fire(_mm512_add_epi32(s3, t3), g, b + 48, inverse, vth, bias, added, z + p);
            }
        }
        from += count;
    }
    return 0;
}
#endif
