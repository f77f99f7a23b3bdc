# Debian from disk images (tests/guest/debian_image.sh), sourced in place of tests/lib/guest.sh by tests/guest/debian*_check.sh.
. tests/lib/guest.sh
images=$guests/debian
ssh_key=$images/debian-key

# image NAME ARCH: the images are there, or a line of TAP says why not.
image() {
    need "$1" tests/guest/debian_image.sh "$images" "$2"
}

# start OPTION...: the machine with its network.
start() {
    ssh_port=$(free_port)
    vm_start -display none -m 1024 -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$ssh_port-:22" "$@"
}

no_trouble() {
    guest 'dmesg --level=emerg,alert,crit,err; systemctl --failed --no-legend; dmesg | grep -E "BUG:|Oops|WARNING:|Call Trace"'
    cp "$tmp/guest" "$tmp/out"
    ! [ -s "$tmp/guest" ]
}
