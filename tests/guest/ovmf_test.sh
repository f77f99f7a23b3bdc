#!/bin/sh
# UEFI firmware (OVMF) from flash memory on both machines, up to its shell, and variables that outlive the process. TAP. Skipped where the
# host has no OVMF (package ovmf).
# timeout: 600
. tests/lib/guest.sh
code=/usr/share/OVMF/OVMF_CODE_4M.fd
vars=/usr/share/OVMF/OVMF_VARS_4M.fd

start() {
    vm_start -nographic -m 256 -drive if=pflash,unit=0,format=raw,readonly=on,file=$code -drive "if=pflash,unit=1,format=raw,file=$tmp/vars" "$@"
}

shell() {
    shows 60 'to skip' && printf '\033' >&3 && shows 20 'Shell>'
}

variable='GemelTest -guid 6b7a6c2e-5d0f-4b9c-9a3e-2f1d0c4b8e71'

boot() {
    cp "$vars" "$tmp/vars"
    chmod 644 "$tmp/vars"
    start -machine "$1"
    check "/ovmf/$1/shell" shell
    printf 'setvar %s -bs -rt -nv =0xa55aa55a\r' "$variable" >&3
    check "/ovmf/$1/variable-set" shows 20 'Shell>' 2
    printf 'reset -s\r' >&3
    check "/ovmf/$1/power-off" vm_ends 30
    start -machine "$1"
    check "/ovmf/$1/second-shell" shell
    printf 'setvar %s\r' "$variable" >&3
    check "/ovmf/$1/variable-kept" shows 20 '5A A5 5A A5'
    printf 'reset -s\r' >&3
    check "/ovmf/$1/second-power-off" vm_ends 30
}

if [ -r $code ] && [ -r $vars ]; then
    boot q35
    boot pc
else
    skip /ovmf "there is no $code (package ovmf)"
fi
tap_end
