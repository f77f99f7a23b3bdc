#!/bin/sh
# gemel-img against qemu-img: the same output, and images of each read bit for bit by the other and found sound. TAP. GEMEL names the emulator
# beside which gemel-img is. Skipped without qemu-img; img_test.sh tests gemel-img alone.
# timeout: 900
. tests/lib/tap.sh
img=$GEMEL-img
cd "$tmp" || exit 1
need_tool /img-qemu qemu-img qemu-io || tap_end

# Random data with holes, 5 MiB and a bit.
head -c 1000000 /dev/urandom >data
truncate -s 3000000 data
seq 1 100000 >>data
truncate -s 5243392 data

# same NAME ARG...: both programs print the same and exit with the same status; their own names and times apart.
same() {
    name=$1
    shift
    "$img" "$@" >out.g 2>err.g
    g=$?
    qemu-img "$@" >out.q 2>err.q
    q=$?
    equal() { [ "$g" = "$q" ] && diff out.q out.g >diff.out; }
    check "/img-qemu/same/$name" equal
    [ "$g" = "$q" ] && cmp -s out.q out.g || sed 's/^/# /' diff.out err.g
}
# both NAME: an image that either program made is sound for both, and holds the same as $data for both.
sound() {
    qemu-img check -q "$1" && "$img" check -q "$1" && qemu-img compare -q -f raw -F qcow2 "$2" "$1" && "$img" compare -q -f raw -F qcow2 "$2" "$1"
}

for o in '' cluster_size=512 cluster_size=4k,refcount_bits=1 cluster_size=2M compat=0.10 lazy_refcounts=on preallocation=metadata \
    preallocation=falloc compression_type=zstd,cluster_size=16k refcount_bits=64; do
    rm -f g.qcow2 q.qcow2 gc.qcow2 qc.qcow2
    "$img" convert -f raw -O qcow2 ${o:+-o "$o"} data g.qcow2
    check "/img-qemu/convert/gemel/$o" sound g.qcow2 data
    qemu-img convert -f raw -O qcow2 ${o:+-o "$o"} data q.qcow2
    check "/img-qemu/convert/qemu/$o" sound q.qcow2 data
    same "info/$o" info q.qcow2
    same "info-json/$o" info --output=json q.qcow2
    case $o in *prealloc*) continue ;; esac
    same "map/$o" map q.qcow2
    same "map-json/$o" map --output=json q.qcow2
    same "check/$o" check q.qcow2
    same "check-json/$o" check --output=json q.qcow2
    "$img" convert -c -f raw -O qcow2 ${o:+-o "$o"} data gc.qcow2
    check "/img-qemu/compressed/gemel/$o" sound gc.qcow2 data
    qemu-img convert -c -f raw -O qcow2 ${o:+-o "$o"} data qc.qcow2
    check "/img-qemu/compressed/qemu/$o" sound qc.qcow2 data
    same "compressed-check/$o" check qc.qcow2
    same "compressed-map-json/$o" map --output=json qc.qcow2
done

# create prints the same, and both find the result empty and sound.
for a in '-f qcow2 x 10M' '-f raw x 1M' '-f qcow2 -o cluster_size=4k,lazy_refcounts=on x 3M' '-f qcow2 -b q.qcow2 -F qcow2 x' '-f raw -o preallocation=full x 64k' \
    '-f qcow2 -o compat=0.10 x 1G' '-f qcow2 x 777'; do
    rm -f x
    # shellcheck disable=SC2086
    same "create $a" create $a
done

# Chains: overlay on either, commit, rebase, snapshots.
rm -f base.qcow2 top.qcow2 mid.qcow2
"$img" convert -f raw -O qcow2 data base.qcow2
"$img" create -q -f qcow2 -b base.qcow2 -F qcow2 mid.qcow2
"$img" create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2
qemu-io -c 'write -P 7 100k 300k' mid.qcow2 >/dev/null
qemu-io -c 'write -P 9 333k 5k' -c 'write -z 2M 200k' top.qcow2 >/dev/null
same chain-info info --backing-chain top.qcow2
same chain-info-json info --output=json --backing-chain top.qcow2
same chain-map map top.qcow2
same chain-map-json map --output=json top.qcow2
same compare compare top.qcow2 base.qcow2
same compare-equal compare top.qcow2 top.qcow2 -U
qemu-img convert -O raw top.qcow2 want
"$img" convert -O raw top.qcow2 got
check /img-qemu/chain/convert cmp want got
"$img" rebase -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
check /img-qemu/chain/rebase sound top.qcow2 want
same rebased-info info top.qcow2
"$img" commit -q -f qcow2 top.qcow2
check /img-qemu/chain/commit sound base.qcow2 want
check /img-qemu/chain/commit-top sound top.qcow2 want
"$img" rebase -q -b '' top.qcow2
check /img-qemu/chain/flatten sound top.qcow2 want
same flat-info info top.qcow2

"$img" snapshot -c one base.qcow2
qemu-io -c 'write -P 3 0 1M' base.qcow2 >/dev/null
qemu-img snapshot -c two base.qcow2
"$img" check -q base.qcow2 && qemu-img check -q base.qcow2
check /img-qemu/snapshot/both-sound [ $? = 0 ]
same snapshot-list snapshot -l base.qcow2
"$img" convert -l one -O raw base.qcow2 got
check /img-qemu/snapshot/read cmp want got
"$img" snapshot -a one base.qcow2
check /img-qemu/snapshot/apply sound base.qcow2 want
qemu-img snapshot -d one base.qcow2
"$img" snapshot -d two base.qcow2
check /img-qemu/snapshot/delete sound base.qcow2 want
same snapshot-none snapshot -a nothing base.qcow2

# Sizes.
"$img" resize -q base.qcow2 +64M
truncate -s $((5243392 + 67108864)) want
check /img-qemu/resize/grow sound base.qcow2 want
"$img" resize -q --shrink base.qcow2 1M
truncate -s 1M want
check /img-qemu/resize/shrink sound base.qcow2 want
same resize-refused resize base.qcow2 -512k
same resize resize base.qcow2 2M
same resize-raw resize -f raw want +1M

# Errors and leaks are found by both; repair satisfies both.
cp q.qcow2 broken.qcow2
printf '\000\007' | dd of=broken.qcow2 bs=1 seek=$((2 * 65536)) conv=notrunc 2>/dev/null
"$img" check broken.qcow2 >/dev/null 2>&1
g=$?
qemu-img check broken.qcow2 >/dev/null 2>&1
check /img-qemu/check/damaged-status [ "$g" = $? ]
"$img" check -q -r all broken.qcow2 2>/dev/null
check /img-qemu/check/repaired sound broken.qcow2 data

# What is refused, with qemu-img's status.
for a in 'info missing' 'check data' 'check missing' 'map missing' 'convert missing x' 'create -f nosuch x 1M' 'create -f qcow2 x' 'resize data' 'compare data' \
    'compare data missing' 'snapshot -l missing' 'frobnicate' 'convert -O nosuch data x' 'create -f qcow2 -b missing -F raw x' 'create -f qcow2 -b data x'; do
    # shellcheck disable=SC2086
    "$img" $a >/dev/null 2>err.g
    g=$?
    # shellcheck disable=SC2086
    qemu-img $a >/dev/null 2>&1
    q=$?
    refused() { [ "$g" = "$q" ] && [ -s err.g ]; }
    check "/img-qemu/refused/$a" refused
done

# A writer keeps everybody else out, of either program.
"$img" create -q -f qcow2 lock.qcow2 1M
mkfifo fifo
qemu-io lock.qcow2 <fifo >wrote 2>&1 &
pid=$!
exec 3>fifo
printf 'write 0 512\n' >&3
check /img-qemu/lock/qemu-writing wait_for wrote 'wrote 512'
"$img" resize -q lock.qcow2 1M 2>err.g
check /img-qemu/lock/qemu-writes grep -q lock err.g
exec 3>&-
wait $pid
tap_end
