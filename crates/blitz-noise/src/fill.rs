//! Many normals at once: the scalar code of `philox` and `normal` over groups of 16 blocks, with the CPU's widest
//! instruction set, and over chunks on every core.

use crate::NoiseKey;
use crate::normal::normal_pair;
use crate::philox::philox4x32_10;
use crate::simd::{Body, InstructionSet};

/// Blocks worked on side by side: the lanes of one AVX-512 register.
pub const LANES: usize = 16;
/// Normals in a group.
pub const GROUP: usize = 4 * LANES;
/// Elements a thread takes at a time: some 20 µs of work, 64 KiB of output.
pub const CHUNK: usize = 16 * 1024;

/// The group of 16 blocks from `block` on.
///
/// Always inlined, to be compiled for the instruction set of its caller.
#[inline(always)]
pub fn normal_group(key: NoiseKey, block: u32, group: &mut [f32; GROUP]) {
    // A loop of known length over one plain expression: this the compiler turns into vectors whole,
    // interleaved stores included. (Measured: writing four arrays and interleaving them is slower.)
    let (blocks, _) = group.as_chunks_mut::<4>();
    for (i, normals) in blocks.iter_mut().enumerate() {
        let words = philox4x32_10(key.philox_key(), key.counter(block.wrapping_add(i as u32)));
        let (n0, n1) = normal_pair(words[0], words[1]);
        let (n2, n3) = normal_pair(words[2], words[3]);
        *normals = [n0, n1, n2, n3];
    }
}

/// Fills `groups` with the blocks `first_block..`.
struct FillGroups<'a> {
    key: NoiseKey,
    first_block: u32,
    groups: &'a mut [[f32; GROUP]],
}

impl Body for FillGroups<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut block = self.first_block;
        for group in self.groups {
            normal_group(self.key, block, group);
            block = block.wrapping_add(LANES as u32);
        }
    }
}

/// One thread's fill: `out[i]` is element `offset + i`. The caller has checked the range.
pub(crate) fn fill_with(set: InstructionSet, key: NoiseKey, offset: u64, out: &mut [f32]) {
    // An offset within a block: the rest of that block goes first, so that groups begin with a block.
    let head = (offset.wrapping_neg() % 4).min(out.len() as u64) as usize;
    let (start, out) = out.split_at_mut(head);
    for (element, value) in (offset..).zip(start) {
        *value = key.normal_unchecked(element);
    }
    let first_block = ((offset + head as u64) / 4) as u32;

    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    let next_block = first_block.wrapping_add((groups.len() * LANES) as u32);
    set.run(FillGroups {
        key,
        first_block,
        groups,
    });
    if !rest.is_empty() {
        let mut group = [[0.0; GROUP]];
        set.run(FillGroups {
            key,
            first_block: next_block,
            groups: &mut group,
        });
        rest.copy_from_slice(&group[0][..rest.len()]);
    }
}

/// [`fill_with`] the widest instruction set of this CPU.
pub(crate) fn fill_serial(key: NoiseKey, offset: u64, out: &mut [f32]) {
    fill_with(InstructionSet::widest(), key, offset, out);
}

/// [`fill_serial`] over chunks on rayon's threads, where there are threads and enough to do.
pub(crate) fn fill_parallel(key: NoiseKey, offset: u64, out: &mut [f32]) {
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
