#!/bin/sh
# Debian's cloud kernel with every virtio device, in each of the ways a driver can talk to them: modern with split and packed rings, legacy,
# without MSI-X, through registers in memory. tests/guest/init-virtio tries the devices. TAP. Skipped without network, busybox or socat.
# timeout: 600
. tests/lib/guest.sh
need_tool /virtio socat || tap_end
need /virtio fetch_modules cloud "$guests" || tap_end
pick_modules cloud "$guests" "$tmp/modules" virtio_pci virtio_mmio virtio_blk virtio_net virtio-rng virtio_console virtio_balloon virtio_scsi sd_mod ext4 &&
    pack_initramfs "$guests/busybox-amd64" tests/guest/init-virtio "$tmp/initrd.gz" "$tmp/modules/lib" || exit 1

# The other end of the named port: answers the first line, then sums up the rest.
cat >"$tmp/peer" <<'PEER'
read -r line
echo "$line" >&2
echo "hello from the host"
md5sum >&2
PEER

# host_side: what people do meanwhile; at the end of the named port's, $tmp/peer.out is complete.
host_side() {
    until_true 60 test -S "$tmp/port" && socat UNIX-CONNECT:"$tmp/port" EXEC:"sh $tmp/peer" 2>"$tmp/peer.out" &
    shows 120 GUEST-BALLOON-READY && monitor 'balloon 300' >/dev/null
    wait $!
}

# boot NAME TRANSPORT OPTIONS MACHINE...: TRANSPORT is the end of the devices' names, OPTIONS go to every device.
boot() {
    name=/virtio/$1 t=$2 o=$3
    shift 3
    rm -f "$tmp/out" "$tmp/disk" "$tmp/disk2" "$tmp/hvc" "$tmp/port" "$tmp/peer.out"
    for f in disk disk2; do
        seq 1 100000 >"$tmp/$f" && truncate -s 64M "$tmp/$f"
    done
    vm_start -display none -no-reboot -m 512 -smp 2 \
        "$@" -kernel "$guests/vmlinuz-cloud" -initrd "$tmp/initrd.gz" \
        -append "console=ttyS0 panic=-1 gemel.want=blk,scsi,rng,console,net,balloon" \
        -drive file="$tmp/disk",if=none,id=d0,format=raw,discard=unmap -device "virtio-blk-$t",drive=d0,serial=gemel-serial"$o" \
        -device "virtio-scsi-$t$o" -drive file="$tmp/disk2",if=none,id=d1,format=raw,discard=unmap -device scsi-hd,drive=d1 \
        -object rng-random,id=r0,filename=/dev/urandom -device "virtio-rng-$t",rng=r0"$o" \
        -netdev user,id=n0 -device "virtio-net-$t",netdev=n0"$o" \
        -device "virtio-balloon-$t",free-page-reporting=on"$o" \
        -device "virtio-serial-$t$o" -chardev file,id=h,path="$tmp/hvc" -device virtconsole,chardev=h \
        -chardev socket,id=c,path="$tmp/port",server=on,wait=off -device virtserialport,chardev=c,name=org.gemel.test
    host_side
    ended=no
    vm_ends "${GUEST_TIMEOUT:-180}" && ended=yes
    cp "$tmp/console" "$tmp/out"
    check "$name/boot" file_has "$tmp/console" GUEST-START || return
    check "$name/devices" file_has "$tmp/console" GUEST-OK || grep -a GUEST-FAIL "$tmp/console" | sed 's/^/# /'
    check "$name/console" grep -q "on hvc0" "$tmp/hvc"
    check "$name/port" grep -q "hello from the guest" "$tmp/peer.out"
    check "$name/port-data" grep -q "$(seq 1 20000 | md5sum)" "$tmp/peer.out"
    check "$name/power-off" [ $ended = yes ]
}

boot modern pci ""
boot packed pci ,packed=on
boot legacy pci ,disable-modern=on
boot pins pci ,vectors=0,event_idx=off,indirect_desc=off
boot q35 pci "" -machine q35
transports=
for i in 0 1 2 3 4 5; do
    transports="$transports -device virtio-mmio,addr=0xfed4${i}000,irq=$((16 + i))"
done
# shellcheck disable=SC2086
boot mmio device "" $transports
tap_end
