# The root of Debian's programs that bench/guest/real.sh runs; sourced by bench/run and tests/guest/soak.sh, behind tests/guest/fetch.sh.

# real_root GUESTS OUT: copies it to OUT, made of Debian's packages less documentation and what is not for C, and what the programs work on. GUESTS is
# the folder that keeps packages. Fails as fetch_root does.
real_root() {
    fetch_root bench-root "$1" dash coreutils tar gzip xz-utils sqlite3 python3-minimal perl-base openssl gcc libc6-dev dpkg diffutils grep \
        findutils libc-bin || return
    mkdir -p "$2/src/bench/guest" &&
        tar -cf - -C "$1/bench-root" --exclude=./debs --exclude=./usr/share --exclude=./usr/include/c++ --exclude='lib*san.*' --exclude=lto1 \
            --exclude='*-lto-dump*' . | tar -xf - -C "$2" && cp bench/guest/*.[ch] "$2/src/bench/guest/" && cp bench/guest/real.sh "$2/real" &&
        cp "$1"/bench-root/debs/linux-libc-dev_*.deb "$2/package.deb" &&
        find "$2/usr/include" -name '*.h' | LC_ALL=C sort | xargs cat 2>/dev/null | head -c 3000000 >"$2/data"
}
