#!/bin/sh
# SeaBIOS up to a boot sector and without one, and memtest86+, which must find no error. TAP. Skipped where the host has no SeaBIOS
# or no network. LONG=1 (`make check-long`) lets memtest86+ finish its first pass over 64 MiB, whose last test waits for minutes.
# timeout: 1500
. tests/lib/guest.sh

# Prints "sector here" through the firmware's teletype service, waits four timer interrupts, in which the firmware flushes its
# serial console, and writes 8 to isa-debug-exit: status 17.
# cli; xor ax,ax; mov ds,ax; mov si,7c30; next: lodsb; test al,al; jz done; mov ah,e; xor bx,bx; int 10; jmp next
# done: sti; mov cx,4; wait: hlt; loop wait; mov al,8; out f4,al; hlt
boot_sector() {
    printf '\372\061\300\216\330\276\060\174\254\204\300\164\010\264\016\061\333\315\020\353\363'
    printf '\373\271\004\0\364\342\375\260\010\346\364\364'
    head -c 15 /dev/zero
    printf 'sector here\0'
    head -c 450 /dev/zero
    printf '\125\252'
}

seabios() {
    boot_sector >"$tmp/disk"
    [ "$(wc -c <"$tmp/disk")" = 512 ] || { check /seabios/sector false; return; }
    truncate -s 2M "$tmp/disk" # less than a cylinder is no disk to the firmware
    gemel_run 120 -nographic -m 32 -device isa-debug-exit,iobase=0xf4,iosize=4 -hda "$tmp/disk"
    if [ $status = 1 ] && grep -qi firmware "$tmp/err"; then
        skip /seabios "$(head -n 1 "$tmp/err")"
        return
    fi
    check /seabios/banner grep -q SeaBIOS "$tmp/out"
    check /seabios/boot-sector grep -q 'sector here' "$tmp/out"
    check /seabios/status [ $status = 17 ]
    truncate -s 0 "$tmp/disk" && truncate -s 2M "$tmp/disk"
    vm_start -nographic -no-reboot -m 32 -hda "$tmp/disk"
    check /seabios/no-boot-sector shows 120 'No bootable device'
    vm_stop
}

memtest() {
    need /memtest fetch_memtest "$guests" || return
    vm_start -nographic -no-reboot -m 64 -kernel "$guests/memtest" -append console=ttyS0,115200
    check /memtest/tests-0-to-9 shows 300 '#10 ['
    [ -n "$LONG" ] && check /memtest/first-pass shows 900 'Pass:  1 '
    check /memtest/no-errors no_errors
    vm_stop
}

no_errors() {
    [ "$(grep -o 'Errors: *[0-9]*' "$tmp/text" | tr -d ' ' | sort -u)" = Errors:0 ]
}

seabios
memtest
tap_end
