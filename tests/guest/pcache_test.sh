#!/bin/sh
# The persistent cache over boots of Debian's cloud kernel, which lies elsewhere each time: the second boot finds nearly all of its code, what it finds is
# what would have been made, and damage of the file does no harm. TAP. Skipped without network.
# timeout: 400
. tests/lib/guest.sh
need /pcache fetch_linux cloud || tap_end
init_file "$tmp/init" <<'INIT'
i=0
while [ $i -lt 30 ]; do i=$((i + 1)); ls -lR /bin /proc/self | sort | md5sum; done >/dev/null
gzip </bin/busybox | gunzip | cmp - /bin/busybox && echo GUEST-SAME
grep -c . /proc/kallsyms >/dev/null
echo GUEST-READY
while read -r line; do [ "$line" = off ] && poweroff -f; done
INIT
pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz" || exit 1

# boot NAME PROPERTIES: `info jit` in $tmp/jit.
boot() {
    vm_start -accel "dbt,cache=$tmp/kept$2" -display none -vga none -nodefaults -no-reboot -m 256 -kernel "$guests/vmlinuz-cloud" -initrd "$tmp/initrd.gz" \
        -append "console=ttyS0 panic=-1"
    check "/pcache/$1/boot" shows 100 GUEST-READY
    check "/pcache/$1/right" console_has GUEST-SAME 1
    monitor info jit >"$tmp/jit"
    sed 's/^/# /' "$tmp/jit"
    echo off >&3
    check "/pcache/$1/end" vm_ends 60
}

# per_cent: how much of the guest's instructions had not to be translated.
per_cent() {
    awk '/^translated/ { sub(/.*\(/, ""); made = $1 } /^from it/ { sub(/.*\(/, ""); kept = $1 } END { print int(100 * kept / (made + kept)) }' "$tmp/jit"
}

boot cold
check /pcache/cold/nothing-there [ "$(per_cent)" = 0 ]
check /pcache/cold/kept eval '[ "$(stat -c %s "$tmp"/kept/dbt-* | sort -n | tail -n 1)" -gt 1000000 ]'
check /pcache/cold/private [ "$(stat -c %a "$tmp/kept")" = 700 ]
boot warm
check /pcache/warm/nearly-all [ "$(per_cent)" -ge 90 ]
boot checked ,cache-check=on
check /pcache/checked/many eval '[ "$(sed -n "s/^checked *\([0-9]*\) .*/\1/p" "$tmp/jit")" -gt 10000 ]'
check /pcache/checked/right grep -q '^checked.* 0 wrong' "$tmp/jit"

# Every 4 KiB a byte of the records is another one.
file=$(echo "$tmp"/kept/dbt-*)
size=$(stat -c %s "$file")
awk -v size="$size" 'BEGIN { for (i = 5000; i < size * 0.9; i += 4096) printf "%d\n", i }' | while read -r at; do
    printf 'Z' | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
done
boot damaged
check /pcache/damaged/seen eval '[ "$(sed -n "s/.* \([0-9]*\) damaged.*/\1/p" "$tmp/jit")" -gt 100 ]'
check /pcache/damaged/rest eval '[ "$(per_cent)" -ge 20 ]'
tap_end
