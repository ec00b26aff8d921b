//! The outputs of a convolution, from an image with zeros around it.

use pulp::{Simd, WithSimd};

use crate::kernels::cpu::lanes::{Float, Registers, WIDEST_PAIR};

/// The most output channels whose sums stay in registers.
pub(super) const MOST_CHANNELS: usize = 6;

/// The sums of some output channels, position after position as the padded rows lie.
///
/// Positions lie side by side in registers. What a kernel's element multiplies is then the same padded image from
/// another place on. Positions between the end of one row and the beginning of the next get sums as well, which nobody
/// reads.
struct Rows<'a, E, const O: usize> {
    padded: &'a [E],
    /// Where the element of the padded image lies that each weight multiplies at the first position.
    offsets: &'a [usize],
    weights: [&'a [E]; O],
    bias: [E; O],
    /// As many as the positions, rounded up to [`WIDEST_PAIR`], for each channel.
    sums: [&'a mut [E]; O],
    positions: usize,
}

impl<E: Float, const O: usize> WithSimd for Rows<'_, E, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = size_of::<E::Lanes<S>>() / size_of::<E>();
        let mut start = 0;
        while start < self.positions {
            if self.positions - start > lanes {
                self.sum::<S, 2>(simd, start, lanes);
                start += 2 * lanes;
            } else {
                self.sum::<S, 1>(simd, start, lanes);
                start += lanes;
            }
        }
    }
}

impl<E: Float, const O: usize> Rows<'_, E, O> {
    /// The sums from a position on that fill `W` registers.
    #[inline(always)]
    fn sum<S: Simd, const W: usize>(&mut self, simd: S, start: usize, lanes: usize) {
        let mut sums = self.bias.map(|bias| [E::splat(simd, bias); W]);
        let padded = &self.padded[start..];
        let weights = self.weights.map(|weights| &weights[..self.offsets.len()]);
        for (k, &offset) in self.offsets.iter().enumerate() {
            let x = E::registers::<S>(&padded[offset..][..W * lanes]);
            let x: [_; W] = std::array::from_fn(|i| x[i]);
            for (sums, weights) in sums.iter_mut().zip(weights) {
                let weight = E::splat(simd, weights[k]);
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = E::multiply_add(simd, x, weight, *sum);
                }
            }
        }
        for (output, sums) in self.sums.iter_mut().zip(sums) {
            let output = E::registers_mut::<S>(&mut output[start..][..W * lanes]);
            output.copy_from_slice(&sums);
        }
    }
}

/// The sums of at most [`MOST_CHANNELS`] channels, [`width`] after [`width`].
pub(super) fn sums<E: Float>(
    registers: Registers,
    padded: &[E],
    offsets: &[usize],
    weight: &[E],
    bias: &[E],
    sums: &mut [E],
    positions: usize,
) {
    macro_rules! rows {
        ($($channels:literal)*) => {
            match bias.len() {
                $($channels => registers.run(Rows::<E, $channels> {
                    padded,
                    offsets,
                    weights: parts(weight.chunks_exact(offsets.len())),
                    bias: parts(bias.iter().copied()),
                    sums: parts(sums.chunks_exact_mut(width(positions))),
                    positions,
                }),)*
                channels => unreachable!("{channels} are no block of channels"),
            }
        };
    }
    rows!(1 2 3 4 5 6);
}

/// The places for the sums of one channel.
pub(super) fn width(positions: usize) -> usize {
    positions.next_multiple_of(WIDEST_PAIR)
}

/// The first parts, of which there are enough.
fn parts<T, const N: usize>(mut parts: impl Iterator<Item = T>) -> [T; N] {
    std::array::from_fn(|i| match parts.next() {
        Some(part) => part,
        None => unreachable!("{i} parts where {N} are needed"),
    })
}
