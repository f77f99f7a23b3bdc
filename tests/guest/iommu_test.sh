#!/bin/sh
# Debian's stock kernel with DMA and interrupts behind the remapping hardware (-device intel-iommu): virtio with split and packed rings, AHCI and
# e1000, in strict and lazy mode and passed through, with and without x2APIC. tests/guest/init-iommu tries them. TAP. Skipped without network.
# timeout: 900
. tests/lib/guest.sh
need /iommu fetch_modules stock "$guests" || tap_end
pick_modules stock "$guests" "$tmp/modules" ahci sd_mod virtio_pci virtio_blk virtio_net e1000 ext4 crc32c_generic &&
    pack_initramfs "$guests/busybox-amd64" tests/guest/init-iommu "$tmp/initrd.gz" "$tmp/modules/lib" || exit 1

# boot NAME IOMMU-OPTIONS VIRTIO-OPTIONS APPEND
boot() {
    for f in disk disk2; do
        rm -f "$tmp/$f" && truncate -s 64M "$tmp/$f"
    done
    gemel_run "${GUEST_TIMEOUT:-240}" -machine q35 -device "intel-iommu$2" -nodefaults -display none -serial stdio -no-reboot -m 512 -smp 2 \
        -kernel "$guests/vmlinuz-stock" -initrd "$tmp/initrd.gz" -append "console=ttyS0 panic=-1 intel_iommu=on gemel.nets=2 $4" \
        -drive "file=$tmp/disk,if=none,id=d0,format=raw" -device "virtio-blk-pci,drive=d0,iommu_platform=on,disable-legacy=on$3" \
        -drive "file=$tmp/disk2,if=none,id=d1,format=raw" -device ide-hd,drive=d1,bus=ide.0 \
        -netdev user,id=n0,net=10.0.11.0/24 -device "virtio-net-pci,netdev=n0,iommu_platform=on,disable-legacy=on,romfile=$3" \
        -netdev user,id=n1,net=10.0.12.0/24 -device pcie-pci-bridge,id=b -device e1000,netdev=n1,bus=b,romfile=
    check "/iommu/$1/guest" grep -q GUEST-OK "$tmp/out" || grep -a 'GUEST-FAIL\|DMAR' "$tmp/out" | sed 's/^/# /'
    check "/iommu/$1/power-off" [ "$status" = 0 ]
}

boot lazy "" "" "gemel.ir=yes gemel.x2apic=yes gemel.domain=Translated"
boot strict ,aw-bits=48,caching-mode=on,eim=off ,packed=on "iommu.strict=1 gemel.ir=yes gemel.x2apic=no gemel.domain=Translated"
boot pass ,intremap=off "" "iommu=pt gemel.ir=no gemel.domain=Passthrough"
tap_end
