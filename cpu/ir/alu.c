/* Integer arithmetic of the IR with exact x86 flags, as pure C. Called by the interpreter and helpers; any thread. Flags that the SDM leaves
 * undefined follow AMD Zen where that is simple. Source: SDM vol. 2. */
#include "cpu/ir/alu.h"

static unsigned bits_of(unsigned size) { return size * 8; }
static bool msb(u64 v, unsigned size) { return v >> (size * 8 - 1) & 1; }

static u32 flags_szp(u64 r, unsigned size)
{
    return (msb(r, size) ? F_SF : 0) | (r ? 0 : F_ZF) | (__builtin_parity((u8)r) ? 0 : F_PF);
}

static void flag_set(u32 *fl, u32 f, bool on) { *fl = on ? *fl | f : *fl & ~f; }

/* --- add and subtract --- */
static u64 add_carry(u64 a, u64 b, bool cin, unsigned size, u32 *fl)
{
    a = zext(a, size);
    b = zext(b, size);
    u64 r = zext(a + b + cin, size);
    u64 carries = (a & b) | ((a | b) & ~r);
    *fl = flags_szp(r, size) | (msb(carries, size) ? F_CF : 0) | (((a ^ b ^ r) & 0x10) ? F_AF : 0) |
          (msb((a ^ r) & (b ^ r), size) ? F_OF : 0);
    return r;
}

static u64 sub_borrow(u64 a, u64 b, bool cin, unsigned size, u32 *fl)
{
    a = zext(a, size);
    b = zext(b, size);
    u64 r = zext(a - b - cin, size);
    u64 borrows = (~a & b) | (~(a ^ b) & r);
    *fl = flags_szp(r, size) | (msb(borrows, size) ? F_CF : 0) | (((a ^ b ^ r) & 0x10) ? F_AF : 0) |
          (msb((a ^ b) & (a ^ r), size) ? F_OF : 0);
    return r;
}

static u64 alu_add(u64 a, u64 b, unsigned size, u32 *fl) { return add_carry(a, b, false, size, fl); }
static u64 alu_adc(u64 a, u64 b, unsigned size, u32 *fl) { return add_carry(a, b, *fl & F_CF, size, fl); }
static u64 alu_sub(u64 a, u64 b, unsigned size, u32 *fl) { return sub_borrow(a, b, false, size, fl); }
static u64 alu_sbb(u64 a, u64 b, unsigned size, u32 *fl) { return sub_borrow(a, b, *fl & F_CF, size, fl); }
static u64 alu_neg(u64 a, u64 b, unsigned size, u32 *fl) { return sub_borrow(0, a, false, size, fl); }
static u64 alu_not(u64 a, u64 b, unsigned size, u32 *fl) { return zext(~a, size); }

static u64 alu_inc(u64 a, u64 b, unsigned size, u32 *fl)
{
    u32 cf = *fl & F_CF;
    u64 r = add_carry(a, 1, false, size, fl);
    *fl = (*fl & ~(u32)F_CF) | cf;
    return r;
}

static u64 alu_dec(u64 a, u64 b, unsigned size, u32 *fl)
{
    u32 cf = *fl & F_CF;
    u64 r = sub_borrow(a, 1, false, size, fl);
    *fl = (*fl & ~(u32)F_CF) | cf;
    return r;
}

static u64 alu_adcx(u64 a, u64 b, unsigned size, u32 *fl)
{
    u32 own = 0;
    u64 r = add_carry(a, b, *fl & F_CF, size, &own);
    flag_set(fl, F_CF, own & F_CF);
    return r;
}

static u64 alu_adox(u64 a, u64 b, unsigned size, u32 *fl)
{
    u32 own = 0;
    u64 r = add_carry(a, b, *fl & F_OF, size, &own);
    flag_set(fl, F_OF, own & F_CF);
    return r;
}

/* --- logic --- */
static u64 logic(u64 r, unsigned size, u32 *fl)
{
    r = zext(r, size);
    *fl = flags_szp(r, size);
    return r;
}
static u64 alu_and(u64 a, u64 b, unsigned size, u32 *fl) { return logic(a & b, size, fl); }
static u64 alu_or(u64 a, u64 b, unsigned size, u32 *fl) { return logic(a | b, size, fl); }
static u64 alu_xor(u64 a, u64 b, unsigned size, u32 *fl) { return logic(a ^ b, size, fl); }
static u64 alu_andn(u64 a, u64 b, unsigned size, u32 *fl) { return logic(~a & b, size, fl); }

/* --- shifts: the count is masked to 5 bits, or 6 for 64-bit operands; 0 leaves flags alone --- */
static unsigned count_of(u64 b, unsigned size) { return (unsigned)b & (size == 8 ? 63 : 31); }

static u64 alu_shl(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size), bits = bits_of(size);
    a = zext(a, size);
    if (!n)
        return a;
    u64 r = n < bits ? zext(a << n, size) : 0;
    bool cf = n <= bits && (a >> (bits - n) & 1);
    *fl = flags_szp(r, size) | (cf ? F_CF : 0) | F_AF | (cf != msb(r, size) ? F_OF : 0);
    return r;
}

static u64 alu_shr(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size), bits = bits_of(size);
    a = zext(a, size);
    if (!n)
        return a;
    u64 r = n < bits ? a >> n : 0;
    bool cf = n <= bits && (a >> (n - 1) & 1);
    *fl = flags_szp(r, size) | (cf ? F_CF : 0) | F_AF | (msb(r ^ r << 1, size) ? F_OF : 0);
    return r;
}

static u64 alu_sar(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size);
    i64 s = (i64)sext(a, size);
    if (!n)
        return zext(a, size);
    u64 r = zext((u64)(s >> n), size);
    *fl = flags_szp(r, size) | (s >> (n - 1) & 1 ? F_CF : 0) | F_AF;
    return r;
}

static u64 alu_rol(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size), bits = bits_of(size), k = n & (bits - 1);
    a = zext(a, size);
    if (!n)
        return a;
    u64 r = k ? zext(a << k | a >> (bits - k), size) : a;
    flag_set(fl, F_CF, r & 1);
    flag_set(fl, F_OF, msb(r, size) != (r & 1));
    return r;
}

static u64 alu_ror(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size), bits = bits_of(size), k = n & (bits - 1);
    a = zext(a, size);
    if (!n)
        return a;
    u64 r = k ? zext(a >> k | a << (bits - k), size) : a;
    flag_set(fl, F_CF, msb(r, size));
    flag_set(fl, F_OF, msb(r ^ r << 1, size));
    return r;
}

/* Rotates CF:a (bits + 1 wide) left by k < bits + 1. */
static u64 rotate_carry(u64 a, unsigned k, unsigned bits, u32 *fl)
{
    u128 v = (u128)(*fl & F_CF) << bits | a;
    if (k)
        v = v << k | v >> (bits + 1 - k);
    flag_set(fl, F_CF, v >> bits & 1);
    return (u64)v & MASK64(bits);
}

static u64 alu_rcl(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size), bits = bits_of(size);
    a = zext(a, size);
    if (!n)
        return a;
    u64 r = rotate_carry(a, n % (bits + 1), bits, fl);
    flag_set(fl, F_OF, msb(r, size) != (*fl & F_CF));
    return r;
}

static u64 alu_rcr(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = count_of(b, size), bits = bits_of(size);
    a = zext(a, size);
    if (!n)
        return a;
    u64 r = rotate_carry(a, (bits + 1 - n % (bits + 1)) % (bits + 1), bits, fl);
    flag_set(fl, F_OF, msb(r ^ r << 1, size));
    return r;
}

/* A 16-bit count above 16 goes on shifting in the fill operand, as the hardware does. */
u64 alu_shd(u64 d, u64 a, unsigned count, unsigned size, bool right, u32 *fl)
{
    unsigned n = count_of(count, size), bits = bits_of(size);
    d = zext(d, size);
    a = zext(a, size);
    if (!n)
        return d;
    bool over = n > bits, cf;
    u64 r;
    if (right) {
        cf = !over && (d >> (n - 1) & 1);
        u128 v = over ? (u128)a << bits | a : (u128)a << bits | d;
        r = zext((u64)(v >> (over ? n - bits : n)), size);
        *fl = flags_szp(r, size) | F_AF | (cf ? F_CF : 0) | (msb(r ^ r << 1, size) ? F_OF : 0);
        return r;
    }
    cf = !over && (d >> (bits - n) & 1);
    u128 v = over ? (u128)a << bits | a : (u128)d << bits | a;
    r = zext((u64)((v << (over ? n - bits : n)) >> bits), size);
    *fl = flags_szp(r, size) | F_AF | (cf ? F_CF : 0) | (cf != (n < bits && msb(r, size)) ? F_OF : 0);
    return r;
}

/* --- bits --- */
static u64 alu_bt(u64 a, u64 b, unsigned size, u32 *fl)
{
    flag_set(fl, F_CF, a >> (b & (bits_of(size) - 1)) & 1);
    return zext(a, size);
}
static u64 alu_bts(u64 a, u64 b, unsigned size, u32 *fl) { return alu_bt(a, b, size, fl) | 1ull << (b & (bits_of(size) - 1)); }
static u64 alu_btr(u64 a, u64 b, unsigned size, u32 *fl) { return alu_bt(a, b, size, fl) & ~(1ull << (b & (bits_of(size) - 1))); }
static u64 alu_btc(u64 a, u64 b, unsigned size, u32 *fl) { return alu_bt(a, b, size, fl) ^ 1ull << (b & (bits_of(size) - 1)); }

u64 alu_bit_scan(u64 d, u64 a, unsigned size, bool reverse, u32 *fl)
{
    a = zext(a, size);
    if (!a) {
        *fl = F_ZF | F_PF;
        return d;
    }
    u64 r = reverse ? 63 - (unsigned)__builtin_clzll(a) : (unsigned)__builtin_ctzll(a);
    *fl = flags_szp(r, size) & ~(u32)F_ZF;
    return r;
}

static u64 count_result(u64 r, unsigned size, u32 *fl)
{
    *fl = (*fl & F_OF) | (r ? 0 : F_ZF) | (r == bits_of(size) ? F_CF : 0);
    return r;
}

static u64 alu_tzcnt(u64 a, u64 b, unsigned size, u32 *fl)
{
    a = zext(a, size);
    return count_result(a ? (unsigned)__builtin_ctzll(a) : bits_of(size), size, fl);
}

static u64 alu_lzcnt(u64 a, u64 b, unsigned size, u32 *fl)
{
    a = zext(a, size);
    return count_result(a ? (unsigned)__builtin_clzll(a) - (64 - bits_of(size)) : bits_of(size), size, fl);
}

static u64 alu_popcnt(u64 a, u64 b, unsigned size, u32 *fl)
{
    a = zext(a, size);
    *fl = a ? 0 : F_ZF;
    return (u64)__builtin_popcountll(a);
}

static u64 alu_blsi(u64 a, u64 b, unsigned size, u32 *fl)
{
    u64 r = logic(a & -a, size, fl);
    flag_set(fl, F_CF, zext(a, size) != 0);
    return r;
}

static u64 alu_blsr(u64 a, u64 b, unsigned size, u32 *fl)
{
    u64 r = logic(a & (a - 1), size, fl);
    flag_set(fl, F_CF, zext(a, size) == 0);
    return r;
}

static u64 alu_blsmsk(u64 a, u64 b, unsigned size, u32 *fl)
{
    u64 r = logic(a ^ (a - 1), size, fl);
    flag_set(fl, F_CF, zext(a, size) == 0);
    return r;
}

static u64 alu_bextr(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned start = b & 0xff, len = b >> 8 & 0xff;
    u64 r = start < 64 ? zext(a, size) >> start : 0;
    r = logic(r & MASK64(len), size, fl);
    *fl = (*fl & (F_ZF | F_PF)) | F_AF;
    return r;
}

static u64 alu_bzhi(u64 a, u64 b, unsigned size, u32 *fl)
{
    unsigned n = b & 0xff;
    u64 r = logic(a & MASK64(n), size, fl);
    flag_set(fl, F_CF, n >= bits_of(size));
    return r;
}

static u64 alu_pdep(u64 a, u64 b, unsigned size, u32 *fl)
{
    u64 r = 0;
    for (u64 m = zext(b, size); m; m &= m - 1, a >>= 1)
        if (a & 1)
            r |= m & -m;
    return r;
}

static u64 alu_pext(u64 a, u64 b, unsigned size, u32 *fl)
{
    u64 r = 0;
    unsigned n = 0;
    for (u64 m = zext(b, size); m; m &= m - 1, n++)
        if (a & m & -m)
            r |= 1ull << n;
    return r;
}

/* --- shifts without flags: fl is handed to the ordinary ones and thrown away by the caller --- */
static u64 alu_rorx(u64 a, u64 b, unsigned size, u32 *fl) { return alu_ror(a, b, size, fl); }

static u64 alu_bswap(u64 a, u64 b, unsigned size, u32 *fl)
{
    return size == 8 ? __builtin_bswap64(a) : size == 4 ? __builtin_bswap32((u32)a) : 0;
}

/* --- multiply and divide: flags other than CF and OF are left alone, as AMD does --- */
static u64 alu_imul(u64 a, u64 b, unsigned size, u32 *fl)
{
    i128 p = (i128)(i64)sext(a, size) * (i64)sext(b, size);
    u64 r = zext((u64)p, size);
    bool over = p != (i64)sext(r, size);
    flag_set(fl, F_CF | F_OF, over);
    return r;
}

void alu_mul_wide(u64 a, u64 b, unsigned size, bool is_signed, u64 *lo, u64 *hi, u32 *fl)
{
    u128 p = is_signed ? (u128)((i128)(i64)sext(a, size) * (i64)sext(b, size)) : (u128)zext(a, size) * zext(b, size);
    *lo = zext((u64)p, size);
    *hi = zext((u64)(p >> bits_of(size)), size);
    flag_set(fl, F_CF | F_OF, is_signed ? *hi != zext((u64)((i64)sext(*lo, size) >> 63), size) : *hi != 0);
}

bool alu_div_wide(u64 hi, u64 lo, u64 v, unsigned size, bool is_signed, u64 *quot, u64 *rem)
{
    unsigned bits = bits_of(size);
    u128 n = (u128)zext(hi, size) << bits | zext(lo, size);
    v = zext(v, size);
    if (!v)
        return false;
    if (!is_signed) {
        if (n / v > MASK64(bits))
            return false;
        *quot = (u64)(n / v);
        *rem = (u64)(n % v);
        return true;
    }
    bool nneg = msb(hi, size), vneg = msb(v, size);
    u128 an = nneg ? ((u128)0 - n) & (bits == 64 ? ~(u128)0 : ((u128)1 << 2 * bits) - 1) : n;
    u64 av = vneg ? zext(-v, size) : v;
    u128 q = an / av;
    u64 r = (u64)(an % av), top = 1ull << (bits - 1);
    if (q > (nneg != vneg ? top : top - 1))
        return false;
    *quot = zext(nneg != vneg ? -(u64)q : (u64)q, size);
    *rem = zext(nneg ? -r : r, size);
    return true;
}

u64 alu_crc32(u64 crc, u64 data, unsigned size)
{
    u32 r = (u32)crc;
    for (unsigned i = 0; i < size; i++) {
        r ^= (u8)(data >> 8 * i);
        for (unsigned k = 0; k < 8; k++)
            r = r >> 1 ^ (r & 1 ? 0x82f63b78 : 0); /* Castagnoli polynomial, reflected */
    }
    return r;
}

bool alu_cond(u32 fl, unsigned cc)
{
    bool r, lt = !(fl & F_SF) != !(fl & F_OF);
    switch (cc >> 1 & 7) {
    case 0: r = fl & F_OF; break;
    case 1: r = fl & F_CF; break;
    case 2: r = fl & F_ZF; break;
    case 3: r = fl & (F_CF | F_ZF); break;
    case 4: r = fl & F_SF; break;
    case 5: r = fl & F_PF; break;
    case 6: r = lt; break;
    default: r = lt || (fl & F_ZF); break;
    }
    return r != (cc & 1);
}

alu_fn *alu_function(enum ir_code code)
{
    static alu_fn *const table[IR_COUNT] = {
        [IR_ADD] = alu_add, [IR_ADC] = alu_adc, [IR_SUB] = alu_sub, [IR_SBB] = alu_sbb, [IR_CMP] = alu_sub,
        [IR_AND] = alu_and, [IR_OR] = alu_or, [IR_XOR] = alu_xor, [IR_TEST] = alu_and, [IR_ANDN] = alu_andn,
        [IR_INC] = alu_inc, [IR_DEC] = alu_dec, [IR_NEG] = alu_neg, [IR_NOT] = alu_not,
        [IR_SHL] = alu_shl, [IR_SHR] = alu_shr, [IR_SAR] = alu_sar, [IR_ROL] = alu_rol, [IR_ROR] = alu_ror,
        [IR_RCL] = alu_rcl, [IR_RCR] = alu_rcr, [IR_RORX] = alu_rorx, [IR_SARX] = alu_sar, [IR_SHLX] = alu_shl,
        [IR_SHRX] = alu_shr, [IR_BT] = alu_bt, [IR_BTS] = alu_bts, [IR_BTR] = alu_btr, [IR_BTC] = alu_btc,
        [IR_TZCNT] = alu_tzcnt, [IR_LZCNT] = alu_lzcnt, [IR_POPCNT] = alu_popcnt, [IR_BLSI] = alu_blsi,
        [IR_BLSR] = alu_blsr, [IR_BLSMSK] = alu_blsmsk, [IR_BEXTR] = alu_bextr, [IR_BZHI] = alu_bzhi,
        [IR_PDEP] = alu_pdep, [IR_PEXT] = alu_pext, [IR_BSWAP] = alu_bswap, [IR_IMUL] = alu_imul,
        [IR_ADCX] = alu_adcx, [IR_ADOX] = alu_adox,
    };
    return table[code];
}
