"""Run pytest as on a processor without wide instructions: with one thread, then with two.

The sums and functions of floats end in other bits there, and no test may depend on them.
NumPy, the BLAS below it and the C library each choose their code by the processor.
"""

import os
import platform
import subprocess
import sys

import numpy as np

# What every processor of the kind has; OpenBLAS otherwise takes the widest.
CORE = {"x86_64": "Nehalem", "AMD64": "Nehalem", "aarch64": "ARMV8", "arm64": "ARMV8"}
# The GNU C library's exp, log, sin and pow have variants with fused products.
PLAIN_FUNCTIONS = "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2,-FMA_Usable,-FMA4_Usable,-AVX2_Usable"
BITS = """
import hashlib, math
import numpy as np
rng = np.random.default_rng(1)
a = rng.normal(size=(300, 300))
results = {
    "numpy, float64": [np.exp(a), np.sum(a, axis=1), np.sin(100 * a)],
    "numpy, float32": [np.exp(a.astype("f4")), np.sum(a.astype("f4"), axis=1)],
    "BLAS": [a @ a, np.linalg.solve(a, a[0])],
    "C library": [[math.exp(x) * math.sin(9 * x) * math.pow(2, x) for x in a.flat]],
}
for name, arrays in results.items():
    print(name, hashlib.sha256(b"".join(np.array(x).tobytes() for x in arrays)).hexdigest())
"""


def environment() -> dict[str, str]:
    """Settings without the instructions that NumPy found beyond those it always needs."""
    settings = dict(os.environ, GLIBC_TUNABLES=PLAIN_FUNCTIONS)
    wide = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if wide:
        settings["NPY_DISABLE_CPU_FEATURES"] = " ".join(wide)
    if platform.machine() in CORE:
        settings["OPENBLAS_CORETYPE"] = CORE[platform.machine()]
    print("Without", *wide)
    return settings


def bits(settings: dict[str, str]) -> dict[str, str]:
    """What some functions give, by where they come from."""
    done = subprocess.run(
        [sys.executable, "-c", BITS], env=settings, check=True, capture_output=True, text=True
    )
    return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())


def main() -> int:
    """Run pytest with the words of the command line; return the first code that is not 0."""
    other = environment()
    here, there = bits(dict(os.environ)), bits(other)
    changed = [name for name in here if here[name] != there[name]]
    print("Other bits from:", ", ".join(changed) or "nothing", flush=True)
    if "NPY_DISABLE_CPU_FEATURES" in other and not changed:
        return 1
    for number in (1, 2):
        threads = {"OMP_NUM_THREADS": str(number), "OPENBLAS_NUM_THREADS": str(number)}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", f"--threads={number}", *sys.argv[1:]],
            env={**other, **threads},
            check=False,
        )
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
