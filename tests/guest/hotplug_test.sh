#!/bin/sh
# Hot plug with Debian's cloud kernel: a PCI device comes and goes by ACPI on pc, in a root port's slot on q35. TAP. Skipped without network
# or socat.
# timeout: 400
. tests/lib/guest.sh

# What the guest does: it says when the device comes and when it goes, and ends.
init_file "$tmp/init" <<'END'
echo GUEST-READY
there=
while [ "$there" != gone ]; do
    if grep -q 0x0011 /sys/bus/pci/devices/*/device; then
        [ -z "$there" ] && echo GUEST-PLUGGED && there=yes
    elif [ -n "$there" ]; then
        there=gone
    fi
    sleep 1
done
echo GUEST-UNPLUGGED
poweroff -f
END

# plug MACHINE BUS OPTION...
plug() {
    name=/hotplug/$1 machine=$1 bus=$2
    shift 2
    vm_start -display none -vga none -nodefaults -m 256 -machine "$machine" "$@" -kernel "$guests/vmlinuz-cloud" -initrd "$tmp/initrd.gz" \
        -append console=ttyS0
    check "$name/ready" shows 100 GUEST-READY || { vm_kill; return; }
    monitor "device_add pvpanic-pci,id=new$bus" >/dev/null
    check "$name/plugged" shows 30 GUEST-PLUGGED
    monitor "device_del new" >/dev/null
    check "$name/unplugged" shows 30 GUEST-UNPLUGGED
    check "$name/power-off" vm_ends 30
}

need_tool /hotplug socat || tap_end
need /hotplug fetch_linux cloud || tap_end
pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz"
plug pc ''
plug q35 ,bus=rp -device pcie-root-port,id=rp
tap_end
