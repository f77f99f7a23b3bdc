#!/bin/sh
# Programs of Debian's at work, for `make bench`, in a root made of their packages (bench/run): real NAME COUNT, as bench/guest/main.c's programs.
# Each round is checked by a way back, or by what is known of the result; its checksum is the same on every machine.
PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/tmp TZ=UTC
export PATH LC_ALL HOME TZ
name=$1
cd /tmp || exit 1

sum() {
    cat "$@" | sha256sum | cut -c 1-16
}

round_gzip() {
    gzip -n -6 </data >z && gzip -d <z | cmp -s - /data && sum z
}

round_xz() {
    head -c 400000 /data >part && xz -T1 -c part >z && xz -d <z | cmp -s - part && sum z
}

round_sqlite3() {
    rm -f db
    sqlite3 db "PRAGMA synchronous = OFF;
        CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
            INSERT INTO t SELECT i, i * 7919 % 60000, printf('%x', i * 31337) FROM n;
        CREATE INDEX tb ON t(b);
        DELETE FROM t WHERE c LIKE '%f';
        SELECT count(*), sum(a), max(c), (SELECT count(*) FROM t AS x, t AS y WHERE x.b = y.a) FROM t;
        PRAGMA integrity_check;" >o && grep -qx ok o && sum o
}

round_python3() {
    python3 -S -E -c '
import re, collections
words = re.findall(r"\w+", open("/data", encoding="latin-1").read()[:600000])
count = collections.Counter(words)
primes = [True] * 200000
for i in range(2, 448):
    if primes[i]:
        primes[i * i::i] = [False] * len(primes[i * i::i])
class Node:
    __slots__ = "left", "right", "key"
    def __init__(self, key): self.left = self.right = None; self.key = key
def insert(n, key):
    while True:
        side = "left" if key < n.key else "right"
        if getattr(n, side) is None: setattr(n, side, Node(key)); return
        n = getattr(n, side)
root = Node(50000)
for i in range(8000): insert(root, i * 7919 % 99991)
def depth(n): return 0 if n is None else 1 + max(depth(n.left), depth(n.right))
assert sum(primes[2:]) == 17984
print(len(words), count.most_common(5), depth(root), "".join(sorted(count))[:2000])' >o && sum o
}

round_perl() {
    perl -e '
        open(my $f, "<", "/data") or die; my (%n, $hex);
        while (<$f>) { last if $. > 15000; $n{lc $_}++ for /([A-Za-z_]+)/g; s/\b0x([0-9a-f]+)\b/hex $1/gei and $hex++; }
        my @w = sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n;
        my ($s, $x) = (0, 1); for (1 .. 300000) { $x = ($x * 1103515245 + 12345) % 2147483648; $s ^= $x >> 8; }
        print "$hex $s @w[0 .. 99]\n"' >o && sum o
}

round_openssl() {
    openssl enc -aes-256-cbc -pbkdf2 -iter 60000 -pass pass:gemel -S 0011223344556677 -in /data -out z &&
        openssl enc -d -aes-256-cbc -pbkdf2 -iter 60000 -pass pass:gemel -S 0011223344556677 -in z | cmp -s - /data &&
        { openssl dgst -r -sha256 z && openssl dgst -r -sha3-512 z && openssl dgst -r -blake2b512 z && openssl dgst -r -md5 z; } >o && sum o
}

round_gcc() {
    gcc -O2 -I/src -c /src/bench/guest/integer.c -o o.o && gcc -D_GNU_SOURCE -O2 -I/src /src/bench/guest/selftest.c /src/bench/guest/main.c -o o &&
        ./o right 1 | grep -q '^BENCH ok' && sum o.o
}

round_dpkg() {
    rm -rf r && mkdir -p r/var/lib/dpkg/info r/var/lib/dpkg/updates && : >r/var/lib/dpkg/status &&
        dpkg --root=/tmp/r --force-depends -i /package.deb >o 2>&1 && dpkg --root=/tmp/r -V linux-libc-dev && (cd r/usr && find . -type f | sort) >o && sum o
}

i=0
while [ "$i" -lt "$2" ]; do
    got=$("round_$name") && [ "${got:-none}" = "${first:-$got}" ] || { echo "BENCH wrong $name: round $i"; exit 1; }
    first=$got
    i=$((i + 1))
done
echo "BENCH ok $name $first"
