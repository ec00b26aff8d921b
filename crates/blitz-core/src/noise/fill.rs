//! Many normals at once: the scalar code of `philox` and `normal` over groups of 16 blocks, compiled once for
//! every instruction set worth having, and over chunks on every core.

use super::NoiseKey;
use super::normal::normal_pair;
use super::philox::philox4x32_10;

/// Blocks worked on side by side: the lanes of one AVX-512 register.
const LANES: usize = 16;
/// Normals in a group.
pub(super) const GROUP: usize = 4 * LANES;
/// Elements a thread takes at a time: some 20 µs of work, 64 KiB of output.
#[cfg(not(target_family = "wasm"))]
pub(super) const CHUNK: usize = 16 * 1024;

/// Fills `groups` with the blocks `first_block..`, each group being 16 blocks.
///
/// Always inlined: each instruction set below compiles its own copy. No operation depends on how many lanes
/// there are, so all copies give the same bits.
#[inline(always)]
fn fill_groups(key: NoiseKey, first_block: u32, groups: &mut [[f32; GROUP]]) {
    let mut block = first_block;
    for group in groups {
        // A loop of known length over one plain expression: this the compiler turns into vectors whole,
        // interleaved stores included. (Measured: writing four arrays and interleaving them is slower.)
        let (blocks, _) = group.as_chunks_mut::<4>();
        for (i, normals) in blocks.iter_mut().enumerate() {
            let words = philox4x32_10(key.philox_key(), key.counter(block.wrapping_add(i as u32)));
            let (n0, n1) = normal_pair(words[0], words[1]);
            let (n2, n3) = normal_pair(words[2], words[3]);
            *normals = [n0, n1, n2, n3];
        }
        block = block.wrapping_add(LANES as u32);
    }
}

type FillGroups = fn(NoiseKey, u32, &mut [[f32; GROUP]]);

fn fill_groups_portable(key: NoiseKey, first_block: u32, groups: &mut [[f32; GROUP]]) {
    fill_groups(key, first_block, groups);
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::*;

    #[target_feature(enable = "avx2")]
    fn avx2(key: NoiseKey, first_block: u32, groups: &mut [[f32; GROUP]]) {
        fill_groups(key, first_block, groups);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512(key: NoiseKey, first_block: u32, groups: &mut [[f32; GROUP]]) {
        fill_groups(key, first_block, groups);
    }

    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
    }

    pub(super) fn has_avx512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
    }

    pub(super) fn fill_groups_avx2(key: NoiseKey, first: u32, groups: &mut [[f32; GROUP]]) {
        assert!(has_avx2());
        // SAFETY: the CPU has AVX2, the one feature that `avx2` enables.
        unsafe { avx2(key, first, groups) }
    }

    pub(super) fn fill_groups_avx512(key: NoiseKey, first: u32, groups: &mut [[f32; GROUP]]) {
        assert!(has_avx512());
        // SAFETY: the CPU has the four features that `avx512` enables.
        unsafe { avx512(key, first, groups) }
    }
}

/// Every copy that this CPU can run, the fastest last.
pub(super) fn instruction_sets() -> impl Iterator<Item = (&'static str, FillGroups)> {
    let all = [
        (true, "portable", fill_groups_portable as FillGroups),
        #[cfg(target_arch = "x86_64")]
        (x86_64::has_avx2(), "avx2", x86_64::fill_groups_avx2),
        #[cfg(target_arch = "x86_64")]
        (x86_64::has_avx512(), "avx512", x86_64::fill_groups_avx512),
    ];
    all.into_iter()
        .filter(|(available, ..)| *available)
        .map(|(_, name, fill)| (name, fill))
}

/// One thread's fill: `out[i]` is element `offset + i`. The caller has checked the range.
pub(super) fn fill_with(fill: FillGroups, key: NoiseKey, offset: u64, out: &mut [f32]) {
    // An offset within a block: the rest of that block goes first, so that groups begin with a block.
    let head = (offset.wrapping_neg() % 4).min(out.len() as u64) as usize;
    let (start, out) = out.split_at_mut(head);
    for (element, value) in (offset..).zip(start) {
        *value = key.normal_unchecked(element);
    }
    let first_block = ((offset + head as u64) / 4) as u32;

    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    fill(key, first_block, groups);
    if !rest.is_empty() {
        let next_block = first_block.wrapping_add((groups.len() * LANES) as u32);
        let mut group = [[0.0; GROUP]];
        fill(key, next_block, &mut group);
        rest.copy_from_slice(&group[0][..rest.len()]);
    }
}

/// [`fill_with`] the widest instruction set of this CPU.
pub(super) fn fill_serial(key: NoiseKey, offset: u64, out: &mut [f32]) {
    let (_, fill) = instruction_sets()
        .last()
        .expect("portable code runs anywhere");
    fill_with(fill, key, offset, out);
}

/// [`fill_serial`] over chunks on rayon's threads, where there are threads and enough to do.
pub(super) fn fill_parallel(key: NoiseKey, offset: u64, out: &mut [f32]) {
    #[cfg(not(target_family = "wasm"))]
    if out.len() >= 2 * CHUNK {
        use rayon::prelude::*;
        out.par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, chunk)| fill_serial(key, offset + (i * CHUNK) as u64, chunk));
        return;
    }
    fill_serial(key, offset, out);
}
