#!/bin/sh
# Hot plug with Debian's cloud kernel: a PCI device comes and goes by ACPI on pc, in a root port's slot on q35. TAP. Skipped without network.
# timeout: 400
. tests/lib/tap.sh
guests=build/guests
FETCH_LIB=1
. tests/guest/fetch.sh
mkdir -p "$guests" || exit 1

cat >"$tmp/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys
mount -t proc proc /proc
mount -t sysfs sys /sys
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

# plug MACHINE BUS OPTION...: status 0 if the guest saw it come and go and powered off.
plug() {
    machine=$1 bus=$2
    shift 2
    : >"$tmp/out"
    mkfifo "$tmp/commands"
    timeout -k 5 150 "$GEMEL" -display none -vga none -nodefaults -monitor stdio -serial "file:$tmp/out" -m 256 -machine "$machine" "$@" \
        -kernel "$guests/vmlinuz-cloud" -initrd "$tmp/initrd.gz" -append console=ttyS0 <"$tmp/commands" >"$tmp/monitor" 2>"$tmp/err" &
    emulator=$!
    exec 3>"$tmp/commands"
    rm -f "$tmp/commands"
    wait_for "$tmp/out" GUEST-READY && echo "device_add pvpanic-pci,id=new$bus" >&3 && wait_for "$tmp/out" GUEST-PLUGGED &&
        echo "device_del new" >&3 && wait_for "$tmp/out" GUEST-UNPLUGGED
    seen=$?
    [ $seen = 0 ] || kill "$emulator"
    wait "$emulator"
    status=$?
    exec 3>&-
    [ $seen = 0 ] && [ $status = 0 ]
}

{ fetch_kernel cloud "$guests" && fetch_busybox amd64 "$guests"; } 2>"$tmp/fetch"
case $? in
0)
    chmod +x "$tmp/init"
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz"
    check /hotplug/pc plug pc ''
    check /hotplug/q35 plug q35 ,bus=rp -device pcie-root-port,id=rp
    ;;
77) skip /hotplug "$(tail -n 1 "$tmp/fetch")" ;;
*) cp "$tmp/fetch" "$tmp/err"; check /hotplug/fetch false ;;
esac
tap_end
