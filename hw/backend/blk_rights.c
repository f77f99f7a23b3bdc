/* Rights to block nodes: who of a node's users reads, writes or resizes it, and who lets others do so. What all users of a node need together goes
 * on to its children and, on host files, becomes locks that QEMU and gemel-img respect, too (docs/block.md). Main thread, or with the machine lock
 * held the thread that takes a device away. */
#include <glib.h>
#include "hw/backend/blk_int.h"

/* The lists of users, and the locks of files. */
static struct lock rights = { .m = PTHREAD_MUTEX_INITIALIZER, .name = "rights", .rank = RANK_BACKEND };

static const char *const names[RIGHT_BITS] = { "consistent read", "write", "write unchanged", "resize" };

const char *right_name(unsigned rights_set)
{
    unsigned i = 0;

    while (i < RIGHT_BITS - 1 && !(rights_set >> i & 1))
        i++;
    return names[i];
}

static bool same_rights(struct node_rights a, struct node_rights b) { return a.need == b.need && a.deny == b.deny; }

static struct node_rights sum_of(const struct blk_node *n)
{
    struct node_rights sum = { 0 };

    for (const struct node_user *u = n->users; u; u = u->next) {
        sum.need |= u->rights.need;
        sum.deny |= u->rights.deny;
    }
    return sum;
}

struct node_rights node_rights_alone(bool readonly)
{
    return (struct node_rights){ RIGHT_READ | (readonly ? 0 : RIGHT_WRITE | RIGHT_RESIZE), RIGHT_WRITE | RIGHT_RESIZE };
}

/* The tables of a format stand only as long as nobody else writes; a format without any passes on what its users want. */
static struct node_rights file_rights(const struct blk_node *n)
{
    return n->drv->tables ? node_rights_alone(n->readonly) : sum_of(n);
}

static struct node_rights backing_rights(const struct blk_node *n)
{
    if (n->commits)
        return node_rights_alone(false);
    return (struct node_rights){ RIGHT_READ, sum_of(n).deny & RIGHT_WRITE ? RIGHT_WRITE | RIGHT_RESIZE : 0 };
}

static int check_conflict(const struct blk_node *n, const struct node_user *u, struct err *e)
{
    for (const struct node_user *o = n->users; o; o = o->next) {
        unsigned both = (u->rights.need & o->rights.deny) | (u->rights.deny & o->rights.need);
        if (o != u && both)
            return err_set(e, "Permission conflict on node '%s': '%s' is required by one of its users and not shared by another "
                           "(disk devices share it if all have share-rw=on)", n->name, right_name(both));
    }
    return 0;
}

static int claim(struct blk_node *n, struct node_user *u, struct node_rights r, struct err *e);

/* The children and the host file follow what users want now. If that is less than before, it cannot fail. */
static int follow(struct blk_node *n, struct err *e)
{
    if (n->drv->lock)
        return n->drv->lock(n, sum_of(n), e);
    if (n->file && claim(n->file, &n->file_user, file_rights(n), e) < 0)
        return -1;
    return n->backing ? claim(n->backing, &n->backing_user, backing_rights(n), e) : 0;
}

static void join(struct blk_node *n, struct node_user *u)
{
    if (u->node)
        return;
    u->node = n;
    u->next = n->users;
    n->users = u;
}

static void leave(struct node_user *u)
{
    struct node_user **p = &u->node->users;

    while (*p != u)
        p = &(*p)->next;
    *p = u->next;
    *u = (struct node_user){ 0 };
}

/* First what is new besides what is old, which may be refused, then the new alone. What stays as it is goes no further: each step would double the
 * work for each image below. */
static int claim(struct blk_node *n, struct node_user *u, struct node_rights r, struct err *e)
{
    struct node_rights old = u->rights, both = { old.need | r.need, old.deny | r.deny };

    assert(!u->node || u->node == n);
    join(n, u);
    u->rights = both;
    bool ok = same_rights(both, old) || (check_conflict(n, u, e) == 0 && follow(n, e) == 0);
    u->rights = ok ? r : old;
    if (!same_rights(both, u->rights))
        follow(n, NULL);
    return ok ? 0 : -1;
}

int node_claim(struct blk_node *n, struct node_user *u, struct node_rights r, struct err *e)
{
    bool new = !u->node;
    int ret;

    lock_acquire(&rights);
    ret = claim(n, u, r, e);
    if (ret < 0 && new)
        leave(u);
    lock_release(&rights);
    return ret;
}

void node_release(struct node_user *u)
{
    struct blk_node *n = u->node;

    if (!n)
        return;
    lock_acquire(&rights);
    leave(u);
    follow(n, NULL);
    lock_release(&rights);
}

int node_claim_alone(struct blk_node *n, struct err *e)
{
    return node_claim(n, &n->own, node_rights_alone(n->readonly), e);
}

int node_rights_follow(struct blk_node *n, struct err *e)
{
    int r;

    lock_acquire(&rights);
    r = follow(n, e);
    lock_release(&rights);
    return r;
}

/* -- reading and writing ------------------------------------------------------------------------------------------------ */

static int reopen(struct blk_node *n, bool rdwr, struct err *e);

static int reopen_rdwr(struct blk_node *n, struct err *e)
{
    n->readonly = false;
    if (follow(n, e) == 0 && (!n->file || reopen(n->file, true, e) == 0) && n->drv->reopen(n, true, e) == 0) {
        n->flags |= NODE_RDWR;
        return 0;
    }
    n->readonly = true;
    follow(n, NULL);
    return -1;
}

static int reopen_readonly(struct blk_node *n, struct err *e)
{
    int r;

    node_flush(n);
    if (n->drv->reopen(n, false, e) < 0)
        return -1;
    n->readonly = true;
    n->flags &= ~NODE_RDWR;
    r = n->file ? reopen(n->file, false, e) : 0;
    follow(n, NULL);
    return r;
}

static int reopen(struct blk_node *n, bool rdwr, struct err *e)
{
    if (!n->readonly == rdwr)
        return 0;
    if (!n->drv->reopen)
        return err_set(e, "'%s' cannot change between reading and writing", n->name);
    return rdwr ? reopen_rdwr(n, e) : reopen_readonly(n, e);
}

int node_reopen(struct blk_node *n, bool rdwr, struct err *e)
{
    int r;

    lock_acquire(&rights);
    r = reopen(n, rdwr, e);
    lock_release(&rights);
    return r;
}
