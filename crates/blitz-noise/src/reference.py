"""The numbers that tests.rs compares with: Philox4x32-10 and Box-Muller in integers and float64.

    python3 reference.py

Written from the papers and the layout in key.rs, not from the Rust code; needs Python alone. (NumPy's
`Philox` is the 4x64 variant.) Prints the rows of `REFERENCE`: seed, index, stream, element, normal.
"""

import math

MASK = 0xFFFFFFFF

KNOWN_ANSWERS = [  # Random123, tests/kat_vectors, philox4x32 10: counter, key, words.
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK,) * 4, (MASK,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox4x32_10(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def standard_normal(seed, index, stream, element):
    counter = (element // 4, stream, index & MASK, index >> 32)
    words = philox4x32_10(counter, (seed & MASK, seed >> 32))
    radius, angle = words[:2] if element % 4 < 2 else words[2:]
    r = math.sqrt(-2 * math.log((radius + 0.5) / 2**32))
    theta = 2 * math.pi * (angle + 0.5) / 2**32
    return r * (math.cos(theta) if element % 2 == 0 else math.sin(theta))


if __name__ == "__main__":
    for counter, key, words in KNOWN_ANSWERS:
        assert philox4x32_10(counter, key) == words
    rows = [(0, 0, 0, element) for element in range(8)]
    rows += [(42, index, stream, 5) for index in (0, 1) for stream in (0, 1)]
    rows += [(1 << 32, 0, 0, 0), (1, 1 << 32, 0, 1), (1, 0, MASK, 2)]
    rows += [(2**64 - 1, 2**64 - 1, MASK, 2**34 - 1), (0x0123456789ABCDEF, 10**12, 7, 10**9 + 3)]
    for row in rows:
        print(f"    ({', '.join(map(hex, row))}, {standard_normal(*row)!r}),")
