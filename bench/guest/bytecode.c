/* A bytecode program - which number below LIMIT has the longest Collatz sequence, and how long are all together? - and two interpreters of it, with a
 * switch and with computed gotos. Called by bench/guest/integer.c. */
#include "bench/guest/bytecode.h"

enum { LIMIT = 8000 };
enum opcode { PUSH, LOAD, STORE, ADD, ADD_I, MUL_I, SHIFT_I, AND_I, LESS, JUMP, JUMP_IF, JUMP_UNLESS, HALT };
enum variable { I, N, LENGTH, BEST, ARG_BEST, SUM, VARIABLES };

struct insn {
    enum opcode op;
    int arg;
};

static const struct insn code[] = {
    /*  0 */ { PUSH, 1 }, { STORE, I },
    /*  2: for each i */ { LOAD, I }, { STORE, N }, { PUSH, 0 }, { STORE, LENGTH },
    /*  6: while 1 < n */ { PUSH, 1 }, { LOAD, N }, { LESS, 0 }, { JUMP_UNLESS, 26 },
    /* 10 */ { LOAD, LENGTH }, { PUSH, 1 }, { ADD, 0 }, { STORE, LENGTH },
    /* 14 */ { LOAD, N }, { AND_I, 1 }, { JUMP_IF, 21 },
    /* 17: even */ { LOAD, N }, { SHIFT_I, 1 }, { STORE, N }, { JUMP, 6 },
    /* 21: odd */ { LOAD, N }, { MUL_I, 3 }, { ADD_I, 1 }, { STORE, N }, { JUMP, 6 },
    /* 26 */ { LOAD, SUM }, { LOAD, LENGTH }, { ADD, 0 }, { STORE, SUM },
    /* 30 */ { LOAD, BEST }, { LOAD, LENGTH }, { LESS, 0 }, { JUMP_UNLESS, 38 },
    /* 34 */ { LOAD, LENGTH }, { STORE, BEST }, { LOAD, I }, { STORE, ARG_BEST },
    /* 38 */ { LOAD, I }, { ADD_I, 1 }, { STORE, I },
    /* 41 */ { LOAD, I }, { PUSH, LIMIT }, { LESS, 0 }, { JUMP_IF, 2 },
    /* 45 */ { HALT, 0 },
};

uint64_t bytecode_switch(void)
{
    uint64_t stack[8], *sp = stack, var[VARIABLES] = { 0 };
    for (const struct insn *pc = code;; pc++) {
        switch (pc->op) {
        case PUSH: *sp++ = (uint64_t)pc->arg; break;
        case LOAD: *sp++ = var[pc->arg]; break;
        case STORE: var[pc->arg] = *--sp; break;
        case ADD: sp--, sp[-1] += *sp; break;
        case ADD_I: sp[-1] += (uint64_t)pc->arg; break;
        case MUL_I: sp[-1] *= (uint64_t)pc->arg; break;
        case SHIFT_I: sp[-1] >>= pc->arg; break;
        case AND_I: sp[-1] &= (uint64_t)pc->arg; break;
        case LESS: sp--, sp[-1] = sp[-1] < *sp; break;
        case JUMP: pc = code + pc->arg - 1; break;
        case JUMP_IF: pc = *--sp ? code + pc->arg - 1 : pc; break;
        case JUMP_UNLESS: pc = *--sp ? pc : code + pc->arg - 1; break;
        case HALT: return var[ARG_BEST] << 32 | var[SUM];
        }
    }
}

uint64_t bytecode_goto(void)
{
    static const void *const label[] = { &&push, &&load, &&store, &&add, &&add_i, &&mul_i, &&shift_i, &&and_i, &&less, &&jump, &&jump_if,
                                         &&jump_unless, &&halt };
    uint64_t stack[8], *sp = stack, var[VARIABLES] = { 0 };
    const struct insn *pc = code;
    goto *label[pc->op];
#define NEXT goto *label[(++pc)->op]
#define TO(n) do { pc = code + (n); goto *label[pc->op]; } while (0)
push: *sp++ = (uint64_t)pc->arg; NEXT;
load: *sp++ = var[pc->arg]; NEXT;
store: var[pc->arg] = *--sp; NEXT;
add: sp--, sp[-1] += *sp; NEXT;
add_i: sp[-1] += (uint64_t)pc->arg; NEXT;
mul_i: sp[-1] *= (uint64_t)pc->arg; NEXT;
shift_i: sp[-1] >>= pc->arg; NEXT;
and_i: sp[-1] &= (uint64_t)pc->arg; NEXT;
less: sp--, sp[-1] = sp[-1] < *sp; NEXT;
jump: TO(pc->arg);
jump_if: if (*--sp) TO(pc->arg); NEXT;
jump_unless: if (!*--sp) TO(pc->arg); NEXT;
halt: return var[ARG_BEST] << 32 | var[SUM];
}
