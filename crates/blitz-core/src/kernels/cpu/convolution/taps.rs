//! The gradient of a convolution's weight, from an image with zeros around it and the gradient of the outputs.

use pulp::{Simd, WithSimd};

use crate::kernels::cpu::lanes::Float;

/// Output channels side by side: 64 bytes of them, in one register or in several.
pub(super) const fn lanes<E>() -> usize {
    64 / size_of::<E>()
}

/// The products of one image's elements and the gradients of [`lanes`] output channels, summed over the positions.
///
/// Channels lie side by side in registers. Sums over the positions of one image stay there, and are then added to those
/// of other images: so no sum has more than these terms, and is as exact as it can be.
pub(super) struct Taps<'a, E> {
    pub padded: &'a [E],
    /// Where the element of the padded image lies that each weight multiplies at the first position.
    pub offsets: &'a [usize],
    /// From one row of the padded image to the next.
    pub row: usize,
    /// The positions of a row.
    pub columns: usize,
    /// `[positions, lanes]`.
    pub grad: &'a [E],
    /// `[offsets, lanes]`, to add to.
    pub sums: &'a mut [E],
    /// `[lanes]`, to add the gradients alone to.
    pub bias_sums: &'a mut [E],
}

impl<E: Float> WithSimd for Taps<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as there are registers for, beside a gradient and a number to multiply it with.
        match 64 / size_of::<E::Lanes<S>>() {
            1 => self.add_up::<S, 9, 1>(simd),
            2 => self.add_up::<S, 6, 2>(simd),
            4 => self.add_up::<S, 6, 4>(simd),
            registers => unreachable!("{registers} registers of {} bytes", 64 / registers),
        }
    }
}

impl<E: Float> Taps<'_, E> {
    #[inline(always)]
    fn add_up<S: Simd, const K: usize, const W: usize>(self, simd: S) {
        let zero = [E::splat(simd, E::ZERO); W];
        let grad = E::registers::<S>(self.grad);
        let (grad, _) = grad.as_chunks::<W>();

        // Four sums side by side: one alone would wait for itself.
        let mut bias = [zero; 4];
        let (fours, rest) = grad.as_chunks::<4>();
        for four in fours {
            for (sum, grad) in bias.iter_mut().zip(four) {
                add_to::<E, S, W>(simd, sum, grad);
            }
        }
        for (sum, grad) in bias.iter_mut().zip(rest) {
            add_to::<E, S, W>(simd, sum, grad);
        }
        let bias_sums = E::registers_mut::<S>(self.bias_sums);
        for sum in bias {
            for (total, sum) in bias_sums.iter_mut().zip(sum) {
                *total = E::plus(simd, *total, sum);
            }
        }

        let sums = E::registers_mut::<S>(self.sums);
        let (sums, _) = sums.as_chunks_mut::<W>();
        for (offsets, totals) in self.offsets.chunks(K).zip(sums.chunks_mut(K)) {
            let mut sums = [zero; K];
            for (row, grad) in grad.chunks_exact(self.columns).enumerate() {
                // The last block may have fewer weights: its first one stands for those that are missing, and is not
                // read.
                let x: [&[E]; K] = std::array::from_fn(|k| {
                    let offset = offsets.get(k).unwrap_or(&offsets[0]);
                    &self.padded[offset + row * self.row..][..grad.len()]
                });
                for (column, grad) in grad.iter().enumerate() {
                    for (sums, x) in sums.iter_mut().zip(x) {
                        let x = E::splat(simd, x[column]);
                        for (sum, grad) in sums.iter_mut().zip(grad) {
                            *sum = E::multiply_add(simd, *grad, x, *sum);
                        }
                    }
                }
            }
            for (total, sum) in totals.iter_mut().zip(&sums) {
                add_to::<E, S, W>(simd, total, sum);
            }
        }
    }
}

#[inline(always)]
fn add_to<E: Float, S: Simd, const W: usize>(
    simd: S,
    total: &mut [E::Lanes<S>; W],
    terms: &[E::Lanes<S>; W],
) {
    for (total, term) in total.iter_mut().zip(terms) {
        *total = E::plus(simd, *total, *term);
    }
}
