# Guests of the network tests, sourced behind tap.sh: Debian's kernel with tests/guest/init-net and one network card each.
# Sets guests and busybox; used by tests/guest/net_test.sh and link_check.sh.
guests=build/guests
busybox=$guests/busybox-amd64
FETCH_LIB=1
. tests/guest/fetch.sh

# net_initrd [FILE...]: fetches kernel and modules and packs $tmp/initrd.gz with the files; false if they cannot be had, the reason in $tmp/fetch.
net_initrd() {
    mkdir -p "$guests" && fetch_modules stock "$guests" 2>"$tmp/fetch" &&
        pick_modules stock "$guests" "$tmp/mod" e1000 8139cp virtio_pci virtio_net af_packet &&
        pack_initramfs "$busybox" tests/guest/init-net "$tmp/initrd.gz" "$tmp/mod/lib" "$@"
}

driver() {
    case $1 in rtl8139) echo 8139cp ;; virtio-*) echo virtio_net ;; *) echo "$1" ;; esac
}

# guest CARD WANT NETDEV APPEND OUT [MAC]: its output goes to $tmp/OUT, MAC is the last digit of its address.
guest() {
    timeout -k 5 240 "$GEMEL" -display none -vga none -nodefaults -serial stdio -no-reboot -m 256 -kernel "$guests/vmlinuz-stock" \
        -initrd "$tmp/initrd.gz" -netdev "$3,id=n0" -device "$1,netdev=n0,mac=52:54:00:00:00:0${6:-a}" \
        -append "console=ttyS0 quiet panic=-1 gemel.driver=$(driver "$1") gemel.want=$2 gemel.mac=52:54:00:00:00:0${6:-a} $4" \
        </dev/null >"$tmp/$5" 2>"$tmp/$5.err"
}

# A free port, as far as one can tell: one that nobody listens on.
free_port() {
    while :; do
        p=$(shuf -i 20000-60000 -n 1)
        "$busybox" nc -w 1 127.0.0.1 "$p" </dev/null 2>/dev/null || { echo "$p"; return; }
    done
}
