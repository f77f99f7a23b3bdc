# Guests of the network tests, sourced in place of tests/lib/guest.sh: Debian's kernel with tests/guest/init-net and one network card each, as
# many at a time as a test wants. Used by tests/guest/net_test.sh and link_check.sh.
. tests/lib/guest.sh
busybox=$guests/busybox-amd64

# net_initrd [FILE...]: fetches kernel and modules and packs $tmp/initrd.gz with the files; for need().
net_initrd() {
    fetch_modules stock "$guests" || return
    pick_modules stock "$guests" "$tmp/mod" e1000 8139cp virtio_pci virtio_net af_packet &&
        pack_initramfs "$busybox" tests/guest/init-net "$tmp/initrd.gz" "$tmp/mod/lib" "$@"
}

driver() {
    case $1 in rtl8139) echo 8139cp ;; virtio-*) echo virtio_net ;; *) echo "$1" ;; esac
}

# net_guest CARD WANT NETDEV APPEND OUT [MAC]: its output goes to $tmp/OUT, MAC is the last digit of its address.
net_guest() {
    timeout -k 5 240 "$GEMEL" -display none -vga none -nodefaults -serial stdio -no-reboot -m 256 -kernel "$guests/vmlinuz-stock" \
        -initrd "$tmp/initrd.gz" -netdev "$3,id=n0" -device "$1,netdev=n0,mac=52:54:00:00:00:0${6:-a}" \
        -append "console=ttyS0 quiet panic=-1 gemel.driver=$(driver "$1") gemel.want=$2 gemel.mac=52:54:00:00:00:0${6:-a} $4" \
        </dev/null >"$tmp/$5" 2>"$tmp/$5.err"
}

# listens KIND ADDRESS: somebody does, at that Unix socket or TCP port.
listens() {
    case $1 in
    unix) [ -S "$2" ] ;;
    tcp) tcp_listens "$2" ;;
    esac
}

# net_guest_listens PROCESS KIND ADDRESS: for until_true; true also when the process has ended.
net_guest_listens() {
    listens "$2" "$3" || gone "$1"
}
