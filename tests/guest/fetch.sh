#!/bin/sh
# Gets Debian's kernels and a static busybox, and packs an initramfs with them. Called by tests/guest/demo.sh and by the tests
# that boot real guests: fetch.sh FLAVOUR FOLDER, where FLAVOUR is cloud, stock (both amd64) or 686 (i386, PAE).
#
# Leaves FOLDER/vmlinuz-FLAVOUR and FOLDER/busybox-ARCH, and keeps them. Packages come by `apt-get download` from where the host
# gets its own, with a package state of its own, so that the host's is neither needed nor changed. Exit status 77: no network,
# no apt, or a host whose sources do not have Debian's kernels.
# As a library: `. tests/guest/fetch.sh` defines the functions only, if FETCH_LIB is set.

say() {
    echo "fetch: $*" >&2
}

# fetch_once FOLDER NAME COMMAND...: FOLDER/NAME is there, or COMMAND makes it: one process at a time, for tests that run side by side.
fetch_once() {
    [ -e "$1/$2" ] && return 0
    if [ -n "$fetch_locked" ]; then
        shift 2
        "$@"
        return
    fi
    (
        flock 9 || exit 1
        fetch_locked=yes
        [ -e "$1/$2" ] && exit 0
        shift 2
        "$@"
    ) 9>"$1/fetch.lock"
}

# apt_setup FOLDER ARCH: an apt that knows one architecture and nothing of the host's packages. The host's sources, proxies and
# mirrors are kept: only the places of what apt writes are ours.
apt_setup() {
    apt_root=$(cd "$1" && pwd)/apt-$2
    mkdir -p "$apt_root/lists/partial" "$apt_root/cache/archives/partial"
    [ -e "$apt_root/status" ] || : >"$apt_root/status"
    apt_opts="-o Dir::State=$apt_root -o Dir::State::status=$apt_root/status -o Dir::State::lists=$apt_root/lists \
-o Dir::Cache=$apt_root/cache -o Dir::Etc::preferencesparts=/dev/null -o APT::Architecture=$2 -o APT::Architectures=$2 \
-o APT::Sandbox::User= -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= -o Acquire::Languages=none \
-o Acquire::Retries=2 -o Acquire::http::Timeout=20"
}

apt_get() {
    # shellcheck disable=SC2086
    apt-get -q $apt_opts "$@" >>"$apt_root/log" 2>&1
}

apt_update() {
    command -v apt-get >/dev/null || { say "there is no apt-get on this host"; return 77; }
    [ -e "$apt_root/updated" ] && return 0
    say "reading the package lists ($1)"
    # A source that does not answer is no reason to give up: another one may have what is needed.
    apt_get update
    # shellcheck disable=SC2086
    if ! apt-cache $apt_opts show busybox-static 2>/dev/null | grep -q '^Package:'; then
        say "the package sources of this host do not answer, or have no packages for $1"
        return 77
    fi
    : >"$apt_root/updated"
}

# unpack_package NAME FOLDER: downloads NAME and unpacks it there.
unpack_package() {
    say "downloading $1"
    mkdir -p "$2"
    here=$(cd "$2" && pwd) || return 1
    (cd "$here" && rm -f -- *.deb && apt_get download "$1" && dpkg-deb -x ./*.deb . && rm -f -- *.deb) ||
        { say "cannot download $1; see $apt_root/log"; rm -f "$apt_root/updated"; return 77; }
}

# real_kernel META: the package with the kernel itself, which the metapackage depends on.
real_kernel() {
    # shellcheck disable=SC2086
    apt-cache -q $apt_opts depends "$1" 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

flavour_arch() {
    case $1 in 686) echo i386 ;; *) echo amd64 ;; esac
}

# fetch_busybox ARCH FOLDER: FOLDER/busybox-ARCH
fetch_busybox() {
    fetch_once "$2" "busybox-$1" get_busybox "$1" "$2"
}

get_busybox() {
    apt_setup "$2" "$1"
    apt_update "$1" && unpack_package busybox-static "$2/tmp-busybox-$1" || return
    cp "$2/tmp-busybox-$1/bin/busybox" "$2/busybox-$1.new" && mv "$2/busybox-$1.new" "$2/busybox-$1"
    rm -rf "$2/tmp-busybox-$1"
}

# fetch_kernel FLAVOUR FOLDER: FOLDER/vmlinuz-FLAVOUR. Its modules are not kept: see fetch_modules.
fetch_kernel() {
    fetch_once "$2" "vmlinuz-$1" get_kernel "$1" "$2"
}

get_kernel() {
    arch=$(flavour_arch "$1")
    case $1 in
    cloud) meta=linux-image-cloud-amd64 ;;
    stock) meta=linux-image-amd64 ;;
    686) meta=linux-image-686-pae ;;
    *) say "unknown flavour $1; there are cloud, stock and 686"; return 1 ;;
    esac
    apt_setup "$2" "$arch"
    apt_update "$arch" || return
    pkg=$(real_kernel $meta)
    [ -n "$pkg" ] || { say "the package sources of this host have no $meta"; return 77; }
    unpack_package "$pkg" "$2/tmp-$1" || return
    cp "$2/tmp-$1"/boot/vmlinuz-* "$2/vmlinuz-$1.new" && mv "$2/vmlinuz-$1.new" "$2/vmlinuz-$1"
    [ -n "$KEEP_PACKAGE" ] || rm -rf "$2/tmp-$1"
}

# fetch_modules FLAVOUR FOLDER: FOLDER/modules-FLAVOUR, the kernel's modules with their dependencies, and the kernel they belong to.
fetch_modules() {
    [ -e "$2/vmlinuz-$1" ] || rm -rf "$2/modules-$1"
    fetch_once "$2" "modules-$1" get_modules "$1" "$2"
}

# The kernel is got anew with them, so that it fits; it takes the old one's place at once, which another test may be reading.
get_modules() {
    fetch_busybox "$(flavour_arch "$1")" "$2" && KEEP_PACKAGE=1 get_kernel "$1" "$2" || return
    new=$2/modules-$1.new
    rm -rf "$new"
    mkdir -p "$new/lib" && mv "$2/tmp-$1/lib/modules" "$new/lib/" || return
    "$2/busybox-$(flavour_arch "$1")" depmod -b "$new" "$(basename "$new"/lib/modules/*)" && mv "$new" "$2/modules-$1" && rm -rf "$2/tmp-$1"
}

# pick_modules FLAVOUR FOLDER OUT NAME...: a lib/modules below OUT with these modules and all that they need, for modprobe.
pick_modules() {
    kernel=$(basename "$2/modules-$1"/lib/modules/*)
    from=$2/modules-$1/lib/modules/$kernel to=$3/lib/modules/$kernel busybox=$2/busybox-$(flavour_arch "$1")
    shift 3
    mkdir -p "$to"
    for name in "$@"; do
        grep -E "/$(echo "$name" | sed 's/[_-]/[_-]/g')\.ko:" "$from/modules.dep" | tr -d : | tr ' ' '\n'
    done | sort -u | while read -r file; do
        mkdir -p "$to/$(dirname "$file")" && cp "$from/$file" "$to/$file" || return
    done
    cp "$from"/modules.order "$from"/modules.builtin* "$to/" 2>/dev/null
    "$busybox" depmod -b "${to%/lib/modules/*}" "$kernel"
}

# fetch_memtest FOLDER: FOLDER/memtest, memtest86+ in the form of a Linux kernel.
fetch_memtest() {
    fetch_once "$1" memtest get_memtest "$1"
}

get_memtest() {
    apt_setup "$1" amd64
    apt_update amd64 && unpack_package memtest86+ "$1/tmp-memtest" || return
    cp "$1/tmp-memtest/boot/memtest86+x64.bin" "$1/memtest.new" && mv "$1/memtest.new" "$1/memtest"
    rm -rf "$1/tmp-memtest"
}

# fetch_iperf FOLDER: FOLDER/iperf3-amd64, a folder with bin/iperf3 and, in lib, the libraries it needs.
fetch_iperf() {
    fetch_once "$1" iperf3-amd64 get_iperf "$1"
}

get_iperf() {
    apt_setup "$1" amd64
    apt_update amd64 || return
    from=$1/tmp-iperf3 to=$1/iperf3-amd64.new
    rm -rf "$from" "$to"
    mkdir -p "$to/bin" "$to/lib" || return
    for package in iperf3 libiperf0 libc6 libssl3 libsctp1; do
        unpack_package $package "$from" || return
    done
    cp "$from/usr/bin/iperf3" "$to/bin/" || return
    for name in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libiperf.so.0 libcrypto.so.3 libsctp.so.1; do
        cp -L "$from"/usr/lib/x86_64-linux-gnu/$name "$to/lib/" 2>/dev/null || cp -L "$from"/lib/x86_64-linux-gnu/$name "$to/lib/" || return
    done
    mv "$to" "$1/iperf3-amd64" && rm -rf "$from"
}

# fetch_tree PACKAGE FOLDER: FOLDER/PACKAGE, the unpacked package.
fetch_tree() {
    fetch_once "$2" "$1" get_tree "$1" "$2"
}

get_tree() {
    apt_setup "$2" amd64
    rm -rf "$2/$1.new"
    apt_update amd64 && unpack_package "$1" "$2/$1.new" && mv "$2/$1.new" "$2/$1"
}

# fetch_root NAME FOLDER PACKAGE...: FOLDER/NAME, these packages and all that they depend on, unpacked, not configured; their archives in its /debs.
fetch_root() {
    fetch_once "$2" "$1" get_root "$@"
}

get_root() {
    name=$1 folder=$2
    shift 2
    apt_setup "$folder" amd64
    apt_update amd64 || return
    new=$folder/$name.new
    rm -rf "$new"
    mkdir -p "$new/debs/partial" "$new/usr/bin" "$new/usr/sbin" "$new/usr/lib" "$new/usr/lib64" || return
    new=$(cd "$new" && pwd)
    for d in bin sbin lib lib64; do
        ln -s usr/$d "$new/$d" || return
    done
    say "downloading $*"
    apt_get -o Debug::NoLocking=1 -o Dir::Cache::archives="$new/debs" -y --no-install-recommends --download-only install "$@" ||
        { say "cannot download $*; see $apt_root/log"; rm -rf "$new" "$apt_root/updated"; return 77; }
    for deb in "$new"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$new" || return
    done
    mv "$new" "$folder/$name"
}

# pack_initramfs BUSYBOX INIT OUT [FILE...]: a cpio archive with busybox, INIT as /init, and the files at the top.
pack_initramfs() {
    busybox=$1 init=$2 out=$3
    shift 3
    root=$out.d
    rm -rf "$root"
    mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/etc" "$root/root" || return
    cp "$busybox" "$root/bin/busybox" && ln -s busybox "$root/bin/sh" && cp "$init" "$root/init" || return
    chmod 755 "$root/init" "$root/bin/busybox"
    for f in "$@"; do
        cp -r "$f" "$root/" || return
    done
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) | gzip -9n >"$out.new" && mv "$out.new" "$out"
    rm -rf "$root"
}

if [ -z "$FETCH_LIB" ]; then
    [ $# = 2 ] || { echo "usage: $0 cloud|stock|686 FOLDER" >&2; exit 1; }
    mkdir -p "$2" || exit 1
    fetch_kernel "$1" "$2" || exit
    fetch_busybox "$(flavour_arch "$1")" "$2" || exit
fi
