#!/bin/sh
# Boots Debian's kernel with each network card: DHCP, DNS-less user network, TFTP, HTTP in both directions, guestfwd; and two guests on the
# two ends of a socket. TAP.
# timeout: 900
# Skipped without network. CARDS="e1000 rtl8139 virtio-net-pci" chooses.
. tests/lib/net_guest.sh
need /net/guests net_initrd || tap_end
mkdir -p "$tmp/www" "$tmp/tftp" || exit 1

sum() {
    md5sum <"$1" | cut -c 1-32
}

seq 1 300000 >"$tmp/www/data"
seq 1 50000 >"$tmp/tftp/boot.bin"
port=$(free_port)
"$busybox" httpd -f -p "127.0.0.1:$port" -h "$tmp/www" &
background="$background $!"

user() {
    fwd=$(free_port)
    rm -f "$tmp/www/done" "$tmp/out"
    : >"$tmp/out"
    net_guest "$1" user "user,hostname=gemelguest,domainname=test.example,tftp=$tmp/tftp,bootfile=boot.bin,hostfwd=tcp:127.0.0.1:$fwd-:80,guestfwd=tcp:10.0.2.100:7-cmd:cat" \
        "gemel.port=$port gemel.tftpsum=$(sum "$tmp/tftp/boot.bin") gemel.datasum=$(sum "$tmp/www/data")" out &
    pid=$!
    serves() { file_has "$tmp/out" GUEST-SERVES || gone $pid; }
    until_true 120 serves
    got=$("$busybox" wget -q -O - "http://127.0.0.1:$fwd/numbers" | md5sum)
    echo yes >"$tmp/www/done"
    wait $pid
    status=$?
    cp "$tmp/out.err" "$tmp/err"
    check "/net/$1/user" grep -q GUEST-OK "$tmp/out" || grep GUEST-FAIL "$tmp/out" | sed 's/^/# /'
    check "/net/$1/hostfwd" [ "$got" = "$(seq 1 500000 | md5sum)" ]
    check "/net/$1/power-off" [ "$status" = 0 ]
}

peers() {
    net_guest "$1" peer "stream,server=on,addr.type=unix,addr.path=$tmp/s" gemel.self=1 out &
    first=$!
    until_true 30 net_guest_listens $first unix "$tmp/s"
    net_guest "$2" peer "stream,addr.type=unix,addr.path=$tmp/s" gemel.self=2 second b
    status=$?
    check "/net/peers/$1-$2/second" grep -q GUEST-OK "$tmp/second" || cat "$tmp/second" | sed 's/^/# /'
    wait $first
    status=$?
    cp "$tmp/out.err" "$tmp/err"
    check "/net/peers/$1-$2/first" grep -q GUEST-OK "$tmp/out" || grep GUEST-FAIL "$tmp/out" | sed 's/^/# /'
}

# The card's iPXE ROM (package ipxe-qemu) gets an address from the user network, a script and the kernel by TFTP, the initrd by HTTP.
netboot() {
    [ -e /usr/lib/ipxe/qemu/pxe-e1000.rom ] || { skip "/net/$1/netboot" "no ipxe-qemu"; return; }
    cp "$guests/vmlinuz-stock" "$tmp/tftp/kernel" && cp "$tmp/initrd.gz" "$tmp/www/initrd"
    printf '#!ipxe\nkernel kernel console=ttyS0 quiet panic=-1 gemel.driver=%s gemel.want=none gemel.mac=52:54:00:12:34:56\ninitrd http://10.0.2.2:%s/initrd\nboot\n' \
        "$(driver "$1")" "$port" >"$tmp/tftp/boot.ipxe"
    gemel_run 240 -display none -vga none -nodefaults -serial stdio -no-reboot -m 256 \
        -nic "user,model=$1,tftp=$tmp/tftp,bootfile=boot.ipxe"
    check "/net/$1/netboot" grep -q GUEST-OK "$tmp/out"
}

cards=${CARDS:-e1000 rtl8139 virtio-net-pci}
for card in $cards; do
    user "$card"
    netboot "$card"
done
if [ -z "$CARDS" ]; then
    peers e1000 rtl8139
    peers virtio-net-pci e1000
fi
tap_end
