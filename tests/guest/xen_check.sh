#!/bin/sh
# Xen with a Debian kernel as dom0, started directly (multiboot, the kernel and its initramfs as modules): to dom0's shell and back
# off. TAP; `make check-guests`.
# timeout: 600
. tests/lib/guest.sh

init_file "$tmp/init" <<'END'
echo "DOM0 type=$(cat /sys/hypervisor/type) cpus=$(grep -c ^processor /proc/cpuinfo)"
dmesg | grep -E 'BUG:|Oops|WARNING:' | sed 's/^/TROUBLE /'
poweroff -f
END

boot() {
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz"
    gemel_run 240 -nographic -m 1024 -smp "$1" -kernel "$tmp/xen" \
        -append "console=com1 com1=115200,8n1 loglvl=all dom0_mem=512M" \
        -initrd "$guests/vmlinuz-stock console=hvc0,$tmp/initrd.gz"
    check "/xen/cpus-$1/dom0" grep -q "^DOM0 type=xen cpus=$1" "$tmp/out"
    check "/xen/cpus-$1/no-trouble" sh -c "! grep -qE 'TROUBLE|Xen BUG|Xen WARN' '$tmp/out'"
    check "/xen/cpus-$1/power-off" [ $status = 0 ]
}

need /xen fetch_linux stock || tap_end
need /xen fetch_tree xen-hypervisor-4.17-amd64 "$guests" || tap_end
gunzip -c "$guests/xen-hypervisor-4.17-amd64/boot/xen-4.17-amd64.gz" >"$tmp/xen"
for cpus in 1 2; do
    boot $cpus
done
tap_end
