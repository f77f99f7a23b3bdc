#!/bin/sh
# Two guests linked by a socket, each with another network card: ping and iperf3 between them, both ways. TAP; `make check-guests`.
# timeout: 900
# Skipped without network. ONLY_CASE="socket stream dgram mcast" chooses; SECONDS_EACH=N: how long iperf3 runs each way (5).
. tests/lib/net_guest.sh
need /link fetch_iperf "$guests" || tap_end
need /link net_initrd "$guests/iperf3-amd64" || tap_end

# link NAME CARD1 NETDEV1 CARD2 NETDEV2 [KIND ADDRESS]: the second guest is started when the first one listens there.
link() {
    net_guest "$2" iperf "$3" "gemel.self=1 gemel.seconds=${SECONDS_EACH:-5}" first a &
    first=$!
    [ -z "$6" ] || until_true 30 net_guest_listens $first "$6" "$7"
    net_guest "$4" iperf "$5" "gemel.self=2 gemel.seconds=${SECONDS_EACH:-5}" second b
    status2=$?
    wait $first
    status=$?
    grep -a GUEST-IPERF "$tmp/second" | sed "s,^,# $1: ,"
    for n in first second; do
        cp "$tmp/$n" "$tmp/out"
        cp "$tmp/$n.err" "$tmp/err"
        check "/link/$1/$n" grep -q GUEST-OK "$tmp/$n" || grep -a GUEST-FAIL "$tmp/$n" | sed 's/^/# /'
    done
    for what in ping iperf-there-status iperf-there-moves iperf-back-status iperf-back-moves; do
        check "/link/$1/$what" grep -q "GUEST-PASS $what" "$tmp/second"
    done
    check "/link/$1/power-off" [ "$status$status2" = 00 ]
}

socket() {
    port=$(free_port)
    link socket e1000 "socket,listen=127.0.0.1:$port" virtio-net-pci "socket,connect=127.0.0.1:$port" tcp "$port"
}

stream() {
    link stream virtio-net-pci "stream,server=on,addr.type=unix,addr.path=$tmp/s" e1000 "stream,addr.type=unix,addr.path=$tmp/s" unix "$tmp/s"
}

dgram() {
    a=$(free_port) b=$(free_port)
    host=127.0.0.1
    link dgram e1000 "dgram,local.type=inet,local.host=$host,local.port=$a,remote.type=inet,remote.host=$host,remote.port=$b" \
        virtio-net-pci "dgram,local.type=inet,local.host=$host,local.port=$b,remote.type=inet,remote.host=$host,remote.port=$a"
}

mcast() {
    port=$(free_port)
    link mcast e1000 "socket,mcast=230.0.0.1:$port,localaddr=127.0.0.1" virtio-net-pci "socket,mcast=230.0.0.1:$port,localaddr=127.0.0.1"
}

for c in ${ONLY_CASE:-socket stream dgram mcast}; do
    $c
done
tap_end
