/* CPU models that -cpu names: identities and feature sets. Constant data; read by cpu/cpuid.c at start-up and by -cpu help.
 *
 * The identity of the default models is that of AMD's fourth Zen generation, on purpose: kernels know no erratum of it that a guest has to work
 * around, and it is free of the flaws that page-table isolation and other costly defences are for. What they do suspect it of (speculative
 * return stack overflow and the like), translated code does not have, and CPUID says so. */
#include "cpu/cpuid.h"

#define AMD "AuthenticAMD"
#define INTEL "GenuineIntel"
#define BRAND "Gemel Virtual CPU"
#define DEFAULT_ID AMD, 0x19, 0x11, 0, 0xd, 0x80000021
#define BASE32 "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 hypervisor " \
               "kvmclock kvmclock-old kvm-nopiodelay kvm-steal-time kvm-pv-eoi kvm-pv-unhalt kvmclock-stable-bit zero-fcs-fds x2apic tsc-deadline tsc-adjust arat"
#define BASE64 "syscall nx lm"
#define SOUND "arch-capabilities spec-ctrl amd-no-ssb btc-no srso-no tsa-sq-no tsa-l1-no lfence-always-serializing null-sel-clr-base"

static const struct cpu_model_def models[] = {
    { "max", "default: all that the engine and this host can execute, but monitor and la57", NULL, DEFAULT_ID,
      BRAND, "*", "monitor la57" },
    { "host", "max with the host's identity", "max", NULL, 0, 0, 0, 0xd, 0x80000008, NULL, "", "" },
    { "x86-64-v1", "x86-64 baseline", NULL, DEFAULT_ID, BRAND, BASE32 " " BASE64 " " SOUND, "" },
    { "x86-64-v2", "baseline + SSE4.2, POPCNT, CX16", "x86-64-v1", DEFAULT_ID, BRAND,
      "pni ssse3 sse4.1 sse4.2 popcnt cx16 lahf-lm", "" },
    { "x86-64-v3", "v2 + AVX2, FMA, BMI, F16C, LZCNT, MOVBE", "x86-64-v2", DEFAULT_ID, BRAND,
      "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave", "" },
    { "qemu64", "QEMU's old default for 64 bits", NULL, DEFAULT_ID, BRAND,
      BASE32 " " BASE64 " pni cx16 lahf-lm " SOUND, "" },
    { "qemu32", "QEMU's old default for 32 bits", NULL, INTEL, 6, 6, 3, 4, 0x80000004, BRAND, BASE32 " pni", "" },
    { "kvm64", "common 64-bit processor", NULL, INTEL, 15, 6, 1, 5, 0x80000008, "Common KVM processor", BASE32 " " BASE64 " pni cx16", "" },
    { "kvm32", "common 32-bit processor", NULL, INTEL, 15, 6, 1, 5, 0x80000008, "Common 32-bit KVM processor", BASE32 " pni", "" },
    { "pentium", "Intel Pentium", NULL, INTEL, 5, 4, 3, 1, 0, "", "fpu vme de pse tsc msr mce cx8 hypervisor kvmclock kvmclock-old apic", "" },
    { "pentium3", "Intel Pentium III", NULL, INTEL, 6, 8, 3, 3, 0, "",
      "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 mmx fxsr sse hypervisor kvmclock kvmclock-old", "" },
    { "Conroe", "Intel Core 2 (Merom/Conroe, 65 nm)", NULL, INTEL, 6, 15, 3, 10, 0x80000008, "Intel Celeron_4x0 (Conroe/Merom Class Core 2)",
      BASE32 " " BASE64 " pni ssse3 cx16 lahf-lm vme", "" },
    { "Penryn", "Intel Core 2 (Penryn, 45 nm)", "Conroe", INTEL, 6, 23, 3, 10, 0x80000008, "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
      "sse4.1", "" },
    { "Nehalem", "Intel Core i7 (Nehalem)", "Penryn", INTEL, 6, 26, 3, 11, 0x80000008, "Intel Core i7 9xx (Nehalem Class Core i7)",
      "sse4.2 popcnt", "" },
    { "Westmere", "Intel Westmere", "Nehalem", INTEL, 6, 44, 1, 11, 0x80000008, "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
      "aes pclmulqdq", "" },
    { "SandyBridge", "Intel Xeon E312xx (Sandy Bridge)", "Westmere", INTEL, 6, 42, 1, 0xd, 0x80000008, "Intel Xeon E312xx (Sandy Bridge)",
      "avx xsave xsaveopt rdtscp", "" },
    { "IvyBridge", "Intel Xeon E3-12xx v2 (Ivy Bridge)", "SandyBridge", INTEL, 6, 58, 9, 0xd, 0x80000008,
      "Intel Xeon E3-12xx v2 (Ivy Bridge)", "f16c rdrand fsgsbase smep erms", "" },
    { "Haswell", "Intel Core (Haswell)", "IvyBridge", INTEL, 6, 60, 4, 0xd, 0x80000008, "Intel Core Processor (Haswell)",
      "avx2 bmi1 bmi2 fma movbe invpcid pcid abm", "" },
    { "Haswell-noTSX", "Intel Core (Haswell, no TSX)", "Haswell", INTEL, 6, 60, 1, 0xd, 0x80000008, "Intel Core Processor (Haswell, no TSX)",
      "", "" },
    { "Broadwell", "Intel Core (Broadwell)", "Haswell", INTEL, 6, 61, 2, 0xd, 0x80000008, "Intel Core Processor (Broadwell)",
      "adx rdseed smap 3dnowprefetch", "" },
    { "Broadwell-noTSX", "Intel Core (Broadwell, no TSX)", "Broadwell", INTEL, 6, 61, 2, 0xd, 0x80000008,
      "Intel Core Processor (Broadwell, no TSX)", "", "" },
    { "Skylake-Client", "Intel Core (Skylake)", "Broadwell", INTEL, 6, 94, 3, 0xd, 0x80000008, "Intel Core Processor (Skylake)",
      "xsavec xgetbv1", "" },
    { "Skylake-Server", "Intel Xeon (Skylake)", "Skylake-Client", INTEL, 6, 85, 4, 0xd, 0x80000008, "Intel Xeon Processor (Skylake)",
      "clwb clflushopt pdpe1gb pku avx512f avx512dq avx512bw avx512cd avx512vl", "" },
    { "Opteron_G1", "AMD Opteron 240", NULL, AMD, 15, 6, 1, 5, 0x80000008, "AMD Opteron 240 (Gen 1 Class Opteron)", BASE32 " " BASE64 " pni", "" },
    { "Opteron_G2", "AMD Opteron 22xx", "Opteron_G1", AMD, 15, 6, 1, 5, 0x80000008, "AMD Opteron 22xx (Gen 2 Class Opteron)",
      "cx16 lahf-lm", "" },
    { "Opteron_G3", "AMD Opteron 23xx", "Opteron_G2", AMD, 16, 2, 3, 5, 0x80000008, "AMD Opteron 23xx (Gen 3 Class Opteron)",
      "popcnt abm rdtscp", "" },
    { "Opteron_G4", "AMD Opteron 62xx", "Opteron_G3", AMD, 21, 1, 2, 0xd, 0x8000001a, "AMD Opteron 62xx class CPU",
      "ssse3 sse4.1 sse4.2 pclmulqdq aes xsave avx pdpe1gb 3dnowprefetch", "" },
    { "Opteron_G5", "AMD Opteron 63xx", "Opteron_G4", AMD, 21, 2, 0, 0xd, 0x8000001a, "AMD Opteron 63xx class CPU", "fma f16c", "" },
    { "EPYC", "AMD EPYC", NULL, AMD, 23, 1, 2, 0xd, 0x80000008, "AMD EPYC Processor",
      BASE32 " " BASE64 " vme pni pclmulqdq ssse3 fma cx16 sse4.1 sse4.2 movbe popcnt aes xsave avx f16c rdrand fsgsbase bmi1 avx2 smep bmi2 "
      "rdseed adx smap clflushopt sha-ni xsaveopt xsavec xgetbv1 arat mmxext pdpe1gb rdtscp lahf-lm cr8legacy abm 3dnowprefetch", "" },
    { "EPYC-Rome", "AMD EPYC (Rome)", "EPYC", AMD, 23, 49, 0, 0xd, 0x80000008, "AMD EPYC-Rome Processor", "clwb umip rdpid", "" },
    { "EPYC-Milan", "AMD EPYC (Milan)", "EPYC-Rome", AMD, 25, 1, 1, 0xd, 0x80000008, "AMD EPYC-Milan Processor",
      "pku vaes vpclmulqdq pcid invpcid erms fsrm", "" },
};

const struct cpu_model_def *cpu_model_def_nth(unsigned i) { return i < ARRAY_LEN(models) ? &models[i] : NULL; }

const struct cpu_model_def *cpu_model_def_find(const char *name)
{
    size_t len = strlen(name);
    size_t digits = len;
    while (digits && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    bool versioned = digits < len && digits > 2 && name[digits - 1] == 'v' && name[digits - 2] == '-';
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        if (!strcmp(models[i].name, name))
            return &models[i];
    }
    for (unsigned i = 0; versioned && i < ARRAY_LEN(models); i++) {
        if (strlen(models[i].name) == digits - 2 && !strncmp(models[i].name, name, digits - 2))
            return &models[i];
    }
    return NULL;
}

const char *cpu_model_name_nth(unsigned i, const char **desc)
{
    const struct cpu_model_def *d = cpu_model_def_nth(i);
    if (d && desc)
        *desc = d->desc;
    return d ? d->name : NULL;
}
