#!/bin/sh
# NBD images: written, read, mapped and compared by gemel-img over a unix socket, and refused by name when there is no server. TAP. Needs
# nbdkit, and a build with libnbd.
. tests/lib/tap.sh
img=$GEMEL-img
need_tool /nbd/all nbdkit || tap_end
if ! grep -q 'HAVE_LIBNBD 1' config.h; then
    skip /nbd/all "this build has no libnbd"
    tap_end
fi
cd "$tmp" || exit 1
head -c 3000000 /dev/urandom >data
truncate -s 8M data
truncate -s 8M server
nbdkit -f -U "$tmp/sock" -P "$tmp/pid" file server &
pid=$!
background="$background $pid"
wait_for "$tmp/pid" "$pid"

"$img" convert -n -f raw -O raw data "nbd+unix:///?socket=$tmp/sock"
check /nbd/write cmp data server
check /nbd/compare "$img" compare -q -f raw -F raw "nbd:unix:$tmp/sock" data
"$img" convert -O qcow2 "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":\"$tmp/sock\"}}}" out.qcow2
check /nbd/options "$img" compare -q -F raw out.qcow2 data
"$img" map --output=json "nbd:unix:$tmp/sock" >map
check /nbd/holes grep -q '"zero": true, "data": false' map
"$img" create -q -f qcow2 -b "nbd+unix:///?socket=$tmp/sock" -F raw top.qcow2
check /nbd/backing "$img" compare -q -F raw top.qcow2 data
kill $pid
wait $pid
forget $pid
"$img" info "nbd:unix:$tmp/sock" >out 2>err
status=$?
check /nbd/no-server [ "$status" = 1 ]
check /nbd/no-server-named grep -q "nbd:unix:$tmp/sock" err
gemel_run 60 -nographic -drive "file=nbd:unix:$tmp/sock,format=raw"
check /nbd/drive-no-server [ "$status" = 1 ]
tap_end
