#!/bin/sh
# emulate.sh BUILD [COMMAND]: runs COMMAND on an emulated processor that has AVX-512 and VNNI, for machines that have not. Boots Debian's kernel in Bochs with
# BUILD's lathe, measure-ulp and kernel tests on a memory disk and prints what COMMAND prints; its exit status is COMMAND's. The default COMMAND is every test
# of kernels with a twelfth of its random problems (LATHE_TEST_SHARE), and 2^18 points of every function: an hour, since Bochs takes each instruction apart.
# LATHE_EMULATE_WITH="FILE ..." takes more files along. Says what kernels compute, nothing about their speed. Needs Debian (scripts/packages.txt, emulate).
set -eu
build=$1
command=${2:-'export LATHE_TEST_SHARE=12; for t in ./test_brgemm ./test_tactic_*; do $t || bad=1; done; ./measure-ulp --points 18 || bad=1; exit ${bad:-0}'}
with=${LATHE_EMULATE_WITH:-}
kernel=$build/emulate-kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

if [ ! -e "$kernel" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
    (cd "$work" && apt-get download -qq "$package" 2>"$work/log" && dpkg -x ./*.deb unpacked)
    mv "$work"/unpacked/boot/vmlinuz-* "$kernel"
fi

# The memory disk: programs, the libraries that they name, and a first process.
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/t" "$work/disc"
cp /bin/busybox "$root/bin/"
ln -s busybox "$root/bin/sh"
for program in "$build/lathe" "$build/measure-ulp" "$build/tests/test_brgemm" "$build"/tests/test_tactic_*; do
    if [ -f "$program" ] && [ -x "$program" ]; then
        strip -o "$root/t/$(basename "$program")" "$program"
        ldd "$program"
    fi
done >"$work/libraries"
# What ImageDecoder opens.
for library in $(ldconfig -p | sed -n 's/^[[:space:]]*lib\(png16\|turbojpeg\|webp\|tiff\|openjp2\)\.so\.[0-9]* .*x86-64.* => //p'); do
    echo "$library"
    ldd "$library"
done >>"$work/libraries"
sed -n 's/.* => \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\).*/\1/p' "$work/libraries" | sort -u | while read -r library; do
    mkdir -p "$root/$(dirname "$library")"
    cp -L "$library" "$root/$library"
done
for file in $with; do
    cp -r "$file" "$root/t/"
done
printf '%s\n' "$command" >"$root/t/command"
cat >"$root/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
cd /t
echo BEGIN
sh ./command 2>&1
echo "END $?"
sleep 1
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | lz4 -l -q >"$work/disc/initrd"

# A disc that Bochs boots. Without these words Linux does not take Bochs's layout of saved registers (XSAVES, PKU), and loops in page faults.
cp "$kernel" "$work/disc/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/disc/"
cat >"$work/disc/isolinux.cfg" <<'BOOT'
DEFAULT lathe
LABEL lathe
KERNEL /vmlinuz
INITRD /initrd
APPEND console=ttyS0 quiet noxsaves clearcpuid=297,321,323,514,515,534,580 nosmap nosmep no5lvl nokaslr mitigations=off tsc=reliable lpj=1000000
BOOT
xorriso -as mkisofs -quiet -o "$work/disc.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$work/disc" 2>>"$work/log"
cat >"$work/bochsrc" <<BOCHS
cpu: model=corei7_icelake_u, count=1, ips=50000000
memory: guest=2048, host=2048
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
display_library: rfb, options="timeout=0"
log: $work/log
panic: action=fatal
error: action=ignore
info: action=ignore
clock: sync=none
BOCHS
echo c >"$work/continue" # Debian's Bochs has its debugger built in, which waits
: >"$work/serial"
bochs -q -f "$work/bochsrc" -rc "$work/continue" >"$work/screen" 2>&1 </dev/null &
bochs=$!
tail -f --pid=$bochs "$work/serial" | sed -u '1,/^BEGIN/d; /^END /,$d; s/\r$//'
wait $bochs || true
code=$(tr -d '\r' <"$work/serial" | sed -n 's/^END \([0-9]*\)$/\1/p')
[ -n "$code" ] || { tail -n 20 "$work/serial" "$work/log" >&2; echo "emulate: the emulated machine did not come to an end" >&2; exit 1; }
exit "$code"
