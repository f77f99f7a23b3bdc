#!/bin/sh
# gemel-img alone: what it writes it finds sound and reads back bit for bit, in every form of qcow2; chains, snapshots, sizes, repair, what it
# refuses, locks. TAP. GEMEL names the emulator beside which gemel-img is. img_qemu_test.sh compares it with qemu-img.
# timeout: 900
. tests/lib/tap.sh
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
img=$GEMEL-img
cd "$tmp" || exit 1

# Random data with holes, 5 MiB and a bit; and the same with two pieces changed.
head -c 1000000 /dev/urandom >data
truncate -s 3000000 data
seq 1 100000 >>data
truncate -s 5243392 data
cp data data2
seq 1 9999 | dd of=data2 bs=1000 seek=333 conv=notrunc 2>/dev/null
head -c 70000 /dev/zero | dd of=data2 bs=1000 seek=3300 conv=notrunc 2>/dev/null

# same FILE QCOW2: the image is sound, and holds the same as the file.
same() {
    "$img" check -q "$2" && "$img" compare -q -f raw -F qcow2 "$1" "$2" && "$img" convert -O raw "$2" back && cmp "$1" back
}

# tells TEXT COMMAND...: gemel-img prints it.
tells() {
    text=$1
    shift
    "$img" "$@" >out 2>err
    status=$?
    [ "$status" = 0 ] && grep -qF -e "$text" out
}

for o in '' cluster_size=512 cluster_size=4k,refcount_bits=1 cluster_size=2M compat=0.10 lazy_refcounts=on preallocation=metadata \
    preallocation=falloc compression_type=zstd,cluster_size=16k refcount_bits=64; do
    rm -f a.qcow2 c.qcow2
    "$img" convert -f raw -O qcow2 ${o:+-o "$o"} data a.qcow2
    check "/img/convert/$o" same data a.qcow2
    check "/img/info/$o" tells '"virtual-size": 5243392' info --output=json a.qcow2
    case $o in *prealloc*) continue ;; esac
    check "/img/map/$o" tells '"start": 0' map --output=json a.qcow2
    "$img" convert -c -f raw -O qcow2 ${o:+-o "$o"} data c.qcow2
    check "/img/compressed/$o" same data c.qcow2
done
smaller() { [ "$(stat -c %s c.qcow2)" -lt "$(stat -c %s a.qcow2)" ]; }
check /img/compressed-is-smaller smaller

for a in '-f qcow2 x 10M' '-f raw x 1M' '-f qcow2 -o cluster_size=4k,lazy_refcounts=on x 3M' '-f qcow2 -b a.qcow2 -F qcow2 x' '-f raw -o preallocation=full x 64k' \
    '-f qcow2 -o compat=0.10 x 1G'; do
    rm -f x
    # shellcheck disable=SC2086
    check "/img/create/$a" tells "Formatting 'x', fmt=" create $a
    check "/img/create/$a/there" tells 'virtual size:' info x
done

# Chains: rebasing writes what differs from the new backing file into the overlay; commit brings it down.
rm -f base.qcow2 other.qcow2 top.qcow2
"$img" convert -f raw -O qcow2 data base.qcow2
"$img" convert -f raw -O qcow2 data2 other.qcow2
"$img" create -q -f qcow2 -b other.qcow2 -F qcow2 top.qcow2
check /img/chain/empty-overlay same data2 top.qcow2
"$img" rebase -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
check /img/chain/rebase same data2 top.qcow2
check /img/chain/base-untouched same data base.qcow2
check /img/chain/info tells 'backing file: base.qcow2' info top.qcow2
check /img/chain/map tells base.qcow2 map top.qcow2
"$img" commit -q -f qcow2 top.qcow2
check /img/chain/commit same data2 base.qcow2
check /img/chain/commit-top same data2 top.qcow2
"$img" rebase -q -b '' top.qcow2
rm -f other.qcow2
check /img/chain/flatten same data2 top.qcow2

"$img" convert -f raw -O qcow2 data snap.qcow2
"$img" snapshot -c one snap.qcow2
"$img" convert -n -f raw -O qcow2 data2 snap.qcow2
check /img/snapshot/written-after same data2 snap.qcow2
check /img/snapshot/list tells one snapshot -l snap.qcow2
"$img" convert -l one -O raw snap.qcow2 got
check /img/snapshot/read cmp data got
"$img" snapshot -a one snap.qcow2
check /img/snapshot/apply same data snap.qcow2
"$img" snapshot -d one snap.qcow2
check /img/snapshot/delete same data snap.qcow2

cp data want
"$img" resize -q snap.qcow2 +64M
truncate -s $((5243392 + 67108864)) want
check /img/resize/grow same want snap.qcow2
"$img" resize -q --shrink snap.qcow2 1M
truncate -s 1M want
check /img/resize/shrink same want snap.qcow2

# A reference count that is wrong, at the start of the refcount block: check says so, repair mends it.
"$img" convert -f raw -O qcow2 data broken.qcow2
printf '\000\007' | dd of=broken.qcow2 bs=1 seek=$((2 * 65536)) conv=notrunc 2>/dev/null
"$img" check broken.qcow2 >/dev/null 2>&1
status=$?
damaged() { [ "$status" = 2 ] || [ "$status" = 3 ]; }
check /img/check/damaged-status damaged
"$img" check -q -r all broken.qcow2 2>/dev/null
check /img/check/repaired same data broken.qcow2

# What is refused: status 1 and one line.
for a in 'info missing' 'check missing' 'map missing' 'convert missing x' 'create -f nosuch x 1M' 'create -f qcow2 x' 'resize data' 'snapshot -l missing' \
    'frobnicate' 'convert -O nosuch data x' 'create -f qcow2 -b missing -F raw x' 'create -f qcow2 -b data x' 'resize -f raw data -6M'; do
    rm -f x
    # shellcheck disable=SC2086
    "$img" $a >out 2>err
    status=$?
    refused() { [ "$status" = 1 ] && [ -s err ]; }
    check "/img/refused/$a" refused
done
"$img" compare -f raw -F raw data data2 >out 2>err
status=$?
check /img/compare/differ [ "$status" = 1 ]
"$img" compare -f raw -F raw data missing >out 2>err
status=$?
check /img/compare/missing [ "$status" = 2 ]

# A running guest's disk cannot be written by anybody else.
"$img" create -q -f qcow2 lock.qcow2 1M
mkfifo held
"$GEMEL" -m 16 -kernel "$BUILD/tests/guest/demo.elf" -S -display none -hda lock.qcow2 -monitor stdio >vm.out 2>&1 <held &
pid=$!
background="$background $pid"
exec 3>held
check /img/lock/running wait_for vm.out monitor
"$img" resize -q lock.qcow2 2M 2>err
status=$?
check /img/lock/refused [ "$status" = 1 ]
check /img/lock/told grep -q lock err
check /img/lock/read-shared tells "virtual size: 1 MiB" info -U lock.qcow2
echo quit >&3
wait $pid
forget $pid
check /img/lock/free-again "$img" resize -q lock.qcow2 2M
tap_end
